"""Send the objects of a range to the function's queue, and follow the ledger until they are in."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pipeline.cli.screen import Screen, complain
from pipeline.cli.stopping import stoppable
from pipeline.cli.tracking import tracked
from pipeline.clients.aws import make_sqs
from pipeline.errors import PermanentError
from pipeline.jobs.backfill import Selection
from pipeline.jobs.fanout import send_objects
from pipeline.jobs.selecting import Choice, Known, with_entries
from pipeline.wiring import Queue

_STOPPED = 130
_FIRST_SECONDS, _MOST_SECONDS = 1.0, 15.0  # between two looks at the whole ledger
_LOOK_SECONDS = 0.5
_MOST_FAILED_SHOWN = 20
_LASTING = frozenset(each.__name__ for each in PermanentError.__subclasses__())
"""By their names in the ledger: the errors by which an object fails again."""


@dataclass(frozen=True, slots=True)
class Aim:
    """Which queue `total` objects are sent to, whether to follow them, and how to tell of it."""

    url: str
    total: int
    wait: bool = True
    as_json: bool = False


def fan_out(screen: Screen, selection: Selection, aim: Aim) -> int:
    """Send what is due to the queue; follow the ledger until it is in; return the exit code."""
    sent = 0

    def count(more: int) -> None:
        nonlocal sent
        sent += more

    with tracked(screen, lambda: f"{sent:,} of {aim.total:,} sent", lambda: {"sent": sent}):
        send_objects(selection.due(), Queue(aim.url, make_sqs()), watch=count)
    if aim.as_json:
        screen.write_json({"queue_url": aim.url, "sent": sent})
    else:
        screen.say(f"{sent:,} objects were sent to {aim.url}")
    if aim.wait and selection.choice is Choice.ALL:
        screen.note(
            "the ledger cannot tell when those that were complete before are read again: see the "
            "length of the queue"
        )
        return 0
    if not aim.wait:
        return 0
    return _Following(screen, selection, sent, as_json=aim.as_json).follow()


@dataclass(slots=True)
class _Open:
    """What the ledger does not know to be complete: objects that wait, and that failed for good."""

    waiting: int = 0
    failed: int = 0
    some: list[tuple[str, str]] = field(default_factory=list)
    """Keys of some that failed, and why."""

    def add(self, known: Known) -> None:
        """Count an object."""
        error = known.entry.error if known.entry else None
        if error is None or error[0] not in _LASTING:
            self.waiting += 1
            return
        self.failed += 1
        if len(self.some) < _MOST_FAILED_SHOWN:
            self.some.append((known.ref.key, error[1]))


class _Following:
    """The ledger, asked again and again until all that was sent is in or has failed for good."""

    def __init__(self, screen: Screen, selection: Selection, sent: int, *, as_json: bool) -> None:
        self._screen, self._selection, self._sent = screen, selection, sent
        self._as_lines = as_json
        self._open = _Open(waiting=sent)

    def follow(self) -> int:
        """Wait until nothing more is to be expected, or somebody stops it; return the exit code."""
        with stoppable() as stopped, tracked(self._screen, self._in_words, self._as_dict):
            pause, before = _FIRST_SECONDS, _Open()
            while not stopped() and self._changes_yet(before):
                _pause(pause, stopped)
                pause, before = min(2 * pause, _MOST_SECONDS), self._open
                self._look(stopped)
            return self._end(ended=stopped())

    def _changes_yet(self, before: _Open) -> bool:
        """Return whether to look again: a failure may be one of before, so it is seen twice."""
        return bool(self._open.waiting or (self._open.failed and self._open != before))

    def _look(self, stopped: Callable[[], bool]) -> None:
        found = _Open()
        for known in with_entries(self._selection.objects(), self._selection.store):
            if stopped():
                return
            if known.is_due(self._selection.choice):
                found.add(known)
        self._open = found

    def _end(self, *, ended: bool) -> int:
        if self._as_lines:
            self._screen.write_json(self._as_dict())
        else:
            self._screen.say(self._in_words())
        if ended:
            self._screen.note(
                "the queue goes on without this command; `alb-logs audit` says what is missing"
            )
            return _STOPPED
        for key, message in self._open.some:
            complain(f"{key} failed: {message}")
        if (more := self._open.failed - len(self._open.some)) > 0:
            complain(f"… and {more:,} more objects failed")
        return int(bool(self._open.failed))

    def _in_words(self) -> str:
        is_in = max(0, self._sent - self._open.waiting - self._open.failed)
        return (
            f"{is_in:,} of {self._sent:,} objects are in, {self._open.failed:,} failed, "
            f"{self._open.waiting:,} are waiting"
        )

    def _as_dict(self) -> dict[str, Any]:
        return {
            "sent": self._sent,
            "failed": self._open.failed,
            "waiting": self._open.waiting,
        }


def _pause(seconds: float, stopped: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not stopped():
        time.sleep(min(left, _LOOK_SECONDS))
