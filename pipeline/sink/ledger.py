"""
Keep the ledger: one entry for every version of an object that was read, whoever read it.

An entry says how far the object came and what became of its lines. It makes a backfill resumable
and lets an audit show what is missing; nothing that is indexed depends on it. A run overwrites an
entry only if it came further: Elasticsearch compares the version numbers, which count the bytes
that are accounted for, so late, repeated and concurrent runs need no lock.

The entries of a month, by the end of the object's five minutes, are one index: they are deleted
with the documents of that time. Entries are read by their ids, which shows them at once.

elastic.co/guide/en/elasticsearch/reference/8.19/docs-index_.html#index-versioning
"""

import hashlib
import logging
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Any, Self

from elasticsearch import ConflictError

from pipeline.alb.document import nest
from pipeline.alb.keys import ObjectName
from pipeline.deadline import Deadline
from pipeline.errors import ConfigError
from pipeline.sink.refusals import elasticsearch_errors
from pipeline.sink.requests import multi_get, request
from pipeline.sink.store import Store
from pipeline.version import VERSION

_LOG = logging.getLogger(__name__)

COUNTED = (
    *("lines", "indexed", "duplicates", "rejected", "filtered", "blank", "truncated", "repeated"),
    "bytes",
)
"""What an entry counts, by the names of `outcome.Tally`."""

_ID_CHARACTERS = 20  # 120 bits, as of a line
_MOST_MESSAGE = 500
_WRITE_SECONDS = 5.0
_READ_AT_ONCE = 500
_NO_LIMIT = Deadline()


class State(StrEnum):
    """How far an object came."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object: its address, its ETag without quotes, and what its key says."""

    bucket: str
    key: str
    etag: str
    name: ObjectName

    @property
    def id(self) -> str:
        """Return the entry's id."""
        text = f"{self.bucket}\0{self.key}\0{self.etag}"
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        return urlsafe_b64encode(digest).decode()[:_ID_CHARACTERS]

    def index(self, store: Store) -> str:
        """Return the index of the entry."""
        return f"{store.ledger}-{self.name.end_time:%Y.%m}.01"


@dataclass(frozen=True, slots=True)
class Entry:
    """
    What is known of one version of an object.

    `counts` has the names of `COUNTED`; `offset` is the end of the text that is accounted for.
    `events` are the first and the last time of an event, `lags` the seconds until the object came
    (`delivery`) and until its lines were searchable (`ingest`), `seconds` the time that the work
    took. `error` is the type and the message of what stopped it.
    """

    state: State
    counts: Mapping[str, int]
    offset: int
    route: str
    events: tuple[str, str] | None = None
    seconds: float = 0.0
    lags: Mapping[str, float] = field(default_factory=dict)
    error: tuple[str, str] | None = None

    @property
    def version(self) -> int:
        """Return a number that is higher the further the object came."""
        return 2 * self.offset + (self.state is State.COMPLETE)

    def after(self, earlier: Self | None) -> "Entry":
        """Return the entry with the times of an earlier invocation's part of the object."""
        if earlier is None:
            return self
        times = [*(earlier.events or ()), *(self.events or ())]
        events = (min(times), max(times)) if times else None
        return replace(self, events=events, seconds=self.seconds + earlier.seconds)

    def document(self, of: Version, now: datetime) -> dict[str, Any]:
        """Return the entry as it is stored."""
        begun, ended = self.events or (None, None)
        type_, message = self.error or (None, "")
        facts = {
            "@timestamp": of.name.end_time.isoformat(),
            "event.ingested": now.isoformat(timespec="milliseconds"),
            "event.start": begun,
            "event.end": ended,
            "aws.s3.bucket.name": of.bucket,
            "aws.s3.object.key": of.key,
            "aws.s3.object.etag": of.etag,
            "kind": of.name.kind.value,
            "cloud.account.id": of.name.account,
            "cloud.region": of.name.region,
            "aws.elb.name": of.name.load_balancer,
            "observer.name": of.name.load_balancer.split("/")[1],
            "state": self.state.value,
            "route": self.route,
            **{term: self.counts[term] for term in COUNTED},
            "offset": self.offset,
            "duration.sec": round(self.seconds, 3),
            **{f"lag.{name}.sec": round(seconds, 3) for name, seconds in self.lags.items()},
            "error.type": type_,
            "error.message": message[:_MOST_MESSAGE] or None,
            "labels.pipeline_version": VERSION,
        }
        return nest({name: value for name, value in facts.items() if value is not None})


