"""Processes that ingest: what happens when they die, are interrupted or have something to say."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from pipeline.jobs.pace import Pace
from pipeline.jobs.workers import Done, Event, Note, Tick, Work, Workers
from pipeline.source.objects import ObjectRef
from tests.support.workers import obeying, ref_at

WORK = Work("backfill", connections=2)


def never() -> bool:
    """Return that nobody wants to stop."""
    return False


def events(
    refs: Iterable[ObjectRef], number: int = 2, stopped: Callable[[], bool] = never
) -> Iterator[Event]:
    """Yield what happens, Ticks left out."""
    with Workers(number, WORK, obeying) as workers:
        for event in workers.ingest(iter(refs), Pace(number), stopped):
            if not isinstance(event, Tick):
                yield event


def test_a_process_that_dies_is_replaced(tmp_path: Path) -> None:
    """Its object is tried again, which is said; then that object fails, and the others go on."""
    tags = ["good", "once", "good", "always", "defect", "good"]
    refs = [ref_at(number, tag, f"{tmp_path}") for number, tag in enumerate(tags)]

    happened = list(events(refs))

    errors = {each.ref.key: each.outcome.error for each in happened if isinstance(each, Done)}
    assert {each.key for each in refs} == set(errors)
    assert [refs[3].key, refs[4].key] == sorted(key for key, error in errors.items() if error)
    assert "ended twice (code -9): is memory short?" in f"{errors[refs[3].key]}"
    assert "a defect of this package: ZeroDivisionError" in f"{errors[refs[4].key]}"
    notes = sorted(each.text for each in happened if isinstance(each, Note))
    assert [
        f"a process ended (code -9) and is replaced; {refs[at].key} is tried again" for at in (1, 3)
    ] == notes


def test_ctrl_c_is_the_parents_business() -> None:
    """A process that gets the signals of a terminal at any moment, its first too, goes on."""
    hit: set[int | None] = set()

    def interrupted() -> Iterator[ObjectRef]:
        for number in range(5):  # the second is taken when the first process has just been started
            hit.update(each.pid for each in multiprocessing.active_children())
            for child in hit:
                os.kill(child or 0, signal.SIGINT)
                os.kill(child or 0, signal.SIGTERM)
            yield ref_at(number, "slow")

    happened = list(events(interrupted()))

    assert 2 == len(hit)
    assert [True] * 5 == [isinstance(each, Done) for each in happened]


def test_warnings_come_by_the_pipe() -> None:
    """What a process logs is an event, for only the parent knows what a terminal shows."""
    ref = ref_at(0, "warn")

    first, second = events([ref], number=1)

    assert Note("Elasticsearch is slow") == first
    assert isinstance(second, Done)


def test_a_stop_waits_for_what_is_under_way() -> None:
    """Once it is stopped nothing more is begun; a process that died idle hinders nothing."""
    taken: list[ObjectRef] = []

    def taking() -> Iterator[ObjectRef]:
        for number in range(20):
            taken.append(ref_at(number, "slow"))
            yield taken[-1]

    with Workers(2, WORK, obeying) as workers:
        happened = list(workers.ingest(taking(), Pace(2), lambda: len(taken) >= 4))
        multiprocessing.active_children()[0].kill()

    assert taken[:4] == sorted(
        (each.ref for each in happened if isinstance(each, Done)), key=lambda ref: ref.key
    )
    assert [] == multiprocessing.active_children()


def test_an_error_leaves_no_process_behind() -> None:
    """A second Ctrl-C is a KeyboardInterrupt: no object is waited for."""
    refs = [ref_at(number, "endless") for number in range(2)]

    def interrupted() -> None:
        with Workers(2, WORK, obeying) as workers:
            for _ in workers.ingest(iter(refs), Pace(2), never):
                raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert time.monotonic() - began < 30
    assert [] == multiprocessing.active_children()


def test_nothing_is_started_for_nothing() -> None:
    """A run over a range that is complete starts no process."""
    with Workers(2, WORK, obeying) as workers:
        assert [] == list(workers.ingest(iter([]), Pace(2), never))
        assert [] == multiprocessing.active_children()
