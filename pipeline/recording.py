"""Record in the ledger what became of an object, once its last line is accounted for."""

from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.deadline import Deadline
from pipeline.errors import ClusterRefusedError, ConfigError, PipelineError, SinkUnavailableError
from pipeline.outcome import Outcome, Tally
from pipeline.sink.ledger import Entry, State, Version, read_entries, write_entry
from pipeline.sink.store import Store
from pipeline.source.objects import ObjectRef

BACKFILL = "backfill"
"""The route whose objects are old: how long they waited says nothing of the pipeline."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How an object was read: by which route, which version, and since when."""

    route: str
    etag: str
    begun: datetime


def record(
    ref: ObjectRef, outcome: Outcome, reading: Reading, *, store: Store, deadline: Deadline
) -> str | None:
    """
    Write the ledger entry of an object; return why it could not be written, if so.

    It changes nothing about the object, whose lines are in. Nothing is recorded where Elasticsearch
    is what failed, where no version was read, or where the key tells no time.
    """
    if ref.name is None or not reading.etag or isinstance(outcome.error, _OF_ELASTICSEARCH):
        return None
    version = Version(ref.bucket, ref.key, reading.etag, ref.name)
    entry = _entry(ref, outcome, reading)
    try:
        if ref.continuation and ref.continuation.start:
            (earlier,) = read_entries([version], store=store, deadline=deadline)
            entry = entry.after(earlier)
        write_entry(version, entry, store=store, deadline=deadline)
    except PipelineError as error:
        return str(error)
    return None


_OF_ELASTICSEARCH = (ClusterRefusedError, SinkUnavailableError, ConfigError)


def _entry(ref: ObjectRef, outcome: Outcome, reading: Reading) -> Entry:
    now, before = datetime.now(UTC), ref.continuation
    tally = (Tally(**before.tally) if before else Tally()) + outcome.tally
    start = before.start.offset if before and before.start else 0
    return Entry(
        state=_state(outcome),
        counts=tally.as_dict(),
        offset=start + outcome.tally.bytes,
        route=reading.route,
        events=outcome.events,
        seconds=(now - reading.begun).total_seconds(),
        lags=dict(_lags(ref, now, reading.route)),
        error=(type(outcome.error).__name__, str(outcome.error)) if outcome.error else None,
    )


def _state(outcome: Outcome) -> State:
    if outcome.error:
        return State.FAILED
    return State.PARTIAL if outcome.rest else State.COMPLETE


def _lags(ref: ObjectRef, now: datetime, route: str) -> list[tuple[str, float]]:
    if ref.created is None or ref.name is None:
        return []
    delivery = ("delivery", (ref.created - ref.name.end_time).total_seconds())
    if route == BACKFILL:
        return [delivery]
    return [delivery, ("ingest", (now - ref.created).total_seconds())]
