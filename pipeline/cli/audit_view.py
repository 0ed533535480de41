"""Show what an audit found: for people a table and what is wrong, or as lines of JSON."""

from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.cli.screen import Screen, complain, escaped
from pipeline.jobs.audit_report import UNDER_WAY, Count, Report
from pipeline.jobs.auditing import Finding, Verdict
from pipeline.jobs.gaps import Gap, Series

_MOST_SHOWN = 20
_MOST_GAPS = 3  # of one load balancer

_ALWAYS = (
    Verdict.INGESTED,
    Verdict.MISSING,
    Verdict.FAILED,
    Verdict.PARTIAL,
    Verdict.CHANGED,
)


class AuditView:
    """What one audit says, while it goes on and at its end."""

    def __init__(self, screen: Screen, report: Report, *, as_json: bool) -> None:
        self._screen, self._report, self._as_json = screen, report, as_json
        self._missing: list[Finding] = []

    def add(self, finding: Finding, before: Finding | None) -> None:
        """Write an object that is not in, or was not, as JSON; for people, keep the first few."""
        if self._as_json and (before or finding.verdict is not Verdict.INGESTED):
            self._screen.write_json(_finding_as_json(finding, before))
        elif finding.verdict.is_missing and len(self._missing) < _MOST_SHOWN:
            self._missing.append(finding)

    def tell(self, *, whole: bool) -> None:
        """Say what was found; not `whole`, if the audit ended early."""
        if self._as_json:
            for result in _as_json(self._report, whole=whole):
                self._screen.write_json(result)
            return
        for line in _in_words(self._report, self._missing, whole=whole):
            self._screen.say(line)
        if self._screen.quiet and self._report.total.missing:
            for line in _missing_in_words(self._report.total, self._missing):
                complain(line)


# --- for people ----------------------------------------------------------------------------------


def _in_words(report: Report, missing: Sequence[Finding], *, whole: bool) -> Iterator[str]:
    total = report.total
    if total.present:
        yield from _table(report)
    yield from _missing_in_words(total, missing)
    yield from _gaps_in_words(report)
    yield from _notes(total)
    yield _conclusion(total, whole=whole)


def _table(report: Report) -> Iterator[str]:
    """Yield the table, whose numbers are right-aligned."""
    total = report.total
    shown = [verdict for verdict in Verdict if verdict in _ALWAYS or total.verdicts[verdict]]
    head = ["day", "load balancer", "kind", "present", *shown, "lines"]
    body = [
        [f"{day}", _named(series), series.kind.value, *_numbers(count, shown)]
        for day, series, count in report.rows()
    ]
    rows = [head, *body, ["together", "", "", *_numbers(total, shown)]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        texts = (f"{text:<{width}}" for text, width in zip(row[:3], widths, strict=False))
        numbers = (f"{text:>{width}}" for text, width in zip(row[3:], widths[3:], strict=True))
        yield "  ".join((*texts, *numbers))


def _named(series: Series) -> str:
    return f"{series.account} {series.region} {series.load_balancer.removeprefix('app/')}"


def _numbers(count: Count, shown: Sequence[Verdict]) -> list[str]:
    numbers = (count.present, *(count.verdicts[each] for each in shown), count.lines.lines)
    return [f"{number:,}" for number in numbers]


def _missing_in_words(total: Count, missing: Sequence[Finding]) -> Iterator[str]:
    for each in missing:
        yield escaped(f"{each.verdict}: s3://{each.ref.bucket}/{each.ref.key}: {each.reason}")
    if (more := total.missing - len(missing)) > 0:
        yield f"… and {more:,} more; --json lists them all"


def _gaps_in_words(report: Report) -> Iterator[str]:
    told = False
    for series, gaps in report.deliveries.gaps():
        told = True
        shown = ", ".join(map(_spelled, gaps[:_MOST_GAPS])) + (", …" if gaps[_MOST_GAPS:] else "")
        objects = sum(gap.intervals for gap in gaps)
        yield (
            f"Never delivered by AWS: {series.kind} logs of {_named(series)}, {objects:,} "
            f"intervals of five minutes: {shown}"
        )
    if told:
        yield (
            "AWS delivers logs on a best-effort basis, and a load balancer without traffic writes "
            "none: that counts neither as missing nor for the exit code."
        )


def _spelled(gap: Gap) -> str:
    end = f"{gap.end:%H:%M}" if gap.end.date() == gap.first.date() else f"{gap.end:%Y-%m-%d %H:%M}"
    return f"{gap.first:%Y-%m-%d %H:%M} to {end} UTC"


def _notes(total: Count) -> Iterator[str]:
    lines = total.lines
    if total.repaired:
        yield f"{total.repaired:,} objects were not in before, and are now."
    if total.fresh:
        yield (
            f"{total.fresh:,} of the objects that are not in arrived within the last "
            f"{UNDER_WAY.total_seconds() / 60:.0f} minutes and may be under way."
        )
    if total.unrecorded:
        yield (
            f"{total.unrecorded:,} objects are in by their lines, though not by the ledger: an "
            "audit without --deep calls them missing, and a backfill reads them again."
        )
    if lines.expired:
        yield (
            f"{lines.expired:,} rejected lines have no dead letter any more, as it may have been "
            "deleted for its age: they do not count as missing."
        )


def _conclusion(total: Count, *, whole: bool) -> str:
    if not whole:
        return "It ended early: only what is said above was looked at."
    if total.missing:
        return f"{total.missing:,} of {total.present:,} objects are not in."
    if not total.present:
        return "The bucket holds no object of this range: check the times and what else you chose."
    return "Nothing is missing."


# --- for machines --------------------------------------------------------------------------------


def _finding_as_json(finding: Finding, before: Finding | None) -> dict[str, Any]:
    """Return what was found at first, and after a repair what is found now."""
    first = before or finding
    told = {"bucket": first.ref.bucket, "key": first.ref.key, **_verdict_as_json(first)}
    return told | {"after_repair": _verdict_as_json(finding)} if before else told


def _verdict_as_json(finding: Finding) -> dict[str, Any]:
    lines = finding.lines
    told = {"verdict": finding.verdict.value, "reason": finding.reason or None}
    holes = {"lines_missing": lines.missing, "first_offsets": list(lines.offsets)}
    return told | holes if lines.missing else told


def _as_json(report: Report, *, whole: bool) -> Iterator[dict[str, Any]]:
    for day, series, count in report.rows():
        yield {"day": f"{day}", **_series_as_json(series), **count.as_dict()}
    intervals = 0
    for series, gaps in report.deliveries.gaps():
        number = sum(gap.intervals for gap in gaps)
        intervals += number
        spans = [{"from": gap.first.isoformat(), "to": gap.end.isoformat()} for gap in gaps]
        told = {"intervals": number, "gaps": spans}
        yield {"never_delivered": _series_as_json(series) | told}
    total = report.total.as_dict() | {"intervals_never_delivered": intervals}
    yield {"total": total, "not_in": report.total.missing, "whole": whole}


def _series_as_json(series: Series) -> dict[str, str]:
    return {
        "account": series.account,
        "region": series.region,
        "load_balancer": series.load_balancer,
        "kind": series.kind.value,
    }
