"""
Erase what is personal from the documents and dead letters of a data subject, in place.

A document keeps its id, so that no redelivery and no backfill brings back what was erased, and all
that is not personal, so that every other figure stays as it is. It is replaced only while it is
still the version that was read; otherwise it is read again.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import orjson
from elasticsearch import BadRequestError

from pipeline.alb.addresses import Network, mentions
from pipeline.alb.fields import ERASED, Kind
from pipeline.alb.parsing import EARLIEST
from pipeline.alb.personal import without_personal
from pipeline.deadline import Deadline
from pipeline.errors import ClusterRefusedError, ConfigError, SinkUnavailableError
from pipeline.jobs.letterbox import Letter, find_letters, letter_of
from pipeline.sink.changes import Change, change
from pipeline.sink.letters import general
from pipeline.sink.scanning import Hit, Wanted, count, read_again, scan
from pipeline.sink.store import Store

_NO_LIMIT = Deadline()
_MOST_ATTEMPTS = 10
_LETTERS_AT_ONCE = 50
_OBJECT_MINUTES = timedelta(minutes=5)
"""Of which an object holds lines, up to the time in its name."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose data, of events from `first` on and before `end`: by addresses or by a query."""

    first: datetime
    end: datetime
    networks: tuple[Network, ...] = ()
    query: str | None = None

    def documents(self) -> dict[str, Any]:
        """Return the query that finds the subject's documents."""
        time = {"gte": self.first.isoformat(), "lt": self.end.isoformat()}
        addresses = [{"term": {"source.ip": _written(each)}} for each in self.networks]
        who = {"bool": {"should": addresses}} if self.query is None else query_of(self.query)
        return {"bool": {"filter": [{"range": {"@timestamp": time}}, who]}}

    def letters(self) -> dict[str, Any]:
        """Return the query that finds letters which may be the subject's."""
        # A line is rejected after its event, perhaps much later.
        rejected = {"range": {"@timestamp": {"gte": self.first.isoformat()}}}
        who = [] if self.query is None else [query_of(self.query)]
        return {"bool": {"filter": [rejected, *who]}}

    def has(self, letter: Letter) -> bool:
        """Return whether a letter that was found is the subject's."""
        if letter.name:
            end = letter.name.end_time
            if not (self.first < end and end - _OBJECT_MINUTES < self.end):
                return False
        return self.query is not None or any(mentions(t, self.networks) for t in letter.texts())

    def months(self) -> Iterator[datetime]:
        """Yield the first instant of each month that may have documents."""
        first = max(self.first, datetime.fromisoformat(EARLIEST))
        month = first.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        until = min(self.end, datetime.now(UTC) + timedelta(days=2))
        while month < until:
            yield month
            month = (month + timedelta(days=31)).replace(day=1)


def _written(network: Network) -> str:
    alone = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if alone else str(network)


_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_OPERATOR = re.compile(r"(?<![^\s(])(?:and|or|not)(?![^\s)(])")


def query_of(text: str) -> dict[str, Any]:
    """
    Return the query that a text of Lucene's syntax means, its operators in either case.

    Words side by side must all match: whoever forgets an operator erases less, not more. A value
    that its field cannot have is an error, not a document that is not found.
    """
    parts, position = [], 0
    for quoted in (*_QUOTED.finditer(text), None):
        plain = text[position : quoted.start()] if quoted else text[position:]
        parts.append(_OPERATOR.sub(lambda operator: operator[0].upper(), plain))
        if quoted:
            parts.append(quoted[0])
            position = quoted.end()
    query = {"query": "".join(parts), "default_operator": "AND", "lenient": False}
    return {"query_string": query}


@dataclass(frozen=True, slots=True)
class Erased:
    """What became of documents, or of dead letters."""

    erased: int = 0
    unchanged: int = 0
    """Nothing was personal in them, or no longer."""
    gone: int = 0
    """Somebody deleted them meanwhile."""

    def __add__(self, other: "Erased") -> "Erased":
        """Add term by term."""
        return Erased(
            self.erased + other.erased, self.unchanged + other.unchanged, self.gone + other.gone
        )

    @property
    def total(self) -> int:
        """Return how many there are."""
        return self.erased + self.unchanged + self.gone


