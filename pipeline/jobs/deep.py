"""
Look for every line of an object in Elasticsearch, by the id and the index that it must have.

The object is read and encoded as ingestion does it, by the settings of today, and nothing is sent
but questions. An id is of the line alone, so it does not matter who indexed it, or from which copy
of the object.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from pipeline.ingest import context_for
from pipeline.sink.encoding import Action, Batch, Reject, encode_chunk
from pipeline.sink.presence import Letters, letters_of, which_exist
from pipeline.source.objects import ObjectRef
from pipeline.source.reading import ObjectReader
from pipeline.wiring import Pipeline

_MOST_OFFSETS = 5


@dataclass(frozen=True, slots=True)
class Lines:
    """
    What became of lines.

    `rejected` lines have a dead letter, `expired` ones had one that may have been deleted for its
    age. `missing` lines have neither a document nor a dead letter; `offsets` are the first of them.
    """

    lines: int = 0
    filtered: int = 0
    rejected: int = 0
    expired: int = 0
    missing: int = 0
    offsets: tuple[int, ...] = ()

    def __add__(self, other: "Lines") -> "Lines":
        """Add term by term; the offsets are those of one object."""
        return Lines(
            self.lines + other.lines,
            self.filtered + other.filtered,
            self.rejected + other.rejected,
            self.expired + other.expired,
            self.missing + other.missing,
            (self.offsets + other.offsets)[:_MOST_OFFSETS],
        )

    def with_filtered(self, number: int) -> "Lines":
        """
        Return the same where so many lines, at least, are known to have been filtered.

        A pipeline of the cluster's own, or a rule that is changed since, leaves lines out of which
        the settings of today know nothing.
        """
        more = min(self.missing, max(0, number - self.filtered))
        return replace(self, filtered=self.filtered + more, missing=self.missing - more)


NO_LINES = Lines()


def look_for_lines(ref: ObjectRef, pipeline: Pipeline, watch: Callable[[Lines], object]) -> Lines:
    """
    Return what became of the lines of an object; `watch` is told of each chunk.

    Raises what reading raises, after a cut too: then not every line is known.
    """
    looking = _Looking(ref, pipeline)
    found = Lines()
    for more in looking.chunks():
        watch(more)
        found += more
    return found


class _Looking:
    """One object whose lines are looked for."""

    def __init__(self, ref: ObjectRef, pipeline: Pipeline) -> None:
        self._ref, self._store, self._pipeline = ref, pipeline.store, pipeline

    def chunks(self) -> Iterator[Lines]:
        """Yield what became of the lines of each chunk."""
        ref, options = self._ref, self._pipeline.options
        s3 = self._pipeline.buckets.client_of(ref.bucket)
        reader = ObjectReader(ref.bucket, ref.key, s3=s3, chunk_bytes=options.chunk_bytes)
        context = context_for(self._store, options, ref.name, bucket=ref.bucket, key=ref.key)
        for chunk in reader:
            yield self._look(encode_chunk(chunk, context))

    def _look(self, batch: Batch) -> Lines:
        absent = self._without_document(batch.actions)
        suspects: list[Action | Reject] = [*batch.rejects, *absent]
        lacking = self._letters.lacking({each.id for each in suspects}) if suspects else set()
        expired = [each for each in batch.rejects if each.id in lacking and self._may_expire]
        lost = [each.offset for each in absent if each.id in lacking]
        if not expired:
            lost += [each.offset for each in batch.rejects if each.id in lacking]
        return Lines(
            lines=batch.read,
            filtered=batch.filtered,
            rejected=sum(each.id not in lacking for each in suspects),
            expired=len(expired),
            missing=len(lost),
            offsets=tuple(sorted(lost)[:_MOST_OFFSETS]),
        )

    def _without_document(self, actions: list[Action]) -> list[Action]:
        exist = which_exist(self._store.es, ((each.index, each.id) for each in actions))
        return [action for action, there in zip(actions, exist, strict=True) if not there]

    @cached_property
    def _letters(self) -> Letters:
        return letters_of(self._store)

    @cached_property
    def _may_expire(self) -> bool:
        return self._letters.may_lack(self._ref.created)
