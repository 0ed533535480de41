"""
What is fuzzed: targets make cases from a seed, and check what must hold of any case.

A case is bytes, complete in itself: kept under `corpus/`, it is checked again by every test run. It
holds many inputs (lines, messages), each of which is checked.
"""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from random import Random
from types import FrameType

from tests.fuzz.events import case_of_bodies, case_of_events, check_events
from tests.fuzz.hostile import case_of_hostile
from tests.fuzz.lines import CONTEXTS, case_of_lines, check_lines
from tests.fuzz.reader import case_of_reader, check_reader

CORPUS = Path(__file__).parent / "corpus"
HANG_SECONDS = 2.0 if sys.gettrace() is None else 20.0
"""CPU seconds: a case of 1 MiB takes a fifth of it, one line of quadratic time more than all."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something that takes any input, and what must hold of it."""

    name: str
    corpus: Path
    make: Callable[[Random], bytes]
    check: Callable[[bytes], int]
    """Check a case and return the number of inputs in it."""
    separator: bytes | None = None
    """What parts the inputs of a case; None where it is one."""
    enough: int = 6_000
    """So many inputs, at least, are checked by every test run."""


class HangError(Exception):
    """A case took much longer than any should."""


def cases_of(target: Target, seed: int, first: int = 0) -> Iterator[bytes]:
    """Return one case after another; each can be made again from the seed and its number."""
    return (target.make(Random(f"{target.name}/{seed}/{number}")) for number in count(first))


def checked(target: Target, case: bytes) -> int:
    """Check a case, which fails as well where it takes too long; return the number of inputs."""
    with _time_limit():
        return target.check(case)


@contextmanager
def _time_limit() -> Iterator[None]:
    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise HangError(f"a case takes more than {HANG_SECONDS} seconds")

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def smallest(target: Target, case: bytes) -> bytes:
    """Leave out what can be left out of a failing case: whole inputs, half of them at a time."""
    if target.separator is None:
        return case
    inputs = case.split(target.separator)
    size = len(inputs)
    while size := size // 2:
        at = 0
        while at < len(inputs) > 1:
            fewer = inputs[:at] + inputs[at + size :]
            if fewer and _fails(target, target.separator.join(fewer)):
                inputs = fewer
            else:
                at += size
    return target.separator.join(inputs)


def _fails(target: Target, case: bytes) -> bool:
    try:
        checked(target, case)
    except Exception:  # noqa: BLE001
        return True
    return False


def _lines_target(context: str) -> Target:
    def check(case: bytes) -> int:
        return check_lines(case, CONTEXTS[context])

    return Target(f"lines-{context}", CORPUS / "lines", case_of_lines(context), check, b"\n")


def _hostile_target() -> Target:
    lines = _lines_target("auto")
    return replace(lines, name="lines-hostile", make=case_of_hostile, enough=800)


TARGETS = {
    target.name: target
    for target in (
        *map(_lines_target, CONTEXTS),
        _hostile_target(),
        Target("reader", CORPUS / "reader", case_of_reader, check_reader),
        Target("events", CORPUS / "events", case_of_events, check_events, b"\n"),
        Target("bodies", CORPUS / "events", case_of_bodies, check_events, b"\n"),
    )
}
