"""
Measure where the encoder's time goes, for those who want to make it faster.

The steps run one by one over whole objects; what is left of the whole is `the rest`. Within the
whole their data is in the CPU's caches, so alone they look a little more expensive.
"""

from collections.abc import Callable

from bench.parsing import encode
from bench.report import Figure
from bench.sample import Sample, Traffic, bench_context
from bench.timing import cpu, in_turns
from pipeline.alb import fastpath
from pipeline.alb.document import document_ids

_PLAIN = fastpath.Plain(bench_context("bench"))


def _match(line: bytes) -> object:
    return fastpath.PLAIN_LINE.match(line.decode("ascii"))


def _encode_plain(line: bytes) -> object:
    return _PLAIN.encode(line, "0" * 20)


def split_encoder(traffic: Traffic, lines: int, rounds: int) -> list[Figure]:
    """Measure the encoder's steps, in µs of CPU time a line."""
    steps: dict[str, Callable[[tuple[Sample, Sample]], float]] = {
        "whole": lambda samples: cpu(lambda: encode(samples[0])),
        "read": lambda samples: cpu(samples[0].read),
        "match": lambda samples: cpu(_for_each_line(samples[0], _match)),
        "ids": lambda samples: cpu(lambda: document_ids(samples[0].lines)),
        # On other lines: the fragments of the first ones are cached by now.
        "text": lambda samples: cpu(_for_each_line(samples[1], _encode_plain)),
    }
    times = in_turns(steps, rounds, lambda: (traffic.take(lines), traffic.take(lines)))
    took = {name: times.micros(name, lines) for name in steps}
    whole, text = took["whole"], took["text"] - took["match"]
    rest = whole - took["read"] - took["text"] - took["ids"]
    return [
        _figure("read", "gunzip and cut into chunks", took["read"], whole),
        _figure("match", "match the expression", took["match"], whole),
        _figure("encode", "encode: fragments and format string", text, whole),
        _figure("hash", "hash: the ids", took["ids"], whole),
        _figure("assemble", "assemble the body, and all the rest", rest, whole),
        _figure("whole", "the whole", whole, whole),
    ]


def _figure(key: str, name: str, micros: float, whole: float) -> Figure:
    return Figure(key, name, micros, "µs", note=f"{micros / whole:.0%}")


def _for_each_line(sample: Sample, step: Callable[[bytes], object]) -> Callable[[], object]:
    def run() -> None:
        for line in sample.lines:
            step(line)

    return run
