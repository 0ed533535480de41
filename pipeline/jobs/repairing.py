"""
Ingest what an audit finds missing, and audit it again.

An object is ingested whatever the ledger says, by the processes of a backfill, while the audit goes
on to find the next. Memory holds the objects under way alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from pipeline.jobs.auditing import Audit, Finding
from pipeline.jobs.backfill import open_for, run_backfill
from pipeline.jobs.pace import Pace
from pipeline.jobs.workers import Done, Note, Tick, Work, Workers
from pipeline.source.objects import ObjectRef


@dataclass(frozen=True, slots=True)
class Repaired:
    """An object that was ingested: what was found before and what after."""

    before: Finding
    after: Finding


@dataclass(frozen=True, slots=True)
class Repair:
    """
    How what is missing is ingested, and who is told.

    `passed` is told of each object that needs no repair, and `stopped` tells whether to end early.
    """

    audit: Audit
    workers: int
    work: Work
    passed: Callable[[Finding], object]
    stopped: Callable[[], bool]
    _under_way: dict[str, Finding] = field(default_factory=dict)

    def run(self, findings: Iterator[Finding]) -> Iterator[Repaired | Note | Tick]:
        """Yield each object that was ingested, and whatever else happens."""
        due = self._due(findings)
        first = next(due, None)
        if first is None:
            return
        with Workers(self.workers, self.work, open_for) as workers:
            pace = Pace(self.workers)
            for event in run_backfill(chain([first], due), workers, pace, self.stopped):
                match event:
                    case Done(ref, outcome):
                        before = self._under_way.pop(ref.key)
                        yield Repaired(before, self.audit.again(ref, outcome))
                    case Note() | Tick():
                        yield event

    def _due(self, findings: Iterator[Finding]) -> Iterator[ObjectRef]:
        for finding in findings:
            if finding.verdict.is_missing:
                self._under_way[finding.ref.key] = finding
                yield finding.ref
            else:
                self.passed(finding)
            if self.stopped():
                return
