"""
Send bulk bodies to Elasticsearch and say what each reply means.

Ready bytes go through elasticsearch-py's transport (TLS, authentication, compression), whose own
retries are off: they would multiply the backoff here. Every document is a `create`, so sending it
again is harmless: 409 says that it is there already. Whose fault a refusal is, `refusals` tells.

elastic.co/guide/en/elasticsearch/reference/8.19/docs-bulk.html
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType
from typing import Any, NamedTuple, Self

from elastic_transport import (
    ConnectionError,  # noqa: A004  the client's own name
    TransportError,
)
from elasticsearch import ApiError, Elasticsearch

from pipeline.deadline import Deadline
from pipeline.errors import AccountingError, ClusterRefusedError, SinkUnavailableError
from pipeline.sink.encoding import Action, Batch, bulk_body
from pipeline.sink.refusals import (
    RETRIED,
    Refused,
    in_words,
    own_fault,
    passes,
    refusal,
    untrusted,
)
from pipeline.sink.requests import timeout_of
from pipeline.sink.silence import Silence

REQUEST_SECONDS = 60.0
"""How long one bulk request may take; under a deadline, less."""

BUDGET_SECONDS = 120.0
"""How long one bulk body is tried where nothing else sets a limit."""

_TOO_LARGE = 413
_TOO_MANY = 429
_CONFLICT = 409
_CREATED = 201
_OK = 200
HEADERS = {"accept": "application/json", "content-type": "application/x-ndjson"}
_REPLY = "errors,items.*._id,items.*.status,items.*.error"


@dataclass(slots=True)
class Replies:
    """What Elasticsearch replied to actions, counted reply by reply."""

    created: int = 0
    duplicates: int = 0
    filtered: int = 0
    throttled: int = field(default=0, compare=False)
    """How often a request, or documents of one, were refused for too much to do (429)."""
    refused: dict[int, Refused] = field(default_factory=dict)
    """By position among the actions."""


class Sent(NamedTuple):
    """A batch of which every document has a final reply."""

    batch: Batch
    replies: Replies


class BulkSender:
    """
    Send batches over several connections and return them, in their order, once replied to.

    At most one batch more than there are connections is held: a slow cluster slows the reading.
    When the block is left by an error, nothing more is sent or waited for.
    """

    def __init__(self, es: Elasticsearch, *, connections: int, deadline: Deadline) -> None:
        self._es, self._connections, self._deadline = es, connections, deadline
        self._pool = ThreadPoolExecutor(connections, thread_name_prefix="bulk")
        self._under_way: deque[tuple[Batch, Future[Replies]]] = deque()
        self._silence = Silence()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Wait for what is under way, but not after an error."""
        if kind is not None:
            self._deadline.give_up()
        self._pool.shutdown(wait=kind is None, cancel_futures=kind is not None)

    def send(self, batch: Batch) -> Iterator[Sent]:
        """Send a batch; yield those that are done, waiting for one if too many are under way."""
        self._silence.end()  # the wait for more to send is nobody's fault
        self._under_way.append((batch, self._begin(batch)))
        while len(self._under_way) > self._connections:
            yield self._first()

    def _begin(self, batch: Batch) -> Future[Replies]:
        if batch.actions:
            return self._pool.submit(self._send, batch.actions)
        nothing: Future[Replies] = Future()
        nothing.set_result(Replies())
        return nothing

    def _send(self, actions: Sequence[Action]) -> Replies:
        return send(actions, es=self._es, deadline=self._deadline, silence=self._silence)

    def finish(self) -> Iterator[Sent]:
        """Yield the batches that are still under way, each when it is done."""
        while self._under_way:
            yield self._first()

    def _first(self) -> Sent:
        batch, sending = self._under_way.popleft()
        while not wait([sending], self._silence.seconds_left).done:
            self._silence.tell()
        self._silence.end()
        return Sent(batch, sending.result())


def send(
    actions: Sequence[Action],
    *,
    es: Elasticsearch,
    deadline: Deadline,
    silence: Silence | None = None,
) -> Replies:
    """
    Send actions until each has a final reply; only those concerned are sent again.

    Raises SinkUnavailableError at the deadline, ClusterRefusedError or ConfigError where the
    cluster or its operator is at fault, AccountingError where replies and actions do not match.
    """
    sending = _Sending(actions, es, deadline.within(BUDGET_SECONDS), silence or Silence())
    pending: Sequence[int] = range(len(actions))
    for attempt in count():
        if not pending:
            break
        pending = sending.send_once(pending)
        if pending:
            sending.back_off(attempt)
    return sending.replies


