"""
Read documents back, page by page, as they were when reading began; memory stays flat.

A point in time keeps what is found stable while the same documents are changed or deleted:
https://www.elastic.co/guide/en/elasticsearch/reference/8.19/point-in-time-api.html
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson
from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch

from pipeline.deadline import Deadline
from pipeline.sink.refusals import elasticsearch_errors
from pipeline.sink.requests import Request, ask, multi_get

KEEP_ALIVE = "30m"
"""How long the work on one page may take."""

_SECONDS = 60.0  # of a search: what is found by its doc values alone takes its time
_CLOSING_SECONDS = 5.0
_FIRST_PAGE, _LONGEST_PAGE = 50, 500
_PAGE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Hit:
    """A document as it was read: it may be changed as long as it is still this version."""

    index: str
    id: str
    seq_no: int
    primary_term: int
    source: dict[str, Any]

    @property
    def place(self) -> "Place":
        """Return where the document is."""
        return self.index, self.id

    def get(self, name: str) -> object:
        """Return the value of a field, whose name may be written with dots; None without one."""
        return _value(self.source, name)


def _value(source: object, name: str) -> object:
    if isinstance(source, list):  # of objects, which we never write
        values = [_value(each, name) for each in source]
        return [each for each in values if each is not None] or None
    if not isinstance(source, dict):
        return None
    if name in source:
        return source[name]
    first, dot, rest = name.partition(".")
    return _value(source.get(first), rest) if dot else None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which documents of which indices are read, in which order, and how much of them."""

    indices: str
    query: Mapping[str, Any]
    sort: Sequence[Mapping[str, Any]] = ({"_shard_doc": "asc"},)
    fields: Sequence[str] | bool = True


def count(es: Elasticsearch, wanted: Wanted, deadline: Deadline) -> int:
    """Return how many documents there are now."""
    path = f"/{wanted.indices}/_count?{_CLOSED_TOO}"
    with elasticsearch_errors():
        answer = ask(es, Request("POST", path, {"query": wanted.query}, seconds=_SECONDS), deadline)
    return int(answer["count"])


def scan(es: Elasticsearch, wanted: Wanted, deadline: Deadline) -> Iterator[list[Hit]]:
    """
    Yield the documents that are there now in pages, of fewer the longer they are.

    Raises SinkUnavailableError, ClusterRefusedError (an index is closed, too) or ConfigError.
    """
    path = f"/{wanted.indices}/_pit?keep_alive={KEEP_ALIVE}&{_CLOSED_TOO}"
    with elasticsearch_errors():
        pit = ask(es, Request("POST", path), deadline)["id"]
    pages = _Pages(es, wanted, pit, deadline)
    try:
        while page := pages.next():
            yield page
    finally:
        pages.close()


# A closed index is an error: nobody must take it for an index without documents.
_CLOSED_TOO = "expand_wildcards=open,closed"


class _Pages:
    """The pages of one point in time."""

    def __init__(self, es: Elasticsearch, wanted: Wanted, pit: str, deadline: Deadline) -> None:
        self._es, self._wanted, self._pit, self._deadline = es, wanted, pit, deadline
        self._size = _FIRST_PAGE
        self._after: list[Any] | None = None

    def next(self) -> list[Hit]:
        """Return the next page; none is left if it is empty."""
        path = "/_search?allow_partial_search_results=false"
        with elasticsearch_errors():
            answer = ask(
                self._es, Request("POST", path, self._body(), seconds=_SECONDS), self._deadline
            )
        self._pit = answer.get("pit_id", self._pit)
        hits = answer["hits"]["hits"]
        if hits:
            self._after = hits[-1]["sort"]
            self._size = _next_size(hits)
        return [_hit(each) for each in hits]

    def close(self) -> None:
        """Let the cluster forget the point in time, which it would do by itself later."""
        request = Request("DELETE", "/_pit", {"id": self._pit})
        with suppress(ApiError, TransportError):
            self._es.options(request_timeout=_CLOSING_SECONDS).perform_request(
                request.method, request.path, headers=request.headers, body=request.body
            )

    def _body(self) -> dict[str, Any]:
        after = {} if self._after is None else {"search_after": self._after}
        return {
            "pit": {"id": self._pit, "keep_alive": KEEP_ALIVE},
            "query": self._wanted.query,
            "sort": list(self._wanted.sort),
            "size": self._size,
            "_source": self._wanted.fields,
            "seq_no_primary_term": True,
            "track_total_hits": False,
            **after,
        }


def _next_size(hits: list[dict[str, Any]]) -> int:
    """Return how many documents like these make a page: their length is anybody's choice."""
    each = 1 + _length(hits) // len(hits)
    return max(1, min(_LONGEST_PAGE, _PAGE_BYTES // each))


def _length(hits: list[dict[str, Any]]) -> int:
    try:
        return len(orjson.dumps(hits))
    except TypeError:  # half of a surrogate pair, which only strangers write
        return _PAGE_BYTES


Place = tuple[str, str]
"""The index and the id of a document."""


def read_again(es: Elasticsearch, places: Sequence[Place], deadline: Deadline) -> dict[Place, Hit]:
    """Return those of some documents that are there at this very moment, as they are."""
    if not places:
        return {}
    answers = multi_get(es, places, deadline=deadline, seconds=_SECONDS)
    hits = [_hit(each) for each in answers if each.get("found")]
    return {hit.place: hit for hit in hits}


def _hit(found: dict[str, Any]) -> Hit:
    return Hit(
        index=found["_index"],
        id=found["_id"],
        seq_no=found["_seq_no"],
        primary_term=found["_primary_term"],
        source=found.get("_source") or {},
    )
