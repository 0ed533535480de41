"""
Ingest all objects of a range that the ledger does not know to be complete.

The range is gone through twice: once to count what is due, then to read it. Whatever ends the run,
Ctrl-C, a crash or a killed process, the next run reads only what is not complete; lines that are in
already count as duplicates.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from pipeline.config import Config
from pipeline.errors import ClusterRefusedError, ConfigError, PipelineError, SinkUnavailableError
from pipeline.jobs.pace import Pace
from pipeline.jobs.selecting import Choice, with_entries
from pipeline.jobs.workers import Done, Event, Work, Workers
from pipeline.sink.store import Store
from pipeline.source.objects import ObjectRef
from pipeline.wiring import Pipeline, open_pipeline

Objects = Callable[[], Iterator[ObjectRef]]
"""The objects of a range, listed again by each call."""

_MOST_IN_A_ROW = 2
"""Objects beyond those under way that may fail one after another for a reason outside of them."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The objects of a range, which of them are due, and the ledger that tells."""

    objects: Objects
    choice: Choice
    store: Store

    def due(self) -> Iterator[ObjectRef]:
        """Yield what is due, by the ledger of this moment."""
        for known in with_entries(self.objects(), self.store):
            if known.is_due(self.choice):
                yield known.ref


def open_for(work: Work) -> Pipeline:
    """Open what one of the processes ingests with."""
    config = replace(Config.from_env(), es_connections=work.connections)
    pipeline = open_pipeline(config, route=work.route)
    return replace(pipeline, options=replace(pipeline.options, overwrite=work.overwrite))


def run_backfill(
    due: Iterator[ObjectRef], workers: Workers, pace: Pace, stopped: Callable[[], bool]
) -> Iterator[Event]:
    """
    Ingest what is due; yield what happens. When it is stopped, what is under way comes to its end.

    Raises what would fail all other objects as well: a ConfigError before anything is in, or the
    last error of several in a row that say that Elasticsearch, a setting or a permission is the
    reason.
    """
    limits = _Limits(workers.number + _MOST_IN_A_ROW)
    for event in workers.ingest(due, pace, stopped):
        yield event
        if isinstance(event, Done):
            limits.note(event.outcome.error)


@dataclass(slots=True)
class _Limits:
    """How long to go on although objects fail for a reason outside of them."""

    most: int
    in_a_row: int = 0
    some_are_in: bool = False

    def note(self, error: PipelineError | None) -> None:
        """Take in how an object went; raise where the others would go the same way."""
        if not isinstance(error, _FROM_OUTSIDE):
            self.in_a_row, self.some_are_in = 0, self.some_are_in or error is None
            return
        self.in_a_row += 1
        if isinstance(error, ConfigError) and not self.some_are_in:
            raise error
        if self.in_a_row >= self.most:
            kind = ConfigError if isinstance(error, ConfigError) else SinkUnavailableError
            raise kind(
                f"{self.in_a_row} objects in a row failed for a reason outside of them, the last "
                f"by: {error}"
            )


_FROM_OUTSIDE = (ConfigError, SinkUnavailableError, ClusterRefusedError)
