"""Add up what an audit finds, by day and load balancer; memory grows with those alone."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from pipeline.jobs.auditing import Finding, Verdict
from pipeline.jobs.deep import NO_LINES, Lines
from pipeline.jobs.gaps import Deliveries, Series
from pipeline.jobs.selecting import day_of, name_of

UNDER_WAY = timedelta(minutes=15)
"""An object that arrived so recently may still be on its way through a queue."""


@dataclass(slots=True)
class Count:
    """
    Objects by verdict, and their lines.

    `repaired` are those that are in by now, but were not before. `unrecorded` are in as well, by
    their lines, though the ledger does not know it. `fresh` are missing, and arrived just now.
    """

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    lines: Lines = NO_LINES
    repaired: int = 0
    unrecorded: int = 0
    fresh: int = 0

    @property
    def present(self) -> int:
        """Return how many objects the bucket holds."""
        return self.verdicts.total()

    @property
    def missing(self) -> int:
        """Return how many objects are not in, for whatever reason."""
        return sum(number for verdict, number in self.verdicts.items() if verdict.is_missing)

    def add(self, finding: Finding, *, repaired: bool, fresh: bool) -> None:
        """Count one more object."""
        self.verdicts[finding.verdict] += 1
        self.lines += finding.lines
        self.repaired += repaired
        self.unrecorded += finding.verdict is Verdict.INGESTED and not finding.recorded
        self.fresh += fresh

    def as_dict(self) -> dict[str, int]:
        """Return all numbers by name."""
        return {
            "present": self.present,
            **{verdict.value: self.verdicts[verdict] for verdict in Verdict},
            "repaired": self.repaired,
            "not_in_ledger": self.unrecorded,
            "lines": self.lines.lines,
            "lines_filtered": self.lines.filtered,
            "lines_rejected": self.lines.rejected,
            "lines_missing": self.lines.missing,
            "dead_letters_expired": self.lines.expired,
        }


class Report:
    """What an audit has found so far."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._counts: defaultdict[tuple[date, Series], Count] = defaultdict(Count)
        self.deliveries = Deliveries()
        self.total = Count()

    def add(self, finding: Finding, *, before: Finding | None = None) -> None:
        """Count an object; `before` is its finding before it was repaired."""
        name, created = name_of(finding.ref), finding.ref.created
        repaired = before is not None and not finding.verdict.is_missing
        recent = created is not None and self._now - created < UNDER_WAY
        fresh = finding.verdict.is_missing and recent
        self.deliveries.add(name)
        for count in (self._counts[day_of(finding.ref), Series.of(name)], self.total):
            count.add(finding, repaired=repaired, fresh=fresh)

    def rows(self) -> Iterator[tuple[date, Series, Count]]:
        """Yield the counts of each day and load balancer."""
        for (day, series), count in sorted(self._counts.items(), key=lambda each: each[0]):
            yield day, series, count