class Erasure:
    """The work for one subject; `also` names fields that are erased besides the usual ones."""

    def __init__(
        self,
        store: Store,
        subject: Subject,
        *,
        also: AbstractSet[str] = frozenset(),
        deadline: Deadline = _NO_LIMIT,
    ) -> None:
        self._store, self._subject, self._also = store, subject, also
        self._deadline = deadline

    def count_documents(self) -> int:
        """Return how many documents are the subject's; ConfigError where the query is wrong."""
        with _query_errors():
            return sum(
                count(self._store.es, wanted, self._deadline) for wanted in self._documents()
            )

    def count_letters(self) -> int:
        """Return how many dead letters are the subject's."""
        with _query_errors():
            return sum(1 for _ in self._letters())

    def erase_documents(self) -> Iterator[Erased]:
        """Erase what is personal from the subject's documents; yield how many as it goes on."""
        with _query_errors():
            for wanted in self._documents():
                for page in scan(self._store.es, wanted, self._deadline):
                    yield self._erase(page, self._document)

    def erase_letters(self) -> Iterator[Erased]:
        """Erase the raw lines from the subject's dead letters; yield how many as it goes on."""
        with _query_errors():
            letters = self._letters()
            while some := [letter.hit for letter in islice(letters, _LETTERS_AT_ONCE)]:
                yield self._erase(some, self._letter)

    def _documents(self) -> Iterator[Wanted]:
        """Yield what to read, month by month: an index that is closed matters in its own only."""
        for month in self._subject.months():
            names = [f"{self._store.prefix}-{kind}-{month:%Y.%m}.*" for kind in Kind]
            yield Wanted(",".join(names), self._subject.documents())

    def _letters(self) -> Iterator[Letter]:
        wanted = Wanted(self._store.dead_letters, self._subject.letters())
        return filter(self._subject.has, find_letters(self._store.es, wanted, self._deadline))

    def _erase(self, hits: Sequence[Hit], erased: Callable[[Hit], bytes | None]) -> Erased:
        """Replace documents by what is left of them, reading those again that were changed."""
        total, es = Erased(), self._store.es
        for attempt in range(_MOST_ATTEMPTS):
            rest = [(hit, erased(hit)) for hit in hits]
            changes = [Change(hit, source) for hit, source in rest if source is not None]
            same = len(hits) - len(changes)
            # What was in conflict and is erased now is so by us: the answer was lost.
            total += Erased(erased=same) if attempt else Erased(unchanged=same)
            conflicts: list[tuple[str, str]] = []
            # Nobody is to find afterwards what was erased: neither people nor a replay.
            for changed in change(changes, es=es, deadline=self._deadline, refresh=True):
                total += Erased(erased=len(changed.made))
                conflicts += [each.of.place for each in changed.conflicts]
            hits = [*read_again(es, conflicts, self._deadline).values()]
            total += Erased(gone=len(conflicts) - len(hits))
            if not hits:
                return total
        raise SinkUnavailableError(
            f"the document {hits[0].id} in {hits[0].index} is changed by somebody else again and "
            "again: stop what changes it, and run the command again"
        )

    def _document(self, hit: Hit) -> bytes | None:
        return _marked(hit, without_personal(hit.source, self._also))

    def _letter(self, hit: Hit) -> bytes | None:
        left = without_personal(hit.source)
        error = left.setdefault("error", {})
        if isinstance(error, dict):
            error["message"] = general(letter_of(hit).reason)
        return _marked(hit, left)


def _marked(hit: Hit, left: dict[str, Any]) -> bytes | None:
    """Return what is left of a document, with its mark; None if nothing was taken away."""
    if left == hit.source:
        return None
    labels = left.get("labels")
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    mark = {ERASED.name.rpartition(".")[2]: now}
    left["labels"] = {**(labels if isinstance(labels, dict) else {}), **mark}
    return orjson.dumps(left)


@contextmanager
def _query_errors() -> Iterator[None]:
    """Blame the query for what Elasticsearch does not understand of it."""
    try:
        yield
    except ClusterRefusedError as error:
        if why := _query_fault(error.__cause__):
            raise ConfigError(
                f"Elasticsearch does not understand the query: {why}. Write it in Lucene's syntax, "
                "such as url.domain:shop.example.com AND NOT http.response.status_code:200"
            ) from error
        raise


def _query_fault(error: BaseException | None) -> str | None:
    """Return what is wrong with the query, if that is why a search was refused."""
    if not isinstance(error, BadRequestError) or not isinstance(error.body, dict):
        return None
    causes = error.body.get("error", {}).get("root_cause") or [{}]
    is_query = causes[0].get("type") in {"query_shard_exception", "parse_exception"}
    return str(causes[0].get("reason")) if is_query else None
