"""
Join the stages for one object. READ THIS FIRST.

An object is the unit of retry, a line the unit of account: however it ends, the outcome says what
became of every line that was read, and an object that failed can be ingested again at any time.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, NamedTuple

from pipeline.alb.document import Context
from pipeline.alb.fields import Kind
from pipeline.alb.filters import Rule
from pipeline.alb.keys import ObjectName, classify_key
from pipeline.alb.privacy import NOTHING, Privacy
from pipeline.deadline import Deadline
from pipeline.errors import (
    ClusterRefusedError,
    ObjectChangedError,
    ObjectCorruptError,
    ObjectMissingError,
    ObjectNotAlbError,
    PipelineError,
    SinkUnavailableError,
    SourceUnavailableError,
    TooManyIndicesError,
)
from pipeline.outcome import Outcome, Tally, tally_of
from pipeline.recording import Reading, record
from pipeline.sink.bulk import BulkSender, Sent
from pipeline.sink.deadletters import rejects_of, write_dead_letters
from pipeline.sink.doubt import MOST_REJECTS, Doubt
from pipeline.sink.encoding import Batch, encode_chunk
from pipeline.sink.overwriting import replacing
from pipeline.sink.store import Store
from pipeline.source.continuation import Continuation, ResumePoint
from pipeline.source.objects import ObjectRef
from pipeline.source.reading import Chunk, LongLine, ObjectReader, read_stream

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MOST_INDICES = 100
"""Indices that one object may touch: a forged one must not fill the cluster with them."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to ingest, the same for every object."""

    connections: int = 2
    bulk_bytes: int = 2_000_000
    keep_original: bool = False
    provenance: bool = False
    most_rejects: int = MOST_REJECTS
    privacy: Privacy = NOTHING
    exclude: tuple[Rule, ...] = ()
    route: str = "ingest"
    """Who ingests, as the ledger calls it."""
    overwrite: bool = False
    """Whether a document that is there already is replaced, unless it was erased."""
    kind: Kind | None = None
    """Which log every object is, whatever its name says; None: the name tells, else each line."""
    watch: Callable[[Tally], object] = lambda _: None
    """Told what became of some lines as soon as it is known, for whoever shows how work goes."""

    @property
    def chunk_bytes(self) -> int:
        """Return the raw bytes whose documents make about one bulk body: they are twice as long."""
        return self.bulk_bytes // 2


class Time(NamedTuple):
    """
    The time that an object may take.

    Reading stops `reserve` seconds before the deadline, so that what is under way can be taken;
    what is left of the object is then in the outcome's `rest`. Without a reserve it is an error.
    """

    deadline: Deadline = Deadline()
    reserve: float = 0.0


_DEFAULT = Options()
UNLIMITED = Time()
_NOTHING = Tally()


def ingest_object(
    ref: ObjectRef,
    *,
    s3: "S3Client",
    store: Store,
    options: Options = _DEFAULT,
    time: Time = UNLIMITED,
) -> Outcome:
    """
    Ingest one S3 object, or what is left of it; the outcome holds the error, if any.

    If the version that was announced, or whose rest was left, is gone, the present one is read from
    its start. So is an object whose rest alone looks like no ALB log.
    """
    before, outcome = ref.continuation, _ingest_object(ref, s3, store, options, time)
    if outcome.tally.lines:
        return outcome
    match outcome.error:
        case ObjectChangedError() if before or ref.version_id:
            present = replace(ref, etag=None, version_id=None, continuation=None)
            outcome = _ingest_object(present, s3, store, options, time)
            there = not isinstance(outcome.error, ObjectMissingError)
            return replace(outcome, changed=there, anew=True)
        case ObjectNotAlbError() if before and before.start:
            whole = replace(ref, version_id=before.start.version_id, continuation=None)
            return replace(_ingest_object(whole, s3, store, options, time), anew=True)
    return outcome


def _ingest_object(
    ref: ObjectRef, s3: "S3Client", store: Store, options: Options, time: Time
) -> Outcome:
    begun = datetime.now(UTC)
    before = ref.continuation or Continuation(ref.bucket, ref.key, hop=0)
    reader = ObjectReader(
        ref.bucket,
        ref.key,
        s3=s3,
        start=before.start,
        version_id=ref.version_id,
        chunk_bytes=options.chunk_bytes,
        deadline=time.deadline.sooner_by(time.reserve),
    )
    context = context_for(store, options, ref.name, bucket=ref.bucket, key=ref.key)
    ingestion = Ingestion(context, store, options, time, Tally(**before.tally))
    outcome = ingestion.run(reader, reader.resume_point)
    announced = ref.etag if before.start is None else None
    changed = bool(announced and reader.etag) and announced != reader.etag
    reading = Reading(options.route, reader.etag, begun)
    unrecorded = record(ref, outcome, reading, store=store, deadline=time.deadline)
    return replace(outcome, changed=changed, unrecorded=unrecorded)


def ingest_stream(
    stream: IO[bytes], name: str, *, store: Store, options: Options = _DEFAULT
) -> Outcome:
    """Ingest a local file or standard input, plain or gzip; `name` is its path, or an S3 key."""
    key = classify_key(name)
    context = context_for(store, options, key if isinstance(key, ObjectName) else None)
    chunks = read_stream(stream, name=name, chunk_bytes=options.chunk_bytes)
    return Ingestion(context, store, options).run(chunks)


