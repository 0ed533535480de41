"""How a run shows that it goes on: never silent for long, and apart from its results."""

import json
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from pipeline.cli import tracking
from pipeline.cli.screen import Screen, Verbosity
from pipeline.cli.tracking import Standing, tracked
from pipeline.outcome import Outcome, Tally
from tests.support.workers import ref_at

REAL_INTERVAL = tracking.INTERVAL_SECONDS


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "INTERVAL_SECONDS", 0.05)


NUMBERS: Iterator[int] = count(1)


def numbers() -> dict[str, Any]:
    """Return how the work goes."""
    return {"done": next(NUMBERS)}


def test_a_pipe_gets_lines_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A line at each interval, though the work itself says nothing, the last at its end."""
    with tracked(Screen(), str, numbers):
        time.sleep(0.3)
    time.sleep(0.1)

    out, err = capsys.readouterr()
    lines = [json.loads(line)["progress"]["done"] for line in err.splitlines()]
    assert 2 <= len(lines) <= 7
    assert sorted(lines) == lines
    assert "" == out
    assert REAL_INTERVAL < 10  # nobody takes a run for dead


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """With -q only what goes wrong is said."""
    screen = Screen()
    screen.verbosity = Verbosity.QUIET
    with tracked(screen, str, numbers):
        time.sleep(0.2)

    assert ("", "") == tuple(capsys.readouterr())


def test_what_is_left_is_told_by_bytes() -> None:
    """The numbers are those of the objects that are done, and the time left is by their bytes."""
    standing = Standing(4, 4_000, begun=time.monotonic() - 10)
    assert standing.left is None

    standing.add(ref_at(0), Outcome(Tally(lines=50, indexed=40, duplicates=9, rejected=1)))

    assert 30 == pytest.approx(standing.left, abs=1)
    assert (
        "1 of 4 objects, 0.0 of 0.0 MB, 50 lines (5/s), 9 duplicates, 1 rejected, 0 failed, about "
        "0:00:30 left"
    ) == standing.in_words()
    for number in range(9):  # some came since they were counted
        standing.add(ref_at(number), Outcome(Tally()))
    assert 0 == standing.left
