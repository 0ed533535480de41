"""When a backfill ends although objects are left, and what it takes however many there are."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from pipeline.errors import (
    ClusterRefusedError,
    ConfigError,
    ObjectCorruptError,
    PipelineError,
    SinkUnavailableError,
    SourceUnavailableError,
)
from pipeline.jobs.backfill import run_backfill
from pipeline.jobs.pace import Pace
from pipeline.jobs.workers import Done, Event, Tick, Workers
from pipeline.outcome import Outcome, Tally
from tests.support.workers import ref_at

ROOT = Path(__file__).resolve().parents[2]
GONE, CORRUPT = SinkUnavailableError("no answer"), ObjectCorruptError("damaged")
REFUSED, DENIED = ClusterRefusedError("index closed"), ConfigError("AccessDenied: grant it")
NOT_READ = SourceUnavailableError("S3 is slow")


class Scripted:
    """Two workers whose objects end like this, one after another."""

    number = 2

    def __init__(self, errors: list[PipelineError | None]) -> None:
        self._errors = errors
        self.done = 0

    def ingest(self, *_: object) -> Iterator[Event]:
        """Yield what happens."""
        for number, error in enumerate(self._errors):
            self.done += 1
            yield Done(ref_at(number), Outcome(Tally(), error))
            yield Tick()


def ended(*errors: PipelineError | None) -> tuple[int, PipelineError | None]:
    """Return how many objects a run came to, and what it raised."""
    workers = Scripted(list(errors))
    try:
        list(run_backfill(iter(()), cast("Workers", workers), Pace(2), lambda: False))
    except PipelineError as error:
        return workers.done, error
    return workers.done, None


@pytest.mark.parametrize(
    "errors",
    [
        pytest.param([CORRUPT] * 9, id="damaged objects"),
        pytest.param([NOT_READ] * 9, id="objects that S3 does not deliver"),
        pytest.param([GONE, GONE, GONE, None] * 3, id="Elasticsearch, now and then"),
        pytest.param([None, DENIED, DENIED, None] * 3, id="an object that may not be read"),
    ],
)
def test_it_goes_on(errors: list[PipelineError | None]) -> None:
    """An object that fails for its own sake, or for a while, does not end the run."""
    assert (len(errors), None) == ended(*errors)


@pytest.mark.parametrize("error", [GONE, REFUSED])
def test_it_ends_when_elasticsearch_takes_nothing(error: PipelineError) -> None:
    """Two more in a row than are under way, and it ends with the last reason."""
    number, raised = ended(None, *[error] * 9)

    assert (5, SinkUnavailableError) == (number, type(raised))
    assert f"4 objects in a row failed for a reason outside of them, the last by: {error}" == (
        f"{raised}"
    )


def test_a_wrong_setting_ends_it_at_once() -> None:
    """Nothing is in yet, so the next object would fail as well: exit code 2."""
    assert (1, DENIED) == ended(DENIED, None)
    assert (2, DENIED) == ended(CORRUPT, DENIED)


def test_a_permission_that_is_taken_away_ends_it() -> None:
    """Once something is in, several objects in a row have to say so; exit code 2 all the same."""
    number, raised = ended(None, *[DENIED] * 9)

    assert (5, ConfigError) == (number, type(raised))
    assert f"{DENIED}" in f"{raised}"


def test_memory_is_flat() -> None:
    """Ten thousand objects take the process that hands them out no more than a thousand."""
    peaks = [peak_of(number) for number in (1_000, 10_000)]

    assert peaks[1] - peaks[0] < 4_000_000


def peak_of(objects: int) -> int:
    """Return the peak memory of the parent of a backfill, in bytes."""
    process = subprocess.run(
        [sys.executable, "-m", "tests.support.backfill_process", f"{objects}"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    *_, total, last = map(json.loads, process.stdout.splitlines())
    assert objects == total["total"]["done"]
    return int(last["peak"])
