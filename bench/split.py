"""
Tell where the encoder's time goes, for who wants to make it faster.

The steps are run one by one over whole objects; what is left of the whole is `the rest`. The steps
inside the whole run while their data is in the CPU's caches, so alone they look a little dearer.
"""

from collections.abc import Callable

from bench.parsing import encode
from bench.report import Figure
from bench.sample import Sample, Traffic, bench_context
from bench.timing import cpu, in_turns
from pipeline.alb import fastpath as hotpath
from pipeline.alb.document import document_ids
from pipeline.source.reading import Chunk

_CONTEXT = bench_context("bench")
_MATCH = hotpath._LINE.match  # noqa: SLF001  the expression's share is what is wanted


def split_encoder(traffic: Traffic, lines: int, rounds: int) -> list[Figure]:
    """Measure the encoder's steps, in µs of CPU time a line."""
    steps: dict[str, Callable[[tuple[Sample, Sample]], float]] = {
        "whole": lambda samples: cpu(lambda: encode(samples[0])),
        "read": lambda samples: cpu(samples[0].read),
        "match": lambda samples: cpu(_for_each_line(samples[0], _MATCH)),
        "ids": lambda samples: cpu(lambda: document_ids(samples[0].lines)),
        # Lines of its own: of the others, the fragments are kept by now.
        "text": lambda samples: cpu(_for_each_line(samples[1], hotpath.Plain(_CONTEXT).encode)),
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


def _for_each_line(sample: Sample, step: Callable[[str, int], object]) -> Callable[[], object]:
    placed = [(chunk.data.decode("latin-1"), _starts(chunk)) for chunk in sample.read()]

    def run() -> None:
        for text, starts in placed:
            for start in starts:
                step(text, start)

    return run


def _starts(chunk: Chunk) -> list[int]:
    """Give where each line of a chunk begins."""
    starts, at = [], 0
    for line in chunk.data.splitlines(keepends=True):
        starts.append(at)
        at += len(line)
    return starts
