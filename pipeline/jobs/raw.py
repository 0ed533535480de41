"""
Find the raw lines of documents again, byte for byte, in the objects that S3 keeps.

A document's id is made of its line, so a line that is found is proven to be the right one, whatever
was redacted or dropped of the document. Objects are read in the order of what is cheapest to know:
those that documents name, those that the ledger knows for the time of the event, and those that a
bucket lists around it. Each is read once, for all lines that are still missing.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from pipeline.alb.document import document_ids, line_fields
from pipeline.alb.parsing import Record, kind_of_line, parse_line
from pipeline.errors import ConfigError, PipelineError
from pipeline.jobs.hints import Hint, Index
from pipeline.source.listing import INTERVAL, FolderMissingError, Wanted, objects_between
from pipeline.source.objects import ObjectRef
from pipeline.source.reading import Chunk, ObjectReader, without_end

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_LOG = logging.getLogger(__name__)

_APART = timedelta(days=1)  # events further apart are listed by themselves
_END_OF_TIME = "9999-12-31T23:59:59Z"

Name = TypeVar("Name", bound=str)


@dataclass(frozen=True, slots=True)
class RawLine:
    """A line as it is in an object, without its line end; `offset` is in the decompressed text."""

    id: str
    bucket: str
    key: str
    offset: int
    line: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket to be listed, what stands before AWSLogs/ in it, and what of it to look at."""

    bucket: str
    prefix: str = ""
    load_balancers: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()


# --- what is looked for --------------------------------------------------------------------------


class Sought(Protocol):
    """What a line is recognised by."""

    @property
    def done(self) -> bool:
        """Return whether no further line can be what is looked for."""

    def misses(self, hint: Hint) -> bool:
        """Return whether the line of a hint was not found yet."""

    def found_in(self, chunk: Chunk) -> Iterator[tuple[str, int, bytes]]:
        """Yield the id, the offset and the bytes of every line that is looked for."""


