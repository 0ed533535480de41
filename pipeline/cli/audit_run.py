"""Run an audit, with a repair or without, and tell at the end what was found."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from pipeline.cli.audit_view import AuditView
from pipeline.cli.ranges import Range
from pipeline.cli.screen import Screen
from pipeline.cli.stopping import stoppable
from pipeline.cli.tracking import tracked
from pipeline.jobs.audit_report import Report
from pipeline.jobs.auditing import Audit, Finding
from pipeline.jobs.deep import Lines
from pipeline.jobs.repairing import Repair, Repaired
from pipeline.jobs.workers import Note, Work
from pipeline.source.listing import Listed, objects_between
from pipeline.source.objects import ObjectRef
from pipeline.wiring import Pipeline

_STOPPED = 130


class _StoppedError(Exception):
    """Somebody stopped it while a bucket was listed."""


class AuditRun:
    """One audit of a range: counts what it finds, and shows how far it is."""

    def __init__(self, screen: Screen, pipeline: Pipeline, *, deep: bool, as_json: bool) -> None:
        now = datetime.now(UTC)
        self._screen, self._pipeline = screen, pipeline
        self._report, self._looked = Report(now), 0
        self._view = AuditView(screen, self._report, as_json=as_json)
        self._audit = Audit(pipeline, deep, now, self._look)

    def go(self, chosen: Range, workers: int, work: Work | None) -> int:
        """Audit, and repair if there is work for it; return the exit code."""
        with stoppable() as stopped, self._told(stopped):
            with tracked(self._screen, self._in_words, self._as_dict):
                findings = self._audit.findings(self._objects(chosen, stopped))
                if work:
                    self._repair(findings, Repair(self._audit, workers, work, self._take, stopped))
                else:
                    self._look_at(findings, stopped)
            ended = stopped()
        return _STOPPED if ended else int(self._report.total.missing > 0)

    def _objects(self, chosen: Range, stopped: Callable[[], bool]) -> Iterator[ObjectRef]:
        """Yield the objects of a range; none after it was stopped, however many folders follow."""
        bucket = chosen.bucket or ""
        s3 = self._pipeline.buckets.client_of(bucket)

        def watch(_: Listed) -> None:
            if stopped():
                raise _StoppedError

        with suppress(_StoppedError):
            yield from objects_between(
                bucket, chosen.wanted, s3=s3, prefix=chosen.prefix, watch=watch
            )

    def _look_at(self, findings: Iterator[Finding], stopped: Callable[[], bool]) -> None:
        for finding in findings:
            self._take(finding)
            if stopped():
                return

    def _repair(self, findings: Iterator[Finding], repair: Repair) -> None:
        for event in repair.run(findings):
            match event:
                case Repaired(before, after):
                    self._take(after, before)
                case Note(text):
                    self._screen.note(text)
                case _:
                    pass

    def _take(self, finding: Finding, before: Finding | None = None) -> None:
        self._report.add(finding, before=before)
        self._view.add(finding, before)

    def _look(self, lines: Lines) -> None:
        self._looked += lines.lines

    def _in_words(self) -> str:
        total = self._report.total
        deep = f", {self._looked:,} lines looked for" if self._looked else ""
        return f"{total.present:,} objects, {total.missing:,} of them not in{deep}"

    def _as_dict(self) -> dict[str, Any]:
        total = self._report.total
        return {
            "objects": total.present,
            "missing": total.missing,
            "lines_looked_for": self._looked,
        }

    @contextmanager
    def _told(self, stopped: Callable[[], bool]) -> Iterator[None]:
        """Report at the end what was found, also after an error, unless nothing was looked at."""
        try:
            yield
        except BaseException:
            if self._report.total.present:
                self._view.tell(whole=False)
            raise
        self._view.tell(whole=not stopped())
