"""Decide by the ledger which objects are still to be read, and count what that comes to."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from itertools import islice

from pipeline.alb.fields import Kind
from pipeline.alb.keys import ObjectName
from pipeline.errors import DefectError
from pipeline.sink.ledger import Entry, State, Version, read_entries
from pipeline.sink.store import Store
from pipeline.source.objects import ObjectRef

_AT_ONCE = 500


class Choice(StrEnum):
    """Which objects of a range are due."""

    OPEN = "open"
    """All that the ledger does not know to be complete."""
    STUCK = "stuck"
    """Those that failed, or of which a part is in."""
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Known:
    """An object that the bucket holds, and what the ledger says of this very version."""

    ref: ObjectRef
    entry: Entry | None

    def is_due(self, choice: Choice) -> bool:
        """Return whether the object is to be read."""
        complete = self.entry is not None and self.entry.state is State.COMPLETE
        match choice:
            case Choice.ALL:
                return True
            case Choice.STUCK:
                return self.entry is not None and not complete
            case Choice.OPEN:
                return not complete


def with_entries(refs: Iterable[ObjectRef], store: Store) -> Iterator[Known]:
    """Yield each object with its ledger entry; an object whose ETag is unknown has none."""
    left = iter(refs)
    while some := list(islice(left, _AT_ONCE)):
        versions = [version for each in some if (version := version_of(each))]
        entries = dict(zip(versions, read_entries(versions, store=store), strict=True))
        for ref in some:
            version = version_of(ref)
            yield Known(ref, entries[version] if version else None)


def version_of(ref: ObjectRef) -> Version | None:
    """Return which version a listing names; None where it says too little."""
    if ref.name is None or not ref.etag:
        return None
    return Version(ref.bucket, ref.key, ref.etag, ref.name)


def day_of(ref: ObjectRef) -> date:
    """Return the day of an object's lines; one that ends at midnight holds the day before's."""
    return (name_of(ref).end_time - datetime.resolution).date()


def name_of(ref: ObjectRef) -> ObjectName:
    """Return what an object's key says: a listing yields no object whose key says nothing."""
    if ref.name is None:
        raise DefectError(f"an object was listed whose key names no log: {ref.key}")
    return ref.name


@dataclass(slots=True)
class Amount:
    """Objects, and their bytes as stored."""

    objects: int = 0
    bytes: int = 0

    def add(self, ref: ObjectRef) -> None:
        """Count one more object."""
        self.objects += 1
        self.bytes += ref.size or 0


@dataclass(frozen=True, slots=True)
class Survey:
    """What a range holds: what is due, by day and kind of log, and what is done already."""

    due: dict[tuple[date, Kind], Amount] = field(default_factory=lambda: defaultdict(Amount))
    total: Amount = field(default_factory=Amount)
    days: Counter[date] = field(default_factory=Counter)
    done: Amount = field(default_factory=Amount)
    sample: list[ObjectRef] = field(default_factory=list)
    """Some objects that are due, from early to late."""

    def add(self, ref: ObjectRef) -> None:
        """Count an object that is due."""
        day, kind = day_of(ref), name_of(ref).kind
        self.due[day, kind].add(ref)
        self.days[day] += 1
        self.total.add(ref)
        if self.total.objects.bit_count() == 1:  # the first, and more rarely the longer it goes on
            self.sample.append(ref)
            del self.sample[:-_SAMPLE]


_SAMPLE = 4


def survey(known: Iterable[Known], choice: Choice, found: Survey) -> None:
    """Count into `found` what is due; it grows with the days of the range, not with its objects."""
    for each in known:
        if each.is_due(choice):
            found.add(each.ref)
        else:
            found.done.add(each.ref)