def read_entry(document: Mapping[str, Any]) -> Entry | None:
    """
    Return the entry that is stored as a document; None if it is none that we write.

    Whoever may ingest may have forged it. What it says beside the facts counts only if it is sound.
    """
    counts = {term: document.get(term) for term in COUNTED}
    match document:
        case {"state": str(state), "offset": int(offset), "route": str(route)} if (
            state in set(State) and offset >= 0 and all(map(_is_count, counts.values()))
        ):
            return Entry(
                state=State(state),
                counts={term: count for term, count in counts.items() if isinstance(count, int)},
                offset=offset,
                route=route,
                events=_events(document.get("event")),
                seconds=_seconds(document.get("duration")) or 0.0,
                lags=_lags(document.get("lag")),
                error=_error(document.get("error")),
            )
        case _:
            return None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value >= 0


def _events(event: object) -> tuple[str, str] | None:
    match event:
        case {"start": str(begun), "end": str(ended)}:
            return begun, ended
        case _:
            return None


def _seconds(node: object) -> float | None:
    match node:
        case {"sec": int() | float() as seconds}:
            return seconds
        case _:
            return None


def _lags(lag: object) -> dict[str, float]:
    lags = lag.items() if isinstance(lag, dict) else ()
    known = ((name, _seconds(node)) for name, node in lags)
    return {name: seconds for name, seconds in known if seconds is not None}


def _error(error: object) -> tuple[str, str] | None:
    match error:
        case {"type": str(type_), **rest}:
            return type_, str(rest.get("message") or "")
        case _:
            return None


def write_entry(of: Version, entry: Entry, *, store: Store, deadline: Deadline = _NO_LIMIT) -> None:
    """
    Write an entry, within 5 s, unless what is there came as far.

    Raises ConfigError where `setup` has to be run or a permission is missing, else
    SinkUnavailableError or ClusterRefusedError.
    """
    deadline = deadline.within(_WRITE_SECONDS)
    require_ledger(store)
    index = of.index(store)
    store.admit({index}, deadline=deadline)
    path = f"/{index}/_doc/{of.id}?version_type=external&version={entry.version}"
    body = entry.document(of, datetime.now(UTC))
    with elasticsearch_errors():
        try:
            request(store.es, "PUT", path, deadline=deadline, body=body)
        except ConflictError:  # another run came as far, or further
            return


def require_ledger(store: Store) -> None:
    """Raise ConfigError where `setup` has prepared no ledger."""
    if not store.has_ledger:
        raise ConfigError(
            f"this cluster has no ledger for the prefix {store.prefix!r} yet: run `alb-logs setup`"
        )


def read_entries(
    versions: Iterable[Version], *, store: Store, deadline: Deadline = _NO_LIMIT
) -> Iterator[Entry | None]:
    """
    Yield the entry of each version, in their order, as it is now; None where there is none.

    An entry that cannot be read is none, with a warning: no run overwrites it for sure.
    """
    left = iter(versions)
    while some := list(islice(left, _READ_AT_ONCE)):
        documents = ((each.index(store), each.id) for each in some)
        answers = multi_get(store.es, documents, deadline=deadline)
        entries = [read_entry(each["_source"]) if each.get("found") else None for each in answers]
        _warn_of_forged(answers, entries)
        yield from entries


def _warn_of_forged(answers: Sequence[Mapping[str, Any]], entries: list[Entry | None]) -> None:
    forged = [
        f"{answer['_index']}/_doc/{answer['_id']}"
        for answer, entry in zip(answers, entries, strict=True)
        if answer.get("found") and entry is None
    ]
    if forged:
        _LOG.warning(
            "%d entries of the ledger are none that this package writes, and do not count: delete "
            "them, the first of which is %s",
            len(forged),
            forged[0],
        )
