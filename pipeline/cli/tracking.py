"""
Show how a run over many objects goes: a board on a terminal, lines of JSON in a pipe.

Both go to standard error, so results stay apart. A terminal is drawn again twice a second; a pipe
gets a line every five seconds, whatever the work waits for, so nobody takes a long object or a
slow listing for a hang.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import click

from pipeline.cli.screen import Screen, is_terminal
from pipeline.outcome import Outcome, Tally
from pipeline.source.objects import ObjectRef

INTERVAL_SECONDS = 5.0
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
        return (
            self.seconds * max(0, whole - part) / part
        )  # some may have come since they were counted

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
) -> Iterator[None]:
    """Show how work goes while the block works, as both functions say at each moment."""
    if screen.quiet:
        yield
    elif is_terminal(sys.stderr):
        with screen.drawn(in_words):
            yield
    else:
        with _lines_of_json(as_dict):
            yield


@contextmanager
def _lines_of_json(as_dict: Callable[[], dict[str, Any]]) -> Iterator[None]:
    """Write a line at each interval, from a thread of its own: the work may wait for long."""
    over, written = threading.Event(), False

    def write() -> None:
        with suppress(OSError):  # nobody can be told
            click.echo(json.dumps({"progress": as_dict()}), err=True)

    def write_on() -> None:
        nonlocal written
        while not over.wait(INTERVAL_SECONDS):
            written = True
            write()

    writer = threading.Thread(target=write_on, daemon=True)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()
        if written:  # the last line is how it ended
            write()
