"""What became of an object, in numbers and in log lines."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.alb.keys import ObjectName, Skipped, SkipReason, classify_key
from pipeline.errors import (
    AccountingError,
    DefectError,
    NotificationError,
    ObjectMissingError,
    SinkUnavailableError,
)
from pipeline.jobs.invocation import Finished, Report
from pipeline.jobs.reports import logged, measured
from pipeline.metrics import METRICS
from pipeline.outcome import Outcome, Tally
from pipeline.source.objects import ObjectRef
from tests.support.factories import KEY

NOW = datetime(2026, 9, 10, 23, 50, tzinfo=UTC)
CREATED = NOW - timedelta(minutes=3)
COUNTS = {name.capitalize() for name in Tally().as_dict()}


def named(key: str) -> ObjectName | None:
    """Return what a key says, if it says anything."""
    name = classify_key(key)
    return name if isinstance(name, ObjectName) else None


REF = ObjectRef("bucket", KEY, named(KEY), created=CREATED)
DEFECT = DefectError("a defect of this package: KeyError: 'x'")
DEFECT.__cause__ = KeyError("x")


@pytest.mark.parametrize(
    ("report", "names"),
    [
        pytest.param(
            Finished(REF, Outcome(Tally(lines=1, indexed=1))),
            {"IngestLag", "DeliveryLag"},
            id="done",
        ),
        pytest.param(Finished(REF, Outcome(Tally()), goes_on=True), set(), id="goes-on"),
        pytest.param(
            Finished(REF, Outcome(Tally(), changed=True)),
            {"IngestLag", "DeliveryLag", "ObjectsChanged"},
            id="changed",
        ),
        pytest.param(
            Finished(REF, Outcome(Tally(), SinkUnavailableError("x"), changed=True)),
            {"ObjectsFailed", "ObjectsChanged"},
            id="changed-and-failed",
        ),
        pytest.param(
            Finished(ObjectRef("bucket", "web.log", created=CREATED), Outcome(Tally())),
            {"IngestLag"},
            id="object-of-another-name",
        ),
        pytest.param(Finished(ObjectRef("bucket", KEY), Outcome(Tally())), set(), id="no-time"),
        pytest.param(
            Finished(REF, Outcome(Tally(lines=2, indexed=1), AccountingError("2 lines"))),
            {"ObjectsFailed", "AccountingErrors"},
            id="defect",
        ),
        pytest.param(
            Finished(REF, Outcome(Tally(), ObjectMissingError("x"))),
            {"ObjectsMissing"},
            id="missing",
        ),
        pytest.param(
            Finished(REF, Outcome(Tally(), SinkUnavailableError("x"))),
            {"ObjectsFailed"},
            id="failed",
        ),
    ],
)
def test_an_object_is_measured(report: Finished, names: set[str]) -> None:
    """Every term of the account is a metric, and how it ended one more; a lag needs a time."""
    ended = "Continuations" if report.goes_on else "Objects"

    found = dict(measured(report, NOW))

    assert {ended, *COUNTS, *names} == set(found)
    assert set(found) <= set(METRICS)
    assert report.outcome.tally.lines == found["Lines"]


def test_lags_are_seconds() -> None:
    """Ingest lag counts from the object's creation, delivery lag from its interval's end."""
    found = dict(measured(Finished(REF, Outcome(Tally())), NOW))

    assert REF.name
    assert 180.0 == found["IngestLag"]
    assert (CREATED - REF.name.end_time).total_seconds() == found["DeliveryLag"]


@pytest.mark.parametrize(
    ("report", "name"),
    [
        pytest.param(Skipped(SkipReason.TEST_EVENT), "ObjectsSkipped", id="skipped"),
        pytest.param(NotificationError("x"), "NotificationErrors", id="not-understood"),
    ],
)
def test_what_is_no_object_is_counted(report: Report, name: str) -> None:
    """A skipped notification and one that is not understood each have a metric."""
    assert {name: 1} == dict(measured(report, NOW))


@pytest.mark.parametrize(
    ("report", "level", "message"),
    [
        pytest.param(Finished(REF, Outcome(Tally())), "INFO", "ingested", id="done"),
        pytest.param(
            Finished(REF, Outcome(Tally()), goes_on=True), "INFO", "goes on", id="goes-on"
        ),
        pytest.param(
            Finished(REF, Outcome(Tally(), changed=True)), "WARNING", "ingested", id="changed"
        ),
        pytest.param(
            Finished(REF, Outcome(Tally(), ObjectMissingError("gone"))),
            "WARNING",
            "object missing",
            id="missing",
        ),
        pytest.param(Finished(REF, Outcome(Tally(), DEFECT)), "ERROR", "failed", id="failed"),
        pytest.param(
            Skipped(SkipReason.TEST_EVENT, "bucket", "key"), "INFO", "skipped", id="skipped"
        ),
        pytest.param(
            NotificationError("x"), "ERROR", "notification not understood", id="not-understood"
        ),
    ],
)
def test_a_report_is_one_log_line(report: Report, level: str, message: str) -> None:
    """Each report has a level, a message and, of an object, where it is and all its counts."""
    line = logged(report)

    assert (level, message) == (line.level, line.message)
    if isinstance(report, Finished):
        assert {"bucket", "key", *Tally().as_dict()} <= set(line.facts)
        assert ("error" in line.facts) == (report.outcome.error is not None)


def test_a_changed_object_is_warned_of() -> None:
    """However it ends, the log says that another version was read than the one announced."""
    for error in (None, SinkUnavailableError("x")):
        line = logged(Finished(REF, Outcome(Tally(), error, changed=True)))
        assert "overwritten since it was announced" in line.facts["warning"]
    assert "warning" not in logged(Finished(REF, Outcome(Tally()))).facts


def test_an_unforeseen_exception_keeps_its_traceback() -> None:
    """A defect's cause is logged with it; other errors speak for themselves."""
    assert isinstance(logged(Finished(REF, Outcome(Tally(), DEFECT))).cause, KeyError)
    assert logged(Finished(REF, Outcome(Tally(), SinkUnavailableError("x")))).cause is None