class _Sending:
    """Actions under way: which replies came, and why the others have to be sent again."""

    def __init__(
        self, actions: Sequence[Action], es: Elasticsearch, deadline: Deadline, silence: Silence
    ) -> None:
        self._actions, self._es, self._deadline = actions, es, deadline
        self._silence = silence
        self._cause: Exception | str = ""
        self.replies = Replies()

    def send_once(self, pending: Sequence[int]) -> Sequence[int]:
        """Send the actions at these positions; return those to send again."""
        try:
            answer = self._request(pending)
        except ApiError as error:
            if error.meta.status == _TOO_LARGE:
                return self._send_halves(pending)
            if error.meta.status not in RETRIED:
                raise refusal(error) from error
            self.replies.throttled += error.meta.status == _TOO_MANY
            return self._again(pending, error)
        except TransportError as error:  # no connection, a time-out, an answer cut in the middle
            if fault := untrusted(error):
                raise fault from error
            return self._again(pending, error)
        return self._sort_replies(pending, answer)

    def back_off(self, attempt: int) -> None:
        """Wait before the next attempt; raise if there is no time for it."""
        self._silence.note(in_words(self._cause))
        if not self._deadline.back_off(attempt):
            raise self._too_late(in_words(self._cause)) from (
                self._cause if isinstance(self._cause, Exception) else None
            )

    def _again(self, pending: Sequence[int], cause: Exception) -> Sequence[int]:
        self._cause = cause
        return pending

    def _request(self, pending: Sequence[int]) -> list[dict[str, Any]]:
        timeout = timeout_of(self._es, self._deadline, REQUEST_SECONDS)
        if timeout <= 0:
            cause = in_words(self._cause) or "the time was up before they could be sent"
            raise self._too_late(cause)
        answer = self._es.options(request_timeout=timeout).perform_request(
            "POST",
            "/_bulk",
            params={"filter_path": _REPLY},
            headers=HEADERS,
            body=bulk_body([self._actions[at] for at in pending]),
        )
        return _items(answer.body)

    def _too_late(self, cause: str) -> SinkUnavailableError:
        return SinkUnavailableError(
            f"Elasticsearch did not take the documents in time: {cause}. See whether the cluster "
            "is up and keeps pace"
        )

    def _send_halves(self, pending: Sequence[int]) -> Sequence[int]:
        """Split a body that is too large for the cluster (413), down to single documents."""
        if len(pending) == 1:
            raise ClusterRefusedError(
                f"a single document of {len(self._actions[pending[0]].source)} bytes is too large "
                "for Elasticsearch or a proxy before it: raise http.max_content_length there"
            )
        middle = len(pending) // 2
        first = self.send_once(pending[:middle])
        return [*first, *self.send_once(pending[middle:])]

    def _sort_replies(self, pending: Sequence[int], answer: list[dict[str, Any]]) -> list[int]:
        """Count final replies; return the positions to send again."""
        if len(answer) != len(pending):
            raise AccountingError(
                f"{len(pending)} documents were sent, {len(answer)} were replied to"
            )
        creates = [written for reply in answer for written in reply.values()]  # one of each
        ids = [self._actions[at].id for at in pending]
        if _all_created(creates) and [each["_id"] for each in creates] == ids:
            self.replies.created += len(creates)  # nearly always, and faster than one by one
            return []
        again = [
            at
            for at, create in zip(pending, creates, strict=True)
            if not self._is_final(at, create)
        ]
        refused = {create["status"] for create in creates if "error" in create}
        self.replies.throttled += bool(again) and _TOO_MANY in refused
        return again

    def _is_final(self, at: int, create: dict[str, Any]) -> bool:
        """Count one reply, unless its document has to be sent again."""
        if create["_id"] != self._actions[at].id:
            raise AccountingError(
                f"a reply for {create['_id']} came where {self._actions[at].id} was sent"
            )
        if create["status"] == _CREATED:
            self.replies.created += 1
        elif create["status"] == _OK and not self._actions[at].replaces:  # a pipeline dropped it
            self.replies.filtered += 1
        elif create["status"] in {_CONFLICT, _OK}:  # it is there, or was and is replaced
            self.replies.duplicates += 1
        elif passes(create):
            error = create["error"]
            self._cause = f"{create['status']} {error['type']}: {error['reason']}"
            return False
        else:
            self.replies.refused[at] = own_fault(create)
        return True


def _items(answer: object) -> list[dict[str, Any]]:
    """Return the replies of an answer; an answer that has none was lost in part, or changed."""
    items = answer.get("items") if isinstance(answer, dict) else None
    if not isinstance(items, list):
        raise ConnectionError("the answer to a bulk request has no items")
    return items


def _all_created(creates: list[dict[str, Any]]) -> bool:
    return {each["status"] for each in creates} == {_CREATED}
