"""
Account for every line of an object.

    lines = indexed + duplicates + rejected + filtered + blank + truncated

Each term is counted where it happens and none by subtraction, so the equation can fail, and a
breach of it is an error. Every number that is shown to the outside has its name in `METRICS`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from pipeline.errors import AccountingError, PipelineError

if TYPE_CHECKING:  # a command that only parses counts too, and needs no client of Elasticsearch
    from pipeline.sink.bulk import Replies
    from pipeline.sink.encoding import Batch
    from pipeline.source.continuation import ResumePoint


@dataclass(frozen=True, slots=True)
class Tally:
    """
    What became of the lines of one object, or of many together.

    `bytes` are those of the decompressed lines. `repeated` are lines whose equal stood in the
    same chunk: they are one request logged twice or, without a trace id, requests that cannot
    be told apart; they are among the duplicates. `rejected` lines each have a dead letter.
    """

    lines: int = 0
    indexed: int = 0
    duplicates: int = 0
    rejected: int = 0
    filtered: int = 0
    blank: int = 0
    truncated: int = 0
    repeated: int = 0
    bytes: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Add term by term."""
        return Tally(
            **{term.name: getattr(self, term.name) + getattr(other, term.name) for term in _TERMS}
        )

    def check(self) -> None:
        """Raise AccountingError unless every line read is accounted for."""
        accounted = (
            self.indexed
            + self.duplicates
            + self.rejected
            + self.filtered
            + self.blank
            + self.truncated
        )
        if self.lines != accounted:
            raise AccountingError(
                f"{self.lines} lines were read but {accounted} are accounted for: {self}"
            )

    def as_dict(self) -> dict[str, int]:
        """Return the terms by name."""
        return {term.name: getattr(self, term.name) for term in _TERMS}


_TERMS = fields(Tally)


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    How one object ended: what became of its lines, and the error that stopped it, if any.

    `rest` is where to go on, where only the time was up: all lines before it are accounted for.
    `changed`: the object was overwritten since it was announced, and is read as it is now.
    `anew`: it was read from its start, though a message said where to go on. `events` are the first
    and the last time among its documents; `unrecorded` is why it has no entry in the ledger.
    `throttled` counts how often Elasticsearch had too much to do (429).
    """

    tally: Tally
    error: PipelineError | None = None
    rest: ResumePoint | None = None
    changed: bool = False
    anew: bool = False
    events: tuple[str, str] | None = field(default=None, compare=False)
    unrecorded: str | None = None
    throttled: int = field(default=0, compare=False)


def tally_of(batch: Batch, replies: Replies, dead_letters: int) -> Tally:
    """Count one batch, after its last reply; `dead_letters` are those acknowledged for it."""
    return Tally(
        lines=batch.read,
        indexed=replies.created,
        duplicates=replies.duplicates,
        rejected=dead_letters,
        filtered=replies.filtered + batch.filtered,
        blank=batch.blank,
        repeated=len(batch.actions) - len({action.id for action in batch.actions}),
        bytes=batch.size,
    )
