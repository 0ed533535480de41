"""
Hand objects over to the functions that work for a queue, as if S3 had announced them just now.

Each object is one message in the shape of S3's own notification, so whoever reads the queue needs
to know nothing of a backfill.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any
from urllib.parse import quote_plus

from pipeline.deadline import Deadline
from pipeline.errors import ConfigError, PipelineError
from pipeline.jobs.sending import BatchSender, batches_of
from pipeline.source.objects import ObjectRef
from pipeline.wiring import Queue

_AT_ONCE = 8
"""Requests under way: a request is mostly waiting. botocore keeps ten connections."""

PATIENCE_SECONDS = 120.0
"""How long a batch is tried."""

Errors = list[PipelineError | None]
_NO_LIMIT = Deadline()


def send_objects(
    refs: Iterable[ObjectRef],
    queue: Queue,
    *,
    watch: Callable[[int], object] = lambda _: None,
    deadline: Deadline = _NO_LIMIT,
) -> int:
    """
    Queue every object; return how many there were. `watch` is told of each batch's, once queued.

    Objects are taken as fast as they are sent, so there may be any number of them. The first one
    that cannot be queued ends it with an error, after all that is under way.
    """
    _refuse_fifo(queue.url)
    own = deadline.apart()
    sender = BatchSender(queue.url, lambda _: queue.patient, "the objects to ingest")
    sent, failed = 0, list[PipelineError]()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        batches = takewhile(lambda _: not failed, batches_of(map(message_of, refs)))
        waiting = (
            pool.submit(sender.send, batch, own.within(PATIENCE_SECONDS)) for batch in batches
        )
        try:
            for errors in _in_order(waiting):
                queued = errors.count(None)
                sent += queued
                watch(queued)
                failed += filter(None, errors)
        except BaseException:  # Ctrl-C, or a listing that fails: wait for no retry
            own.give_up()
            raise
    if failed:
        raise _stopped(failed[0], sent)
    return sent


def message_of(ref: ObjectRef) -> str:
    """Return the message by which S3 would announce an object; what is not known is left out."""
    stored = {
        "key": quote_plus(ref.key, safe="/"),
        "size": ref.size,
        "eTag": ref.etag,
        "versionId": ref.version_id,
    }
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": ref.name and ref.name.region,
        "eventTime": ref.created and _instant(ref.created),
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": ref.bucket, "arn": f"arn:aws:s3:::{ref.bucket}"},
            "object": _known(stored),
        },
    }
    return json.dumps({"Records": [_known(record)]}, separators=(",", ":"))


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}


def _in_order(waiting: "Iterator[Future[Errors]]") -> Iterator[Errors]:
    """Yield the results in the order of the work, with at most so many pieces under way."""
    under_way: deque[Future[Errors]] = deque()
    for each in waiting:
        under_way.append(each)
        if len(under_way) == _AT_ONCE:
            yield under_way.popleft().result()
    while under_way:
        yield under_way.popleft().result()


def _refuse_fifo(url: str) -> None:
    if url.endswith(".fifo"):
        raise ConfigError(
            f"{url} is a FIFO queue, which S3 cannot notify and one object would hold up for the "
            "others: give the standard queue that the function works for"
        )


def _stopped(error: PipelineError, sent: int) -> PipelineError:
    """Return the error, of the same kind, with how far it came."""
    stopped = type(error)(
        f"{error}. {sent} objects are queued: run it again once that is fixed; those that come "
        "twice are indexed once"
    )
    stopped.__cause__ = error
    return stopped
