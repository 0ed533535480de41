"""
Send bulk bodies to Elasticsearch and say what each reply means.

Ready bytes go through elasticsearch-py's transport (TLS, authentication, compression), whose own
retries are off: they would multiply the backoff here. Every document is a `create`, so sending it
again is harmless: 409 says that it is there already. Whose fault a refusal is, `refusals` tells.

elastic.co/guide/en/elasticsearch/reference/8.19/docs-bulk.html
"""

import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any

from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch

from pipeline.errors import AccountingError, ClusterRefusedError, SinkUnavailableError
from pipeline.sink.encoding import Batch
from pipeline.sink.refusals import RETRIED, Refused, in_words, own_fault, passes, refusal, untrusted

REQUEST_SECONDS = 60.0
"""How long one bulk request may take; under a deadline, less."""

_TOO_LARGE = 413
_CONFLICT = 409
_CREATED = {200, 201}
BUDGET_SECONDS = 120.0
"""How long one bulk body is tried where nothing else sets a limit."""

_HEADERS = {"accept": "application/json", "content-type": "application/x-ndjson"}
_REPLY = "errors,items.create._id,items.create._index,items.create.status,items.create.error"
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 20.0


@dataclass(slots=True)
class Replies:
    """What Elasticsearch replied to a batch, counted reply by reply."""

    created: int = 0
    duplicates: int = 0
    refused: dict[int, Refused] = field(default_factory=dict)
    """By position in the batch."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """
    Say until when it is worth trying: a moment, or sooner where the object has failed already.

    `end` is a moment of the monotonic clock, in seconds; a test may bring its own `pause`.
    """

    end: float = math.inf
    given_up: Event = field(default_factory=Event)
    pause: Callable[[float], object] | None = None

    def within(self, seconds: float) -> "Deadline":
        """Give the sooner of this deadline and one so many seconds from now."""
        return replace(self, end=min(self.end, time.monotonic() + seconds))

    def left(self) -> float:
        """Give the seconds left, none where the object was given up."""
        return 0.0 if self.given_up.is_set() else max(0.0, self.end - time.monotonic())

    def give_up(self) -> None:
        """Make every retry that is under way stop at its next pause."""
        self.given_up.set()

    def back_off(self, attempt: int, cause: Exception | str) -> None:
        """Wait before the next attempt (counted from 0); raise where there is no time for it."""
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**attempt) * random.uniform(0.5, 1.0)
        if pause >= self.left():
            raise _too_late(in_words(cause)) from (cause if isinstance(cause, Exception) else None)
        (self.pause or self.given_up.wait)(pause)


def _too_late(cause: str) -> SinkUnavailableError:
    return SinkUnavailableError(
        f"Elasticsearch did not take the documents in time: {cause}. They are safe in S3 and will "
        "be tried again; see whether the cluster is up and keeps pace"
    )


def index_batches(
    batches: Iterator[Batch], *, es: Elasticsearch, connections: int, deadline: Deadline
) -> Iterator[tuple[Batch, Replies]]:
    """
    Send batches over several connections, in their order, and give each with its replies.

    At most one batch more than there are connections is held: a slow cluster slows the reading.
    """
    with ThreadPoolExecutor(connections, thread_name_prefix="bulk") as pool:
        pending: deque[tuple[Batch, Future[Replies]]] = deque()
        try:
            for batch in batches:
                pending.append((batch, pool.submit(send_batch, batch, es=es, deadline=deadline)))
                if len(pending) > connections:
                    yield _first(pending)
            while pending:
                yield _first(pending)
        except BaseException:
            deadline.give_up()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _first(pending: deque[tuple[Batch, Future[Replies]]]) -> tuple[Batch, Replies]:
    batch, future = pending.popleft()
    return batch, future.result()


def send_batch(batch: Batch, *, es: Elasticsearch, deadline: Deadline) -> Replies:
    """Send one batch until every document of it has a final reply."""
    return send_items(batch.ids, batch.items, es=es, deadline=deadline)


def send_items(
    ids: Sequence[str], items: Sequence[bytes], *, es: Elasticsearch, deadline: Deadline
) -> Replies:
    """
    Send bulk items until each has a final reply; only those concerned are sent again.

    Raises SinkUnavailableError at the deadline, ClusterRefusedError or ConfigError where the
    cluster or its operator is at fault, AccountingError where replies and items do not match.
    """
    replies = Replies()
    pending: Sequence[int] = range(len(items))
    deadline = deadline.within(BUDGET_SECONDS)
    attempt = 0
    while pending:
        again, cause = _send_once(ids, items, pending, replies, (es, deadline))
        if again:
            deadline.back_off(attempt, cause)
        attempt += 1
        pending = again
    return replies


# --- one request ---------------------------------------------------------------------------------


def _send_once(
    ids: Sequence[str],
    items: Sequence[bytes],
    pending: Sequence[int],
    replies: Replies,
    link: tuple[Elasticsearch, Deadline],
) -> tuple[Sequence[int], Exception | str]:
    """Send the pending items once; give those to send again, and why."""
    try:
        answer = _request(b"".join([items[at] for at in pending]), *link)
    except ApiError as error:
        if error.meta.status == _TOO_LARGE:
            return _send_halves(ids, items, pending, replies, link)
        if error.meta.status not in RETRIED:
            raise refusal(error) from error
        return pending, error
    except TransportError as error:  # no connection, a time-out, an answer cut in the middle
        if fault := untrusted(error):
            raise fault from error
        return pending, error
    return _sort_replies(ids, pending, answer, replies)


def _request(body: bytes, es: Elasticsearch, deadline: Deadline) -> list[dict[str, Any]]:
    timeout = min(REQUEST_SECONDS, deadline.left())
    if timeout <= 0:
        raise _too_late("the time was up before they could be sent")
    answer = es.options(request_timeout=timeout).perform_request(
        "POST", "/_bulk", params={"filter_path": _REPLY}, headers=_HEADERS, body=body
    )
    items: list[dict[str, Any]] = answer.body.get("items", [])
    return items


def _send_halves(
    ids: Sequence[str],
    items: Sequence[bytes],
    pending: Sequence[int],
    replies: Replies,
    link: tuple[Elasticsearch, Deadline],
) -> tuple[Sequence[int], Exception | str]:
    """Split a body that is too large for the cluster (413), down to single documents."""
    if len(pending) == 1:
        raise ClusterRefusedError(
            f"a single document of {len(items[pending[0]])} bytes is too large for Elasticsearch "
            "or a proxy before it: raise http.max_content_length there"
        )
    middle = len(pending) // 2
    first, first_cause = _send_once(ids, items, pending[:middle], replies, link)
    second, second_cause = _send_once(ids, items, pending[middle:], replies, link)
    return [*first, *second], first_cause or second_cause


def _all_created(creates: list[dict[str, Any]]) -> bool:
    return _CREATED.issuperset([each["status"] for each in creates])


def _sort_replies(
    ids: Sequence[str], pending: Sequence[int], answer: list[dict[str, Any]], replies: Replies
) -> tuple[list[int], str]:
    """Count final replies; give the items to send again, and the last reason."""
    again: list[int] = []
    cause = ""
    if len(answer) != len(pending):
        raise AccountingError(f"{len(pending)} documents were sent, {len(answer)} were replied to")
    creates = [reply["create"] for reply in answer]
    if _all_created(creates) and [each["_id"] for each in creates] == [ids[at] for at in pending]:
        replies.created += len(creates)  # nearly always, and at a fraction of the loop's time
        return again, cause
    for at, create in zip(pending, creates, strict=True):
        if create["_id"] != ids[at]:
            raise AccountingError(f"a reply for {create['_id']} stands where {ids[at]} was sent")
        if create["status"] in _CREATED:
            replies.created += 1
        elif create["status"] == _CONFLICT:
            replies.duplicates += 1
        elif passes(create):
            again.append(at)
            cause = f"{create['status']} {create['error']['type']}: {create['error']['reason']}"
        else:
            replies.refused[at] = own_fault(create)
    return again, cause
