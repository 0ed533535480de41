"""
Find what is missing: compare a bucket with the ledger, or with the documents themselves.

By the ledger an object is in if its entry, of the ETag that it has now, is complete. A deep audit
does not take that on trust: it looks for every line, and an object is in if all of them are there,
whatever the ledger says.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice

from pipeline.aws_refusals import AwsRefusedError
from pipeline.deadline import Deadline
from pipeline.errors import PermanentError, SourceUnavailableError
from pipeline.jobs.deep import NO_LINES, Lines, look_for_lines
from pipeline.jobs.selecting import Known, day_of, version_of, with_entries
from pipeline.outcome import Outcome
from pipeline.sink.ledger import Entry, State
from pipeline.sink.refusals import elasticsearch_errors
from pipeline.sink.requests import request
from pipeline.sink.store import Store
from pipeline.source.objects import ObjectRef
from pipeline.wiring import Pipeline

_AT_ONCE = 500


class Verdict(StrEnum):
    """What is to be said of an object."""

    INGESTED = "ingested"
    MISSING = "missing"
    """Nobody read it, as far as the ledger knows."""
    FAILED = "failed"
    PARTIAL = "partial"
    CHANGED = "changed"
    """It was read, and overwritten since."""
    INCOMPLETE = "incomplete"
    """It was read to its end, and some of its lines are not there."""
    EXPIRED = "expired"
    """The lifecycle deletes the documents of its day: they need not be there."""

    @property
    def is_missing(self) -> bool:
        """Return whether lines are not in that should be."""
        return self not in {Verdict.INGESTED, Verdict.EXPIRED}


@dataclass(frozen=True, slots=True)
class Finding:
    """An object, the verdict and the reason of it, and what is known of its lines."""

    ref: ObjectRef
    verdict: Verdict
    reason: str = ""
    lines: Lines = NO_LINES
    recorded: bool = True
    """Whether the ledger has a complete entry."""


@dataclass(frozen=True, slots=True)
class Audit:
    """How objects are looked at; `watch` is told of lines that were looked for."""

    pipeline: Pipeline
    deep: bool
    now: datetime
    watch: Callable[[Lines], object] = lambda _: None

    def findings(self, refs: Iterable[ObjectRef], *, filtered: int = 0) -> Iterator[Finding]:
        """Yield a finding for each object, in their order; so many lines of each were filtered."""
        store = self.pipeline.store
        left = with_entries(refs, store)
        while some := list(islice(left, _AT_ONCE)):
            changed = keys_of_other_versions([each.ref for each in some if not each.entry], store)
            for each in some:
                yield self._finding(each, changed, filtered)

    def again(self, ref: ObjectRef, outcome: Outcome) -> Finding:
        """Return the finding of an object that was ingested just now."""
        if outcome.error:
            return Finding(ref, Verdict.FAILED, _why(outcome.error), recorded=False)
        (finding,) = self.findings([ref], filtered=outcome.tally.filtered)
        if finding.verdict.is_missing and outcome.unrecorded:
            return replace(finding, reason=f"the ledger has no entry of it: {outcome.unrecorded}")
        return finding

    def _finding(self, known: Known, changed: set[str], filtered: int) -> Finding:
        finding = _by_ledger(known, changed)
        if self._is_old(known.ref) and (self.deep or finding.verdict.is_missing):
            days = self.pipeline.store.retention_days
            reason = f"its day is older than the {days} days that documents are kept"
            return replace(finding, verdict=Verdict.EXPIRED, reason=reason)
        return self._by_lines(known, finding, filtered) if self.deep else finding

    def _is_old(self, ref: ObjectRef) -> bool:
        """Return whether the lifecycle deletes the documents of an object's day."""
        days = self.pipeline.store.retention_days
        if days is None:
            return False
        return day_of(ref) < (self.now.astimezone(UTC) - timedelta(days=days)).date()

    def _by_lines(self, known: Known, finding: Finding, filtered: int) -> Finding:
        try:
            lines = look_for_lines(known.ref, self.pipeline, self.watch)
        except (AwsRefusedError, PermanentError, SourceUnavailableError) as error:
            if not finding.recorded:
                return finding
            return replace(finding, verdict=Verdict.FAILED, reason=f"read again: {_why(error)}")
        then = known.entry.counts["filtered"] if known.entry else 0
        return _by_lines(finding, lines.with_filtered(max(then, filtered)))


def _by_lines(finding: Finding, lines: Lines) -> Finding:
    """Return a finding as it is once the lines were looked for."""
    if not lines.missing:
        return replace(finding, verdict=Verdict.INGESTED, reason="", lines=lines)
    if not finding.recorded:
        return replace(finding, reason=f"{finding.reason}; {_holes(lines)}", lines=lines)
    return replace(finding, verdict=Verdict.INCOMPLETE, reason=_holes(lines), lines=lines)


def _by_ledger(known: Known, changed: set[str]) -> Finding:
    """Return what the ledger says of an object."""
    ref, entry = known.ref, known.entry
    if entry is None:
        if ref.key in changed:
            reason = "it was overwritten: the ledger knows it with another ETag"
            return Finding(ref, Verdict.CHANGED, reason, recorded=False)
        return Finding(ref, Verdict.MISSING, "the ledger has no entry of it", recorded=False)
    lines = Lines(
        entry.counts["lines"], entry.counts["filtered"], rejected=entry.counts["rejected"]
    )
    match entry.state:
        case State.COMPLETE:
            return Finding(ref, Verdict.INGESTED, lines=lines)
        case State.PARTIAL:
            reason = f"only {entry.offset:,} bytes of its text are in"
            return Finding(ref, Verdict.PARTIAL, reason, lines, recorded=False)
        case State.FAILED:
            return Finding(ref, Verdict.FAILED, _failure(entry), lines, recorded=False)


def _failure(entry: Entry) -> str:
    type_, message = entry.error or ("it failed", "")
    return f"{type_}: {message}" if message else type_


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _holes(lines: Lines) -> str:
    offsets = ", ".join(map(str, lines.offsets))
    of_all = f"{lines.missing:,} of {lines.lines:,} lines are not in Elasticsearch"
    return f"{of_all}, the first at offsets {offsets}"


def keys_of_other_versions(refs: list[ObjectRef], store: Store) -> set[str]:
    """
    Return the keys of which the ledger knows another version than the present one.

    It takes a search, which does not find what was written within the last ten seconds.
    """
    if not refs:
        return set()
    versions = [version for each in refs if (version := version_of(each))]
    keys = [each.key for each in refs]
    body = {
        "size": 0,
        "query": {
            "bool": {
                "filter": [
                    {"terms": {"aws.s3.bucket.name": sorted({each.bucket for each in refs})}},
                    {"terms": {"aws.s3.object.key": keys}},
                ],
                "must_not": {"ids": {"values": [each.id for each in versions]}},
            }
        },
        "aggs": {"keys": {"terms": {"field": "aws.s3.object.key", "size": len(keys)}}},
    }
    path = f"/{store.ledger}/_search?ignore_unavailable=true"
    with elasticsearch_errors():
        answer = request(store.es, "POST", path, deadline=Deadline(), body=body)
    found = answer.get("aggregations", {}).get("keys", {}).get("buckets", [])
    return {each["key"] for each in found}
