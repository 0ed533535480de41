"""
Replace or delete documents that were read before, unless somebody has changed them meanwhile.

Elasticsearch compares the sequence number of what was read, so sending a change again is harmless:
https://www.elastic.co/guide/en/elasticsearch/reference/8.19/optimistic-concurrency-control.html
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import orjson
from elasticsearch import ApiError, Elasticsearch

from pipeline.deadline import Deadline
from pipeline.errors import AccountingError, ClusterRefusedError, SinkUnavailableError
from pipeline.sink.bulk import HEADERS
from pipeline.sink.refusals import Refused, elasticsearch_errors, own_fault, passes
from pipeline.sink.requests import BUDGET_SECONDS, Request, ask
from pipeline.sink.scanning import Hit

_BODY_BYTES = 1_000_000
_SECONDS = 60.0
_TOO_LARGE = 413
_ANOTHER_VERSION = {404, 409}
_DONE = {200, 201}
_PATH = "/_bulk?refresh={}&filter_path=items.*._id,items.*.status,items.*.error"


class Change(NamedTuple):
    """What is to become of a document that was read: JSON that replaces it, or None: delete it."""

    of: Hit
    source: bytes | None = None

    @property
    def text(self) -> bytes:
        """Return the change's lines of a bulk body."""
        head: dict[str, Any] = {
            "_index": self.of.index,
            "_id": self.of.id,
            "if_seq_no": self.of.seq_no,
            "if_primary_term": self.of.primary_term,
        }
        if self.source is None:
            return orjson.dumps({"delete": head}) + b"\n"
        # No pipeline of the index may add again what is taken away.
        head["pipeline"] = "_none"
        return orjson.dumps({"index": head}) + b"\n" + self.source + b"\n"


class Changed(NamedTuple):
    """
    What became of changes: those that were made, and those in conflict.

    A conflict says that the document is another version by now, or gone: by somebody else, or by
    this very change, if the answer to it was lost.
    """

    made: list[Change]
    conflicts: list[Change]


def change(
    changes: Iterable[Change], *, es: Elasticsearch, deadline: Deadline, refresh: bool = False
) -> Iterator[Changed]:
    """
    Carry changes out in bodies of about 1 MB; yield what became of each body.

    With `refresh`, searches show them by then.
    Raises SinkUnavailableError, ClusterRefusedError or ConfigError.
    """
    for body in _bodies(changes):
        yield _Changing(es, deadline, _PATH.format(str(refresh).lower())).carry_out(body)


def _bodies(changes: Iterable[Change]) -> Iterator[list[Change]]:
    body: list[Change] = []
    size = 0
    for each in changes:
        length = len(each.text)
        if body and size + length > _BODY_BYTES:
            yield body
            body, size = [], 0
        body.append(each)
        size += length
    if body:
        yield body


class _Changing:
    """Changes under way, until each has a final reply."""

    def __init__(self, es: Elasticsearch, deadline: Deadline, path: str) -> None:
        self._path = path
        self._es, self._deadline = es, deadline.within(BUDGET_SECONDS)
        self._changed = Changed([], [])

    def carry_out(self, changes: Sequence[Change]) -> Changed:
        """Send changes until each is made or in conflict."""
        attempt = 0
        while changes := self._send(changes):
            if not self._deadline.back_off(attempt):
                raise SinkUnavailableError(
                    "Elasticsearch did not change documents in time. See whether the cluster is up "
                    "and keeps pace; then run the command again"
                )
            attempt += 1
        return self._changed

    def _send(self, changes: Sequence[Change]) -> list[Change]:
        """Send changes once; return those to send again."""
        body = b"".join(each.text for each in changes)
        request = Request("POST", self._path, body, HEADERS, _SECONDS)
        with elasticsearch_errors():
            try:
                items = ask(self._es, request, self._deadline).get("items", [])
            except ApiError as error:
                if error.meta.status != _TOO_LARGE or len(changes) == 1:
                    raise
                return self._send_halves(changes)
        if len(items) != len(changes):
            raise AccountingError(f"{len(changes)} changes were sent, {len(items)} replied to")
        replies = [reply for item in items for reply in item.values()]
        return [
            each for each, reply in zip(changes, replies, strict=True) if self._passes(each, reply)
        ]

    def _send_halves(self, changes: Sequence[Change]) -> list[Change]:
        middle = len(changes) // 2
        return self._send(changes[:middle]) + self._send(changes[middle:])

    def _passes(self, each: Change, reply: dict[str, Any]) -> bool:
        """Return whether a change has to be sent again; raise if the cluster refuses it."""
        if reply["_id"] != each.of.id:
            raise AccountingError(f"a reply for {reply['_id']} came where {each.of.id} was sent")
        if reply["status"] in _DONE:
            self._changed.made.append(each)
        elif reply["status"] in _ANOTHER_VERSION:
            self._changed.conflicts.append(each)
        elif passes(reply):
            return True
        else:
            raise _refused(each, own_fault(reply))
        return False


def _refused(each: Change, why: Refused) -> ClusterRefusedError:
    return ClusterRefusedError(
        f"Elasticsearch refuses to change the document {each.of.id} in {each.of.index} "
        f"({why.type}: {why.reason}): see whether the mapping of the index is ours"
    )