def context_for(
    store: Store,
    options: Options,
    name: ObjectName | None = None,
    *,
    bucket: str | None = None,
    key: str | None = None,
) -> Context:
    """Build the context of an object that is ingested now into this store."""
    return Context.of(
        datetime.now(UTC),
        name=name,
        kind=options.kind,
        prefix=store.prefix,
        period=store.period,
        bucket=bucket,
        key=key,
        stamped=options.provenance,
        provenance=options.provenance,
        keep_original=options.keep_original,
        privacy=options.privacy,
        exclude=options.exclude,
    )


class Ingestion:
    """
    One object on its way through the stages, chunk by chunk; once.

    `before` is what earlier invocations accounted for, as a message says: it makes no guard wider.
    """

    def __init__(
        self,
        context: Context,
        store: Store,
        options: Options = _DEFAULT,
        time: Time = UNLIMITED,
        before: Tally = _NOTHING,
    ) -> None:
        self._context, self._store, self._options = context, store, options
        self._reserve = time.reserve
        self._deadline = time.deadline.apart()
        self._doubt = Doubt(
            most_rejects=options.most_rejects,
            rejected=before.rejected,
        )
        self._indices: set[str] = set()
        self._tally = Tally()
        self._events: tuple[str, str] | None = None
        self._throttled = 0

    def run(
        self,
        chunks: Iterable[Chunk | LongLine],
        resume_point: Callable[[int], ResumePoint] | None = None,
    ) -> Outcome:
        """Ingest chunks until they end or time is short; `resume_point` makes the rest of them."""
        sender = BulkSender(
            self._store.es, connections=self._options.connections, deadline=self._deadline
        )
        try:
            with sender:
                outcome = self._carry(chunks, sender, resume_point)
            self._tally.check()
        except PipelineError as error:
            if isinstance(error, ClusterRefusedError):
                self._store.forget()  # an index may be gone: the next object looks again
            outcome = Outcome(_NOTHING, error)
        return replace(outcome, tally=self._tally, events=self._events, throttled=self._throttled)

    def _carry(
        self,
        chunks: Iterable[Chunk | LongLine],
        sender: BulkSender,
        resume_point: Callable[[int], ResumePoint] | None,
    ) -> Outcome:
        stop = self._deadline.sooner_by(self._reserve)
        outcome, begun = Outcome(_NOTHING), False
        try:
            for chunk in chunks:
                if stop.passed:
                    outcome = Outcome(_NOTHING, rest=self._rest(chunk, begun, resume_point))
                    break
                self._send(self._doubt.weigh(encode_chunk(chunk, self._context)), sender)
                begun = True
        except (ObjectCorruptError, SourceUnavailableError) as error:
            outcome = Outcome(_NOTHING, error)  # whole lines before a cut go their way to the end
            self._tally += _truncated(error)
        if not outcome.rest and not isinstance(outcome.error, SourceUnavailableError):
            self._send(self._doubt.settle(), sender)
        for sent in sender.finish():
            self._settle(sent)
        return outcome

    def _rest(
        self,
        chunk: Chunk | LongLine,
        begun: bool,  # noqa: FBT001
        resume_point: Callable[[int], ResumePoint] | None,
    ) -> ResumePoint:
        """Return where to go on, if this invocation got on at all; else SinkUnavailableError."""
        if not begun or self._doubt.holds or not self._reserve or resume_point is None:
            raise SinkUnavailableError(
                "the time is up before the object is: give the function more memory or a longer "
                "timeout"
            )
        return resume_point(chunk.offset)

    def _send(self, batch: Batch, sender: BulkSender) -> None:
        """Send a batch once its indices are prepared; account for those that are done by then."""
        if not batch.read:
            return
        self._indices |= batch.indices
        if len(self._indices) > MOST_INDICES:
            raise TooManyIndicesError(
                f"its lines are of more than {MOST_INDICES} days, each an index of its own: split "
                "it by time, or use indices by month (`alb-logs setup --period month`)"
            )
        self._store.admit(batch.indices, deadline=self._deadline)
        for sent in sender.send(self._to_be_sent(batch)):
            self._settle(sent)

    def _to_be_sent(self, batch: Batch) -> Batch:
        if not self._options.overwrite:
            return batch
        actions = replacing(batch.actions, store=self._store, deadline=self._deadline)
        return replace(batch, actions=actions)

    def _settle(self, sent: Sent) -> None:
        """Write the dead letters of a batch that was sent, and account for its lines."""
        self._doubt.count(len(sent.replies.refused))
        letters = write_dead_letters(
            rejects_of(sent.batch, sent.replies, self._context),
            context=self._context,
            store=self._store,
            deadline=self._deadline,
            body_bytes=self._options.bulk_bytes,
        )
        self._events = _span(self._events, sent.batch.times)
        self._throttled += sent.replies.throttled
        settled = tally_of(sent.batch, sent.replies, letters)
        self._tally += settled
        self._options.watch(settled)


def _truncated(error: ObjectCorruptError | SourceUnavailableError) -> Tally:
    cut_line = error.truncated if isinstance(error, ObjectCorruptError) else 0
    return Tally(lines=cut_line, truncated=cut_line)


def _span(before: tuple[str, str] | None, times: list[str]) -> tuple[str, str] | None:
    """Return the first and the last of times, those before included."""
    every = [*(before or ()), *times]
    return (min(every), max(every)) if every else None
