"""Queue what is left of objects, for another invocation to go on with."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipeline.deadline import Deadline
from pipeline.errors import PermanentError, PipelineError, RetriableError
from pipeline.jobs.sending import BatchSender, batches_of
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
) -> list[PipelineError | None]:
    """
    Queue what is left of each object; return for each the error by which it fails, or None.

    Equal continuations, of a message that came twice, are queued once.
    """
    continuations = [each.continuation() for each in left]
    messages = [each.message() for each in continuations]
    errors = {
        message: _refusal(continuation, queue)
        for message, continuation in zip(messages, continuations, strict=True)
    }
    if queue is not None:
        sender = BatchSender(queue.url, queue.client, "what is left of the object")
        for batch in batches_of([each for each in errors if errors[each] is None]):
            errors.update(zip(batch, _send(batch, sender, deadline), strict=True))
    return [errors[message] for message in messages]


def _refusal(continuation: Continuation, queue: Queue | None) -> PipelineError | None:
    """Return why a continuation cannot be queued at all, if so."""
    if continuation.hop > MOST_HOPS:
        return PermanentError(
            f"the object is not done after {MOST_HOPS} continuations: give the function more "
            "memory or a longer timeout, and see whether Elasticsearch keeps pace; then run "
            f"`alb-logs ingest s3://{continuation.bucket}/{continuation.key}`"
        )
    if queue is None:
        return RetriableError(
            "the time of the invocation is up before the object is: set ALB_LOGS_QUEUE_URL to the "
            "function's own queue, so that it can go on by a message, or give it a longer timeout"
        )
    return None


def _send(
    batch: Sequence[str], sender: BatchSender, deadline: Deadline
) -> Sequence[PipelineError | None]:
    spared = deadline.sooner_by(_SPARE_SECONDS)
    if spared.passed:
        late = RetriableError(
            "the time of the invocation is up before what is left of the object could be queued: "
            "give the function a longer timeout"
        )
        return [late] * len(batch)
    return sender.send(batch, spared)
