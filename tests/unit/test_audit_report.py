"""What an audit adds up."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from pipeline.alb.keys import ObjectName, classify_key
from pipeline.jobs.audit_report import UNDER_WAY, Report
from pipeline.jobs.auditing import Finding, Verdict
from pipeline.jobs.deep import Lines
from pipeline.jobs.gaps import Series
from pipeline.source.objects import ObjectRef
from tests.support.keys import log_key

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


def ref(end: str, *, created: datetime | None = None) -> ObjectRef:
    """Return an object that ends at a time."""
    name = classify_key(key := log_key(end))
    assert isinstance(name, ObjectName)
    return ObjectRef("bucket", key, name, size=1, etag="e", created=created)


def test_counts_by_day_and_load_balancer() -> None:
    """The last object of a day, named after midnight, is of that day."""
    report = Report(NOW)
    for end, verdict in (
        ("2026-11-01T10:00", Verdict.INGESTED),
        ("2026-11-02T00:00", Verdict.MISSING),
        ("2026-11-02T00:05", Verdict.FAILED),
    ):
        report.add(Finding(ref(end), verdict, lines=Lines(5, filtered=2)))

    rows = [
        (day, count.present, count.missing, count.lines.lines) for day, _, count in report.rows()
    ]

    assert [(date(2026, 11, 1), 2, 1, 10), (date(2026, 11, 2), 1, 1, 5)] == rows
    assert {Series.of(n) for n in [ref("2026-11-01").name] if n} == {s for _, s, _ in report.rows()}
    assert (3, 2, 6) == (report.total.present, report.total.missing, report.total.lines.filtered)


@pytest.mark.parametrize("verdict", Verdict)
def test_what_is_missing(verdict: Verdict) -> None:
    """All verdicts but that it is in, or need not be, are missing, and fresh if it just came."""
    report = Report(NOW)
    report.add(Finding(ref("2026-11-02T11:55", created=NOW - UNDER_WAY / 2), verdict))
    report.add(Finding(ref("2026-11-02T11:00", created=NOW - timedelta(hours=1)), verdict))

    missing = verdict not in {Verdict.INGESTED, Verdict.EXPIRED}
    assert (2 * missing, missing) == (report.total.missing, report.total.fresh)


def test_what_is_repaired() -> None:
    """Only what is in by now is repaired, and counts by what it is now."""
    report = Report(NOW)
    before = Finding(ref("2026-11-02T11:00"), Verdict.MISSING, recorded=False)
    report.add(replace(before, verdict=Verdict.INGESTED, recorded=True), before=before)
    report.add(replace(before, verdict=Verdict.FAILED), before=before)

    assert (1, 1, 0) == (report.total.repaired, report.total.missing, report.total.unrecorded)
    assert {Verdict.INGESTED: 1, Verdict.FAILED: 1} == report.total.verdicts


@pytest.mark.parametrize(
    ("missing", "filtered", "known", "left"),
    [
        pytest.param(3, 0, 0, (3, 0), id="nothing was filtered"),
        pytest.param(3, 2, 2, (3, 2), id="the same lines are filtered today"),
        pytest.param(3, 2, 5, (0, 5), id="more were filtered then"),
        pytest.param(3, 2, 4, (1, 4), id="more were, and a line is missing"),
        pytest.param(3, 2, 1, (3, 2), id="fewer were filtered then"),
        pytest.param(0, 0, 9, (0, 0), id="all are there"),
    ],
)
def test_lines_that_were_filtered_then(
    missing: int, filtered: int, known: int, left: tuple[int, int]
) -> None:
    """As many as were filtered when the object was ingested are not missing."""
    lines = Lines(9, filtered=filtered, missing=missing).with_filtered(known)

    assert left == (lines.missing, lines.filtered)
