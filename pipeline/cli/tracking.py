"""
Show how a run over many objects goes: a board on a terminal, lines of JSON in a pipe.

Both go to standard error, so results stay apart. A terminal is drawn anew twice a second; a pipe
gets a line every ten seconds, so nobody takes a long object for a hang.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import click

from pipeline.cli.screen import Screen, is_terminal
from pipeline.outcome import Outcome, Tally
from pipeline.source.objects import ObjectRef

INTERVAL_SECONDS = 10.0
_LEAST_SECONDS = 1.0  # before a rate means something


@dataclass(slots=True)
class Standing:
    """How far a run is; `size` is in stored bytes."""

    objects: int
    size: int
    done: int = 0
    done_bytes: int = 0
    failed: int = 0
    tally: Tally = field(default_factory=Tally)
    begun: float = field(default_factory=time.monotonic)

    def add(self, ref: ObjectRef, outcome: Outcome) -> None:
        """Count an object that is done."""
        self.done += 1
        self.done_bytes += ref.size or 0
        self.failed += outcome.error is not None
        self.tally += outcome.tally

    @property
    def seconds(self) -> float:
        """Return the seconds since the run began."""
        return time.monotonic() - self.begun

    @property
    def rate(self) -> float:
        """Return the lines per second so far."""
        return self.tally.lines / max(self.seconds, _LEAST_SECONDS)

    @property
    def left(self) -> float | None:
        """Return the seconds that are left, at the pace so far; None before anything is done."""
        if not self.done:
            return None
        whole, part = (self.size, self.done_bytes) if self.done_bytes else (self.objects, self.done)
        return self.seconds * (whole - part) / part

    def as_dict(self) -> dict[str, Any]:
        """Return all numbers by name."""
        return {
            "objects": self.objects,
            "done": self.done,
            "failed": self.failed,
            "bytes_stored": self.size,
            "bytes_done": self.done_bytes,
            **self.tally.as_dict(),
            "lines_per_second": round(self.rate),
            "seconds": round(self.seconds, 1),
            "seconds_left": None if self.left is None else round(self.left),
        }

    def in_words(self) -> str:
        """Return the numbers for people."""
        left = "" if self.left is None else f", about {spell(self.left)} left"
        return (
            f"{self.done:,} of {self.objects:,} objects, {self.done_bytes / 1e6:,.1f} of "
            f"{self.size / 1e6:,.1f} MB, {self.tally.lines:,} lines ({self.rate:,.0f}/s), "
            f"{self.tally.duplicates:,} duplicates, {self.tally.rejected:,} rejected, "
            f"{self.failed:,} failed{left}"
        )


def spell(seconds: float) -> str:
    """Return a time for people: 0:01:30."""
    return str(timedelta(seconds=round(seconds)))


@contextmanager
def tracked(
    screen: Screen, in_words: Callable[[], str], as_dict: Callable[[], dict[str, Any]]
) -> Iterator[Callable[[], None]]:
    """Show how work goes while the block works; call what is yielded every now and then."""
    if screen.quiet:
        yield lambda: None
    elif is_terminal(sys.stderr):
        with screen.drawn(in_words):
            yield lambda: None
    else:
        yield _Lines(as_dict).show


class _Lines:
    """Write a line of JSON at each interval."""

    def __init__(self, as_dict: Callable[[], dict[str, Any]]) -> None:
        self._as_dict, self._last = as_dict, time.monotonic()

    def show(self) -> None:
        if time.monotonic() - self._last >= INTERVAL_SECONDS:
            self._last = time.monotonic()
            click.echo(json.dumps({"progress": self._as_dict()}), err=True)
