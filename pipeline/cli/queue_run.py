"""Send the objects of a range to the function's queue, and follow the ledger until they are in."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from pipeline.cli.screen import Screen
from pipeline.cli.stopping import stoppable
from pipeline.cli.tracking import tracked
from pipeline.clients.aws import make_sqs
from pipeline.jobs.backfill import Selection
from pipeline.jobs.fanout import send_objects
from pipeline.jobs.selecting import Choice, Known, with_entries
from pipeline.wiring import Queue

_STOPPED = 130
_FOLLOW_SECONDS = 15.0  # between two looks at the whole ledger
_LOOK_SECONDS = 0.5


def fan_out(screen: Screen, selection: Selection, total: int, url: str, *, wait: bool) -> int:
    """Send what is due to the queue; follow the ledger until it is in; return the exit code."""
    sent = 0

    with tracked(screen, lambda: f"{sent:,} of {total:,} sent", lambda: {"sent": sent}) as show:

        def count(more: int) -> None:
            nonlocal sent
            sent += more
            show()

        send_objects(selection.due(), Queue(url, make_sqs()), watch=count)
    screen.say(f"{sent:,} objects were sent to {url}")
    return _follow(screen, selection, sent) if wait else 0


def _follow(screen: Screen, selection: Selection, sent: int) -> int:
    """Ask the ledger again and again until all that was sent is in, or somebody stops it."""
    left, failed = sent, 0

    def in_words() -> str:
        return f"{sent - left:,} of {sent:,} objects are in, {failed:,} failed so far"

    def as_dict() -> dict[str, Any]:
        return {"sent": sent, "in": sent - left, "failed_so_far": failed}

    with stoppable() as stopped, tracked(screen, in_words, as_dict) as show:
        while left and not stopped():
            _pause(stopped, show)
            known = [each for each in _open(selection) if not stopped()]
            left, failed = len(known), sum(each.entry is not None for each in known)
    screen.say(in_words())
    if left:
        screen.note("the queue goes on without this command; `alb-logs audit` says what is missing")
    return _STOPPED if left else 0


def _open(selection: Selection) -> Iterator[Known]:
    known = with_entries(selection.objects(), selection.store)
    return (each for each in known if each.is_due(Choice.OPEN))


def _pause(stopped: Callable[[], bool], show: Callable[[], None]) -> None:
    until = time.monotonic() + _FOLLOW_SECONDS
    while time.monotonic() < until and not stopped():
        show()
        time.sleep(_LOOK_SECONDS)