class Ids:
    """Lines with these ids, each once."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.missing = dict.fromkeys(ids)

    @property
    def done(self) -> bool:
        """Return whether all are found."""
        return not self.missing

    def misses(self, hint: Hint) -> bool:
        """Return whether the line of a hint was not found yet."""
        return hint.id in self.missing

    def found_in(self, chunk: Chunk) -> Iterator[tuple[str, int, bytes]]:
        """Yield the lines of a chunk whose ids are missing, and miss them no longer."""
        lines = list(_lines_of(chunk))
        ids = document_ids([line for _, line in lines])
        for id_, (offset, line) in zip(ids, lines, strict=True):
            if id_ in self.missing:
                del self.missing[id_]
                yield id_, offset, line


class Traced:
    """All lines with a trace id: of a request, or of a connection (`TID_…`)."""

    def __init__(self, trace: str) -> None:
        self.trace = trace
        self._seen = set[str]()

    @property
    def done(self) -> bool:
        """Return False: another load balancer may have logged the same trace."""
        return False

    def misses(self, hint: Hint) -> bool:  # noqa: ARG002  of a protocol
        """Return True: nobody knows how many lines there are."""
        return True

    def found_in(self, chunk: Chunk) -> Iterator[tuple[str, int, bytes]]:
        """Yield the lines of a chunk that have the trace id, each once."""
        wanted = self.trace.encode()
        if wanted not in chunk.data:
            return
        for offset, line in _lines_of(chunk):
            if wanted in line and self.trace in _traces_of(line):
                (id_,) = document_ids([line])
                if id_ not in self._seen:
                    self._seen.add(id_)
                    yield id_, offset, line


_ROOT = re.compile(r"(?:^|;) *Root=([^; ]+)")


def root_of(trace: str) -> str:
    """Return the bare id of a trace header: that after Root=, or else the whole text."""
    root = _ROOT.search(trace)
    return root[1] if root else trace


def _traces_of(line: bytes) -> set[object]:
    record = parse_line(line, kind_of_line(line), latest=_END_OF_TIME)
    if not isinstance(record, Record):
        return set()
    fields = line_fields(record)
    return {fields.get("trace.id"), fields.get("aws.elb.conn_trace_id")}


_LINES = re.compile(rb"[^\n]*+\n|[^\n]++")


def _lines_of(chunk: Chunk) -> Iterator[tuple[int, bytes]]:
    """Yield the offset of each line, and the line without its end."""
    offset = chunk.offset
    for line in _LINES.findall(chunk.data):
        yield offset, without_end(line)
        offset += len(line)


# --- where it is looked for ----------------------------------------------------------------------


class Finder:
    """
    One search, in what documents and the ledger name, and in a bucket's listing.

    Where a bucket is named, no other is read. `read` are the buckets and keys that were.
    """

    def __init__(
        self,
        client_of: "Callable[[str], S3Client]",
        *,
        index: Index | None = None,
        place: Place | None = None,
    ) -> None:
        self._client_of, self._index, self._place = client_of, index, place
        self.read = set[tuple[str, str]]()

    def find(self, sought: Sought, hints: Iterable[Hint]) -> Iterator[RawLine]:
        """
        Yield the lines that are looked for, as they are found.

        An object that is missing, damaged or cannot be read now is passed over with a warning.
        """
        in_order = sorted(hints, key=lambda hint: (hint.time is None, hint.time, hint.id))
        for ref in self._objects(sought, in_order):
            if (ref.bucket, ref.key) not in self.read:
                self.read.add((ref.bucket, ref.key))
                yield from self._lines_in(ref, sought)

    def _lines_in(self, ref: ObjectRef, sought: Sought) -> Iterator[RawLine]:
        _LOG.info("reading s3://%s/%s", ref.bucket, ref.key)
        try:
            for chunk in ObjectReader(ref.bucket, ref.key, s3=self._client_of(ref.bucket)):
                if isinstance(chunk, Chunk):  # no document is made of a line that is longer
                    for id_, offset, line in sought.found_in(chunk):
                        yield RawLine(id_, ref.bucket, ref.key, offset, line)
                if sought.done:
                    return
        except ConfigError:
            raise
        except PipelineError as error:
            _LOG.warning("%s", error)

    def _objects(self, sought: Sought, hints: list[Hint]) -> Iterator[ObjectRef]:
        """Yield objects as long as lines are missing that they may hold."""
        for look in (self._named, self._in_ledger):
            for hint in hints:
                refs = look(hint) if sought.misses(hint) else []
                for ref in refs:
                    if self._may_read(ref.bucket) and sought.misses(hint):
                        yield ref
        yield from self._listed(sought, hints)

    def _may_read(self, bucket: str) -> bool:
        return self._place is None or bucket == self._place.bucket

    def _named(self, hint: Hint) -> list[ObjectRef]:
        return [ObjectRef(hint.bucket, hint.key)] if hint.bucket and hint.key else []

    def _in_ledger(self, hint: Hint) -> list[ObjectRef]:
        return self._index.objects_near(hint) if self._index else []

    def _listed(self, sought: Sought, hints: list[Hint]) -> Iterator[ObjectRef]:
        """Yield the objects that the bucket lists around the events whose lines are missing."""
        if self._place is None:
            return
        windows = [
            _Window(hint, _around(hint.time, hint, self._place))
            for hint in hints
            if hint.time and sought.misses(hint)
        ]
        for group in _neighbours(windows):
            try:
                yield from self._between(group, sought, self._place)
            except FolderMissingError as error:
                _LOG.warning("%s", error)

    def _between(self, group: "list[_Window]", sought: Sought, place: Place) -> Iterator[ObjectRef]:
        s3, span = self._client_of(place.bucket), _span([each.wanted for each in group])
        for ref in objects_between(place.bucket, span, s3=s3, prefix=place.prefix):
            if any(
                sought.misses(hint) and ref.name and wanted.holds(ref.name)
                for hint, wanted in group
            ):
                yield ref


class _Window(NamedTuple):
    """The objects that may hold the line of a hint."""

    hint: Hint
    wanted: Wanted


def _around(time: datetime, hint: Hint, place: Place) -> Wanted:
    """
    Return which objects may hold a line of this time.

    A line is in the object of its five minutes; one before and one after it are looked at as well.
    """
    return Wanted(
        first=time - INTERVAL,
        end=time + INTERVAL,
        load_balancers=_only(hint.load_balancer) or place.load_balancers,
        accounts=_only(hint.account) or place.accounts,
        regions=_only(hint.region) or place.regions,
        kinds=frozenset({hint.kind}) if hint.kind else frozenset(),
    )


def _only(name: str | None) -> frozenset[str]:
    return frozenset({name}) if name else frozenset()


def _span(windows: list[Wanted]) -> Wanted:
    """Return what holds everything that one of these does; they have accounts and regions alike."""
    return Wanted(
        first=min(each.first for each in windows),
        end=max(each.end for each in windows),
        load_balancers=_together([each.load_balancers for each in windows]),
        accounts=windows[0].accounts,
        regions=windows[0].regions,
        kinds=_together([each.kinds for each in windows]),
    )


def _together(sets: list[frozenset[Name]]) -> frozenset[Name]:
    """Return all names, or no name where one of the sets stands for any."""
    return frozenset[Name]().union(*sets) if all(sets) else frozenset()


def _neighbours(windows: list[_Window]) -> Iterator[list[_Window]]:
    """Yield groups to be listed at once: of one account and region, without a day in between."""
    alike = defaultdict[tuple[frozenset[str], frozenset[str]], list[_Window]](list)
    for window in windows:  # in the order of time
        owner = (window.wanted.accounts, window.wanted.regions)
        if alike[owner] and window.wanted.first - alike[owner][-1].wanted.first > _APART:
            yield alike.pop(owner)
        alike[owner].append(window)
    yield from alike.values()
