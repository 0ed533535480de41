"""
Compare the encoder with pygrok on the same patterns, and with orjson alone.

CPU time of this process, one thread. Every contender starts from the gzip object, except the bare
pygrok match, which starts from the lines.
"""

from itertools import islice

import orjson
from pygrok import Grok

from bench.report import Figure, Goal, Pair
from bench.sample import Sample, Traffic, bench_context
from bench.timing import Times, cpu, in_turns
from pipeline.alb.document import Context
from pipeline.shipped import shipped
from pipeline.sink.encoding import encode_by_reference, encode_chunk

_CONTEXT = bench_context("bench")
_GROK = Grok("%{ALB_ACCESS}", custom_patterns_dir=str(shipped("logstash/patterns")))
_AT_ONCE = 64
"""Documents dumped at once: few enough to fit the CPU's caches, where orjson is at its best."""


def compare_parsers(traffic: Traffic, lines: int, rounds: int) -> list[Figure]:
    """Measure the way from gzip to finished bulk bodies, ours and others'."""
    times = in_turns(
        {
            "ours": lambda sample: cpu(lambda: encode(sample)),
            "reference": lambda sample: cpu(lambda: _encode_by_reference(sample)),
            "grok": lambda sample: cpu(lambda: _match_only(sample)),
            "dumps": lambda sample: cpu(sample.read) + _dump_seconds(sample),
        },
        rounds,
        lambda: traffic.take(lines),
    )
    return [_speed(times, lines), _speed_against_match(times, lines), _cost(times, lines)]


def encode(sample: Sample, context: Context = _CONTEXT) -> int:
    """Encode an object from gzip to finished bulk bodies; return how many bytes they have."""
    return sum(len(encode_chunk(chunk, context).body()) for chunk in sample.read())


def _encode_by_reference(sample: Sample) -> int:
    batches = (encode_by_reference(chunk, _CONTEXT) for chunk in sample.read())
    return sum(len(batch.body()) for batch in batches)


def _match_only(sample: Sample) -> None:
    for line in sample.lines:
        _GROK.match(line.decode("latin-1"))


def _dump_seconds(sample: Sample) -> float:
    """Return orjson's CPU seconds for the documents as dicts; making the dicts does not count."""
    actions = (each for chunk in sample.read() for each in encode_chunk(chunk, _CONTEXT).actions)
    seconds = 0.0
    while documents := [orjson.loads(each.source) for each in islice(actions, _AT_ONCE)]:
        seconds += cpu(lambda documents=documents: _dump(documents))  # type: ignore[misc]
    return seconds


def _dump(documents: list[object]) -> None:
    for document in documents:
        orjson.dumps(document)


def _speed(times: Times, lines: int) -> Figure:
    name = "speed from gzip to bulk body, against pygrok"
    ratio, spread = times.ratio("reference", "ours"), times.spread("reference", "ours")
    pair = _micros(times, "reference", lines)
    return Figure("encode_speed", name, ratio, "x", Goal(7), *spread, pair)


def _speed_against_match(times: Times, lines: int) -> Figure:
    name = "… against the bare pygrok match"
    ratio, spread = times.ratio("grok", "ours"), times.spread("grok", "ours")
    pair = _micros(times, "grok", lines)
    return Figure("encode_speed_match", name, ratio, "x", None, *spread, pair)


def _cost(times: Times, lines: int) -> Figure:
    name = "CPU time, in gunzip + orjson.dumps of the same documents"
    ratio, spread = times.ratio("ours", "dumps"), times.spread("ours", "dumps")
    pair = _micros(times, "dumps", lines)
    return Figure("encode_cost", name, ratio, "x", Goal(at_most=7), *spread, pair)


def _micros(times: Times, other: str, lines: int) -> Pair:
    return Pair(times.micros("ours", lines), times.micros(other, lines), "µs a line")
