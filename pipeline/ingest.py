"""
Join the rooms for one object. READ THIS FIRST.

An object is the unit of retry, a line the unit of account: whatever happens, the outcome says what
became of every line that was read, and an object that failed can be ingested again at any time.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import IO, TYPE_CHECKING

from pipeline.alb.document import Context
from pipeline.alb.fields import Kind
from pipeline.alb.keys import ObjectName
from pipeline.errors import (
    ClusterRefusedError,
    ObjectChangedError,
    ObjectCorruptError,
    ObjectNotAlbError,
    PipelineError,
    SinkUnavailableError,
    SourceUnavailableError,
)
from pipeline.outcome import Outcome, Tally, tally_of
from pipeline.sink.bulk import Deadline, index_batches
from pipeline.sink.deadletters import rejects_of, write_dead_letters
from pipeline.sink.encoding import Batch, encode_chunk
from pipeline.sink.store import Store
from pipeline.source.continuation import Continuation, Trail
from pipeline.source.objects import ObjectRef
from pipeline.source.reading import Chunk, LongLine, read_object, read_stream

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Chunks = Iterator[Chunk | LongLine]

_NOT_ALB_LINES = 1_000
_NOT_ALB_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Options:
    """How to ingest, the same for every object."""

    connections: int = 2
    bulk_bytes: int = 2_000_000
    keep_original: bool = False
    kind: Kind | None = None
    """Which log every object is, whatever its name says; None: the name tells, else each line."""

    @property
    def chunk_bytes(self) -> int:
        """Give the raw bytes whose documents make about one bulk body: they are twice as long."""
        return self.bulk_bytes // 2


_DEFAULT = Options()


@dataclass(frozen=True, slots=True)
class Budget:
    """
    The seconds that an object may take, and how many of them before the end reading stops.

    What is left of the object then is in the outcome's `rest`; without a reserve it is an error.
    """

    seconds: float = math.inf
    reserve: float = 0.0


_UNLIMITED = Budget()


def ingest_object(
    ref: ObjectRef,
    *,
    s3: "S3Client",
    store: Store,
    options: Options = _DEFAULT,
    budget: Budget = _UNLIMITED,
) -> Outcome:
    """
    Ingest one S3 object, or what is left of it; the outcome holds the error, if any.

    Where the object is not the one any more whose rest was left, the present one is read anew.
    """
    outcome = _ingest_rest(ref, s3, store, options, budget)
    if (
        isinstance(outcome.error, ObjectChangedError)
        and ref.continuation
        and not outcome.tally.lines
    ):
        return _ingest_rest(replace(ref, continuation=None), s3, store, options, budget)
    return outcome


def _ingest_rest(
    ref: ObjectRef, s3: "S3Client", store: Store, options: Options, budget: Budget
) -> Outcome:
    before = ref.continuation or Continuation(ref.bucket, ref.key, hop=0)
    context = replace(context_of(store, options), bucket=ref.bucket, key=ref.key)
    ingestion = _Ingestion(
        with_name(context, ref.name),
        store,
        options,
        Deadline().within(budget.seconds),
        reserve=budget.reserve,
        read=before.tally.get("lines", 0),
        unparsed=before.tally.get("rejected", 0),
    )
    return ingestion.run(
        read_object(
            ref.bucket,
            ref.key,
            s3=s3,
            chunk_bytes=options.chunk_bytes,
            place=before.place,
            trail=ingestion.trail,
            left=lambda: ingestion.deadline.left() - ingestion.reserve,
        )
    )


def ingest_stream(
    stream: IO[bytes],
    name: str,
    *,
    context: Context,
    store: Store,
    options: Options = _DEFAULT,
) -> Outcome:
    """Ingest a local file or standard input, plain or gzip."""
    chunks = read_stream(stream, name=name, chunk_bytes=options.chunk_bytes)
    return _Ingestion(context, store, options, Deadline()).run(chunks)


@dataclass(slots=True)
class _Ingestion:
    """One object on its way through the rooms."""

    context: Context
    store: Store
    options: Options
    deadline: Deadline
    reserve: float = 0.0
    trail: Trail = field(default_factory=Trail)
    tally: Tally = field(default_factory=Tally)
    read: int = 0
    unparsed: int = 0
    end: int | None = None
    """Where the last chunk ends in the object's text; None before the first one."""
    stopped: bool = False
    cut_off: ObjectCorruptError | SourceUnavailableError | None = None

    def run(self, chunks: Chunks) -> Outcome:
        try:
            self._carry(chunks)
        except ClusterRefusedError as error:
            self.store.prepared.clear()  # an index may be gone: the next object looks again
            return Outcome(self.tally, error)
        except PipelineError as error:
            return Outcome(self.tally, error)
        if self.stopped and self.end is not None:
            return Outcome(self.tally, rest=self.trail.place(self.end))
        return Outcome(self.tally)

    def _carry(self, chunks: Chunks) -> None:
        batches = map(self._encode, self._in_time(self._until_cut_off(chunks)))
        connections, deadline = self.options.connections, self.deadline
        for batch, replies in index_batches(
            batches, es=self.store.es, connections=connections, deadline=deadline
        ):
            letters = write_dead_letters(
                rejects_of(batch, replies),
                context=self.context,
                store=self.store,
                deadline=deadline,
            )
            self.tally += tally_of(batch, replies, letters)
        self.tally.check()
        if self.cut_off:
            raise self.cut_off

    def _encode(self, chunk: Chunk | LongLine) -> Batch:
        batch = encode_chunk(chunk, self.context)
        self.read += batch.read
        self.unparsed += len(batch.rejects)
        if self.unparsed > _NOT_ALB_LINES and self.unparsed > _NOT_ALB_SHARE * self.read:
            raise ObjectNotAlbError(
                f"{self.unparsed} of the first {self.read} lines are no ALB log lines, such as: "
                f"{batch.rejects[-1].message}. Nothing of this part was dead-lettered"
            )
        self.store.admit(batch.indices, within=self.deadline.left())
        return batch

    def _in_time(self, chunks: Chunks) -> Chunks:
        """Let chunks through until the time is short, and then no more."""
        stoppable = True
        while not stoppable or self.deadline.left() > self.reserve:
            chunk = next(chunks, None)
            if chunk is None:
                return
            # Where a long line ends is known only by what comes after it.
            stoppable = isinstance(chunk, Chunk)
            if isinstance(chunk, Chunk):
                self.end = chunk.offset + len(chunk.data)
            self.trail.forget(chunk.offset)
            yield chunk
        if self.end is None or not self.reserve:
            raise SinkUnavailableError(
                "the time is up before the object is: give the function more memory or a longer "
                "timeout"
            )
        self.stopped = True

    def _until_cut_off(self, chunks: Chunks) -> Chunks:
        """Let the whole lines before a cut through to their end, and keep the error till then."""
        try:
            yield from chunks
        except (ObjectCorruptError, SourceUnavailableError) as error:
            self.cut_off = error
            cut_line = error.truncated if isinstance(error, ObjectCorruptError) else 0
            self.tally += Tally(lines=cut_line, truncated=cut_line)


def context_of(store: Store, options: Options) -> Context:
    """Give what is the same for every line that is ingested now, wherever it comes from."""
    now = datetime.now(UTC)
    return Context(
        latest=latest_instant(now),
        kind=options.kind,
        prefix=store.prefix,
        period=store.period,
        ingested=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        keep_original=options.keep_original,
    )


def with_name(context: Context, name: ObjectName | None) -> Context:
    """Add what an object's name tells: account, region and, unless one was chosen, the kind."""
    if name is None:
        return context
    return replace(
        context, kind=context.kind or name.kind, account=name.account, region=name.region
    )


def latest_instant(now: datetime) -> str:
    """Give the last instant that an event may have: a day ahead, for clocks that are wrong."""
    return (now + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
