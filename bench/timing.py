"""
Time contenders in turns, and compare their medians.

On a shared machine one long run of each would compare two moments; taking turns, other load affects
all contenders alike.
"""

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

Prepared = TypeVar("Prepared")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Times:
    """The seconds of each contender, round by round."""

    seconds: Mapping[str, list[float]]

    def median(self, name: str) -> float:
        """Return the median time of a contender."""
        return median(self.seconds[name])

    def micros(self, name: str, lines: int) -> float:
        """Return the median time of a contender for one line, in µs."""
        return self.median(name) / lines * 1e6

    def rate(self, name: str, lines: int) -> float:
        """Return the median lines per second of a contender."""
        return lines / self.median(name)

    def ratio(self, slow: str, fast: str) -> float:
        """Return how many times longer one contender takes than the other."""
        return self.median(slow) / self.median(fast)

    def spread(self, slow: str, fast: str) -> tuple[float, float]:
        """Return the extremes of that ratio over the single rounds."""
        pairs = zip(self.seconds[slow], self.seconds[fast], strict=True)
        ratios = [one / other for one, other in pairs]
        return min(ratios), max(ratios)


def in_turns(
    contenders: Mapping[str, Callable[[Prepared], float]],
    rounds: int,
    prepare: Callable[[], Prepared],
) -> Times:
    """Return the seconds that each contender takes in each round."""
    return Times(results_in_turns(contenders, rounds, prepare))


def results_in_turns(
    contenders: Mapping[str, Callable[[Prepared], Result]],
    rounds: int,
    prepare: Callable[[], Prepared],
) -> dict[str, list[Result]]:
    """
    Run each contender once per round, on what was prepared for the round, and return its results.

    A first round does not count: it fills the caches and warms up Java.
    """
    results: dict[str, list[Result]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        prepared = prepare()
        for name, contender in contenders.items():
            gc.collect()
            result = contender(prepared)
            if turn:
                results[name].append(result)
    return results


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds that this process spends on a call."""
    began = time.process_time_ns()
    work()
    return (time.process_time_ns() - began) / 1e9


def wall(work: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
