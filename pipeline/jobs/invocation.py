"""
Ingest what messages name, as far as the time of one invocation goes, and queue what is left.

The rules of every front door that works for a queue: what is begun when time is short, what is
passed on, what fails, and which failure is hidden from nobody. It knows neither Lambda nor metrics:
what became of each object is yielded, and `reports` puts it into numbers and log lines.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pipeline.alb.keys import Skipped
from pipeline.deadline import Deadline
from pipeline.errors import (
    ClusterRefusedError,
    ConfigError,
    DefectError,
    NotificationError,
    ObjectMissingError,
    PipelineError,
    RetriableError,
    SinkUnavailableError,
)
from pipeline.ingest import Time
from pipeline.jobs.continuing import Left, continue_later
from pipeline.outcome import Outcome, Tally
from pipeline.source.objects import ObjectRef
from pipeline.wiring import Wired

MARGIN_SHARE = 1 / 60
LEAST_MARGIN_SECONDS = 1.0
MOST_MARGIN_SECONDS = 5.0
"""Kept of an invocation's time for what comes after the objects: messages, metrics, the answer."""

RESERVED_SHARE = 0.3
MOST_RESERVED_SECONDS = 20.0
"""Reading stops so long before the end: what is under way has that time to be taken."""

_NOTHING_YET = Outcome(Tally())


def time_for_objects(seconds: float) -> Time:
    """Return the time for objects in an invocation that ends in so many seconds."""
    margin = max(LEAST_MARGIN_SECONDS, min(MOST_MARGIN_SECONDS, MARGIN_SHARE * seconds))
    reserve = min(MOST_RESERVED_SECONDS, RESERVED_SHARE * seconds)
    return Time(Deadline().within(seconds - margin), reserve)


@dataclass(frozen=True, slots=True)
class Finished:
    """
    What became of one object; `goes_on`: the rest of it was queued.

    `message_id` is that of the message which named it, where it was one of several.
    """

    ref: ObjectRef
    outcome: Outcome
    goes_on: bool = False
    message_id: str | None = None

    @property
    def error(self) -> PipelineError | None:
        """Return what its message fails by. A missing object stays missing: no error."""
        return None if isinstance(self.outcome.error, ObjectMissingError) else self.outcome.error

    @property
    def is_misconfigured(self) -> bool:
        """Return whether clients have to be made again, from settings and secrets as they are."""
        return isinstance(self.outcome.error, ConfigError)


Report = Finished | Skipped | NotificationError
"""What can become of a part of a message."""


class Invocation:
    """
    One invocation's work: object by object, then one handover of all that is left.

    What is left is queued at the very end. An invocation that is killed before has queued nothing,
    so that its messages, which come again, are not there twice.
    """

    def __init__(self, wired: Wired, time: Time, end: Deadline) -> None:
        self._wired, self._time, self._end = wired, time, end
        self._left: list[tuple[Left, str | None]] = []
        self._sick: PipelineError | None = None

    def work_through(
        self, found: Iterable[ObjectRef | Skipped], message_id: str | None = None
    ) -> Iterator[Report]:
        """
        Yield what became of each object, however the others end; then raise the first error.

        An object of which something is left comes out of `hand_over`.
        """
        errors: list[PipelineError] = []
        try:
            for each in found:
                if isinstance(each, Skipped):
                    yield each
                elif finished := self._ingest(each, message_id):
                    yield finished
                    errors += [finished.error] if finished.error else []
        except NotificationError as error:
            yield error
            errors.append(error)
        if errors:
            yield from self._take_back(message_id)
            raise errors[0]

    def _take_back(self, message_id: str | None) -> Iterator[Finished]:
        """Leave what is left of a failed message's objects to the message, which comes again."""
        taken = [left for left, its in self._left if its == message_id]
        self._left = [(left, its) for left, its in self._left if its != message_id]
        for left in taken:
            error = RetriableError("it was not done in time, and comes again with its message")
            outcome = replace(left.outcome, rest=None, error=error)
            yield Finished(left.ref, outcome, message_id=message_id)

    def hand_over(self) -> Iterator[Finished]:
        """Queue what is left of objects; yield each: it goes on, or fails for not being queued."""
        if not self._left:
            return
        queue = self._wired.queue()
        sent = continue_later((left for left, _ in self._left), queue, self._end)
        for (left, message_id), error in zip(self._left, sent, strict=True):
            if error is None:
                yield Finished(left.ref, left.outcome, goes_on=True, message_id=message_id)
            else:
                failed = replace(left.outcome, error=error)
                yield Finished(left.ref, failed, message_id=message_id)

    def _ingest(self, ref: ObjectRef, message_id: str | None) -> Finished | None:
        """Ingest one object as far as time goes; None if something is left of it."""
        try:
            outcome = self._outcome_of(ref)
        except PipelineError as error:  # of clients that were made again
            outcome = Outcome(Tally(), error)
        except Exception as error:  # noqa: BLE001  the other objects get their turn
            defect = DefectError(f"a defect of this package: {type(error).__name__}: {error}")
            defect.__cause__ = error
            outcome = Outcome(Tally(), defect)
        if isinstance(outcome.error, ClusterRefusedError | SinkUnavailableError):
            self._sick = outcome.error
        if outcome is _NOTHING_YET or outcome.rest:
            self._left.append((Left(ref, outcome), message_id))
            return None
        return Finished(ref, outcome, message_id=message_id)

    def _outcome_of(self, ref: ObjectRef) -> Outcome:
        pipeline = self._wired.pipeline(self._time.deadline)
        if self._time.deadline.seconds_left > self._time.reserve:
            return pipeline.ingest(ref, self._time)
        # If Elasticsearch takes nothing, passing on would only hide the failure from the queue.
        return Outcome(Tally(), self._sick) if self._sick else _NOTHING_YET
