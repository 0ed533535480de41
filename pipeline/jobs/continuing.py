"""Queue what is left of objects, for another invocation to go on with."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pipeline.aws_refusals import Action, aws_errors
from pipeline.deadline import Deadline
from pipeline.errors import PermanentError, PipelineError, RetriableError
from pipeline.outcome import Outcome
from pipeline.source.continuation import MOST_HOPS, Continuation
from pipeline.source.objects import ObjectRef
from pipeline.wiring import Queue

_SPARE_SECONDS = 0.5
"""Kept for the answer to whoever invoked us."""


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of an object: after the outcome's rest or, where it was not begun, all of it."""

    ref: ObjectRef
    outcome: Outcome

    def continuation(self) -> Continuation:
        """Return the message; a hop is counted only where the object got on."""
        ref, rest = self.ref, self.outcome.rest
        before = ref.continuation or Continuation(
            ref.bucket,
            ref.key,
            hop=0,
            created=ref.created,
            etag=ref.etag,
            version_id=ref.version_id,
        )
        tally = Counter({} if self.outcome.anew else before.tally)
        tally.update(self.outcome.tally.as_dict())
        hop = before.hop + 1 if rest else before.hop
        return replace(before, hop=hop, start=rest or before.start, tally=dict(tally))


def continue_later(
    left: Iterable[Left], queue: Queue | None, deadline: Deadline
) -> Iterator[PipelineError | None]:
    """
    Queue what is left of each object; yield for each the error by which it fails, or None.

    Equal continuations, of a message that came twice, are queued once.
    """
    queued: set[str] = set()
    for each in left:
        continuation = each.continuation()
        message = continuation.message()
        try:
            if message not in queued:
                _check(continuation)
                _send(message, queue, deadline)
                queued.add(message)
        except PipelineError as error:
            yield error
        else:
            yield None


def _check(continuation: Continuation) -> None:
    if continuation.hop > MOST_HOPS:
        raise PermanentError(
            f"the object is not done after {MOST_HOPS} continuations: give the function more "
            "memory or a longer timeout, and see whether Elasticsearch keeps pace; then run "
            f"`alb-logs ingest s3://{continuation.bucket}/{continuation.key}`"
        )


def _send(message: str, queue: Queue | None, deadline: Deadline) -> None:
    if queue is None:
        raise RetriableError(
            "the time of the invocation is up before the object is: set ALB_LOGS_QUEUE_URL to the "
            "function's own queue, so that it can go on by a message, or give it a longer timeout"
        )
    seconds = deadline.seconds_left - _SPARE_SECONDS
    if seconds <= 0:
        raise RetriableError(
            "the time of the invocation is up before what is left of the object could be queued: "
            "give the function a longer timeout"
        )
    with aws_errors(Action.SEND_MESSAGE, "what is left of the object"):
        queue.client(seconds).send_message(QueueUrl=queue.url, MessageBody=message)
