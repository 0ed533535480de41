"""
Ask Elasticsearch where raw lines may be: what documents say of their lines, and the ledger of S3.

It only searches, so a role that reads is enough. Documents and entries are found once Elasticsearch
has refreshed their index, some seconds after they were written. Whoever may ingest may have forged
them: a value of another kind than we write is taken for absent.

elastic.co/guide/en/elasticsearch/reference/8.19/search-search.html
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

from elasticsearch import Elasticsearch, NotFoundError

from pipeline.alb.fields import Kind
from pipeline.alb.parsing import EARLIEST
from pipeline.deadline import Deadline
from pipeline.errors import ConfigError
from pipeline.sink.refusals import elasticsearch_errors, is_foreign
from pipeline.sink.requests import request
from pipeline.source.listing import INTERVAL
from pipeline.source.objects import ObjectRef

MOST_TRACED = 1_000
"""Documents that are looked at of one trace id."""

_AT_ONCE = 1_000
_MOST_ENTRIES = 1_000  # objects that hold events of one moment, of one load balancer
_SLACK = timedelta(seconds=1)  # Elasticsearch compares milliseconds
_EARLIEST = datetime.fromisoformat(EARLIEST)
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)
_NO_LIMIT = Deadline()
_SAID = [
    *("@timestamp", "aws.elb.name", "cloud.account.id", "cloud.region"),
    *("aws.s3.bucket.name", "aws.s3.object.key"),
]


@dataclass(frozen=True, slots=True)
class Hint:
    """What is known of a line that is looked for; `time` is that of its event."""

    id: str
    time: datetime | None = None
    kind: Kind | None = None
    load_balancer: str | None = None
    account: str | None = None
    region: str | None = None
    bucket: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """The indices of one prefix, to be searched."""

    es: Elasticsearch
    prefix: str

    def hints_of(self, ids: Iterable[str]) -> Iterator[Hint]:
        """Yield what is known of the lines with these ids, from documents and dead letters."""
        for some in _batches(ids):
            query = {"ids": {"values": some}}
            for hit in self._hits(self._documents, query, size=2 * len(some)):
                yield self._hint(hit)

    def hints_traced(self, trace: str) -> list[Hint]:
        """Return what is known of the lines with a trace id: of a request, or of a connection."""
        names = ("trace.id", "aws.elb.trace_id", "aws.elb.conn_trace_id")
        query = {"bool": {"should": [{"term": {name: trace}} for name in names]}}
        return [self._hint(hit) for hit in self._hits(self._documents, query, size=MOST_TRACED)]

    def objects_near(self, hint: Hint) -> list[ObjectRef]:
        """Return the objects that hold events of a line's time, the likeliest first."""
        if hint.time is None:
            return []
        query = {"bool": {"filter": list(_filters(hint, hint.time))}}
        hits = self._hits(f"{self.prefix}-ledger-*", query, size=_MOST_ENTRIES)
        middle = hint.time + INTERVAL / 2
        entries = sorted(_entries(hits), key=lambda entry: abs(entry.end - middle))
        return [ObjectRef(entry.bucket, entry.key) for entry in entries]

    @property
    def _documents(self) -> str:
        """
        Return the names of the indices of documents.

        Those with a star stand for what may be read; without one the dead letters are there, and
        whoever may not read them is told so.
        """
        kinds = ",".join(f"{self.prefix}-{kind}-*" for kind in Kind)
        return f"{kinds},{self.prefix}-dead-letter"

    def _hits(self, index: str, query: object, *, size: int) -> list[Mapping[str, Any]]:
        path = f"/{index}/_search?allow_partial_search_results=false"
        body = {"query": query, "size": size, "_source": _SAID}
        with elasticsearch_errors():
            try:
                answer = request(self.es, "POST", path, deadline=_NO_LIMIT, body=body)
            except NotFoundError as error:
                if is_foreign(error):
                    raise
                raise ConfigError(
                    f"this cluster has no logs of the prefix {self.prefix!r}: set "
                    "ALB_LOGS_INDEX_PREFIX as it was at ingestion"
                ) from error
        hits: list[Mapping[str, Any]] = answer["hits"]["hits"]
        return hits

    def _hint(self, hit: Mapping[str, Any]) -> Hint:
        said = _flat(hit["_source"])
        kind = next((k for k in Kind if hit["_index"].startswith(f"{self.prefix}-{k}-")), None)
        return Hint(
            id=hit["_id"],
            time=_time_of(said) if kind else None,  # a dead letter has that of its rejection
            kind=kind,
            load_balancer=_text(said, "aws.elb.name"),
            account=_text(said, "cloud.account.id"),
            region=_text(said, "cloud.region"),
            bucket=_text(said, "aws.s3.bucket.name"),
            key=_text(said, "aws.s3.object.key"),
        )


def may_have_logs(time: datetime) -> bool:
    """Return whether a load balancer may have written a log then, by the calendar."""
    return _EARLIEST <= time < _LATEST


class _Entry(NamedTuple):
    """What an entry of the ledger says of where an object is; `end` is that of its five minutes."""

    end: datetime
    bucket: str
    key: str


def _entries(hits: Iterable[Mapping[str, Any]]) -> Iterator[_Entry]:
    for said in (_flat(hit["_source"]) for hit in hits):
        end, bucket = _time_of(said), _text(said, "aws.s3.bucket.name")
        key = _text(said, "aws.s3.object.key")
        if end and bucket and key:
            yield _Entry(end, bucket, key)


def _text(said: Mapping[str, Any], name: str) -> str | None:
    value = said.get(name)
    return value if isinstance(value, str) else None


def _time_of(said: Mapping[str, Any]) -> datetime | None:
    try:
        time = datetime.fromisoformat(_text(said, "@timestamp") or "")
    except ValueError:
        return None
    return time if time.tzinfo and may_have_logs(time) else None


def _batches(ids: Iterable[str]) -> Iterator[list[str]]:
    left = iter(ids)
    while some := list(islice(left, _AT_ONCE)):
        yield some


def _filters(hint: Hint, time: datetime) -> Iterator[dict[str, Any]]:
    """Yield what an entry must say of an object that may hold the line."""
    yield {"range": {"event.start": {"lte": (time + _SLACK).isoformat()}}}
    yield {"range": {"event.end": {"gte": (time - _SLACK).isoformat()}}}
    facts = {"kind": hint.kind, "cloud.account.id": hint.account, "cloud.region": hint.region}
    yield from ({"term": {name: fact}} for name, fact in facts.items() if fact)
    if hint.load_balancer:  # in full, or some lines' bare name
        names = ("aws.elb.name", "observer.name")
        yield {"bool": {"should": [{"term": {name: hint.load_balancer}} for name in names]}}


def _flat(document: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return the values of a document by their dotted names."""
    flat: dict[str, Any] = {}
    for name, value in document.items():
        path = f"{above}{name}"
        flat |= _flat(value, f"{path}.") if isinstance(value, dict) else {path: value}
    return flat
