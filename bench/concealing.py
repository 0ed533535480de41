"""
Compare encoding under privacy settings and filters with encoding without any.

CPU time of this process, one thread, from the gzip object to finished bulk bodies.
"""

from dataclasses import replace
from functools import partial

from bench.parsing import encode
from bench.report import Figure, Goal, Pair
from bench.sample import Sample, Traffic, bench_context
from bench.timing import Times, cpu, in_turns
from pipeline.alb.document import Context
from pipeline.alb.filters import read_rules
from pipeline.alb.privacy import Bits, Privacy

_PLAIN = bench_context("bench")
_NO_PERSONAL_DATA = Privacy(
    redact=("*",), bits=Bits(24, 48), drop=frozenset({"user_agent.original"})
)
_CONTEXTS = {
    "plain": _PLAIN,
    "redacted": replace(_PLAIN, privacy=Privacy(redact=("*",))),
    "filtered": replace(_PLAIN, exclude=read_rules("exclude", "url.path=/health*")),
    "recipe": replace(_PLAIN, privacy=_NO_PERSONAL_DATA),
}


def compare_settings(traffic: Traffic, lines: int, rounds: int) -> list[Figure]:
    """Measure what redaction, a filter and the recipe for no personal data add to the time."""
    times = in_turns(
        {name: partial(_seconds, context) for name, context in _CONTEXTS.items()},
        rounds,
        lambda: traffic.take(lines),
    )
    return [
        _figure(
            times, lines, "redacted", "time with all query values redacted, in plain times", 1.3
        ),
        _figure(times, lines, "filtered", "… with a filter", 1.1),
        _figure(times, lines, "recipe", "… without personal data: the recipe of docs/privacy.md"),
    ]


def _seconds(context: Context, sample: Sample) -> float:
    return cpu(lambda: encode(sample, context))


def _figure(
    times: Times, lines: int, name: str, about: str, at_most: float | None = None
) -> Figure:
    pair = Pair(times.micros(name, lines), times.micros("plain", lines), "µs a line")
    goal = Goal(at_most=at_most) if at_most else None
    ratio, spread = times.ratio(name, "plain"), times.spread(name, "plain")
    return Figure(f"encode_{name}", about, ratio, "x", goal, *spread, pair)
