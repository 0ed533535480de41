"""
Ingest all objects of a range that the ledger does not know to be complete.

The range is gone through twice: once to count what is due, then to read it. Whatever ends the run,
Ctrl-C, a crash or a killed process, the next run reads only what is not complete; lines that are in
already count as duplicates.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.errors import ClusterRefusedError, ConfigError, PipelineError, SinkUnavailableError
from pipeline.jobs.pace import Pace
from pipeline.jobs.selecting import Choice, with_entries
from pipeline.jobs.workers import Done, Event, Workers
from pipeline.sink.store import Store
from pipeline.source.objects import ObjectRef

Objects = Callable[[], Iterator[ObjectRef]]
"""The objects of a range, listed again by each call."""

_MOST_IN_A_ROW = 5
"""Objects that may fail one after another for Elasticsearch's sake; then the rest would, too."""


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


def run_backfill(
    due: Iterator[ObjectRef], workers: Workers, pace: Pace, stopped: Callable[[], bool]
) -> Iterator[Event]:
    """
    Ingest what is due; yield what happens. When it is stopped, what is under way comes to its end.

    Raises ConfigError for what the next object would fail by as well, and SinkUnavailableError
    where Elasticsearch takes nothing any more.
    """
    in_a_row = 0
    for event in workers.ingest(due, pace, stopped):
        yield event
        if isinstance(event, Done):
            in_a_row = in_a_row + 1 if _is_of_cluster(event.outcome.error) else 0
            _refuse_to_go_on(event.outcome.error, in_a_row)


def _is_of_cluster(error: PipelineError | None) -> bool:
    return isinstance(error, SinkUnavailableError | ClusterRefusedError)


def _refuse_to_go_on(error: PipelineError | None, in_a_row: int) -> None:
    if isinstance(error, ConfigError):
        raise error
    if in_a_row >= _MOST_IN_A_ROW:
        raise SinkUnavailableError(
            f"{in_a_row} objects in a row failed because of Elasticsearch, the last one by: {error}"
        )
