"""Put what became of an object into numbers and log lines, the same for every front door."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pipeline.alb.keys import Skipped
from pipeline.errors import AccountingError, DefectError, NotificationError, ObjectMissingError
from pipeline.jobs.invocation import Finished, Report

Level = Literal["INFO", "WARNING", "ERROR"]


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a structured log."""

    level: Level
    message: str
    facts: dict[str, Any]
    cause: BaseException | None = None
    """An exception that nobody foresaw, to be logged with its traceback."""


def measured(report: Report, now: datetime) -> Iterator[tuple[str, float]]:
    """Yield each metric of a report, by its name in `metrics.METRICS`, and its value."""
    match report:
        case Skipped():
            yield "ObjectsSkipped", 1
        case NotificationError():
            yield "NotificationErrors", 1
        case Finished():
            yield from _measured(report, now)


def _measured(finished: Finished, now: datetime) -> Iterator[tuple[str, float]]:
    yield "Continuations" if finished.goes_on else "Objects", 1
    for name, count in finished.outcome.tally.as_dict().items():
        yield name.capitalize(), count
    if finished.outcome.changed:
        yield "ObjectsChanged", 1
    if finished.outcome.unrecorded:
        yield "LedgerErrors", 1
    match finished.outcome.error:
        case None if not finished.goes_on:
            yield from _lags(finished, now)
        case None:
            pass
        case ObjectMissingError():
            yield "ObjectsMissing", 1
        case AccountingError():
            yield "AccountingErrors", 1
            yield "ObjectsFailed", 1
        case _:
            yield "ObjectsFailed", 1


def _lags(finished: Finished, now: datetime) -> Iterator[tuple[str, float]]:
    """Yield how late the object came, and how long after that its lines were searchable."""
    created, name = finished.ref.created, finished.ref.name
    if created is None:
        return
    yield "IngestLag", (now - created).total_seconds()
    if name is not None:
        yield "DeliveryLag", (created - name.end_time).total_seconds()


def logged(report: Report) -> LogLine:
    """Return the log line of a report."""
    match report:
        case Skipped():
            facts = {"reason": report.reason, "bucket": report.bucket, "key": report.key}
            return LogLine("INFO", "skipped", facts)
        case NotificationError():
            return LogLine("ERROR", "notification not understood", {"error": str(report)})
        case Finished():
            return _logged(report)


def _logged(finished: Finished) -> LogLine:
    where = {"bucket": finished.ref.bucket, "key": finished.ref.key}
    facts = {**where, **finished.outcome.tally.as_dict()}
    if finished.outcome.changed:
        facts["warning"] = "overwritten since it was announced: what is there now was read instead"
    if finished.outcome.unrecorded:
        facts["ledger"] = f"no entry was written: {finished.outcome.unrecorded}"
    match finished.outcome.error:
        case None:
            odd = finished.outcome.changed or finished.outcome.unrecorded
            level: Level = "WARNING" if odd else "INFO"
            return LogLine(level, "goes on" if finished.goes_on else "ingested", facts)
        case ObjectMissingError() as error:
            return LogLine("WARNING", "object missing", {**facts, "error": str(error)})
        case error:
            cause = error.__cause__ if isinstance(error, DefectError) else None
            facts["error"] = f"{type(error).__name__}: {error}"
            return LogLine("ERROR", "failed", facts, cause)
