"""The time that an object has: how long to pause between attempts, and when to give up."""

import time
from threading import Thread

import pytest

from pipeline.deadline import Deadline
from tests.support.deadlines import at_once, longest_pause


@pytest.mark.parametrize("attempt", range(10))
def test_pauses_double_up_to_a_limit_and_are_spread(attempt: int) -> None:
    """A pause lies between half and all of 0.25 s, doubled with each attempt, at most 20 s."""
    pauses: list[float] = []
    deadline = at_once(pauses)

    for _ in range(200):
        assert deadline.back_off(attempt)

    longest = longest_pause(attempt)
    assert longest / 2 <= min(pauses)
    assert max(pauses) <= longest
    assert max(pauses) - min(pauses) > longest / 4  # clients that fail together come back apart


def test_a_pause_that_outlasts_the_deadline_is_not_begun() -> None:
    """If the next attempt would come too late, this is known now."""
    pauses: list[float] = []
    deadline = at_once(pauses, time.monotonic() + 2.0)

    assert not deadline.back_off(5)  # 4 seconds at least
    assert not pauses


def test_the_sooner_deadline_counts() -> None:
    """`within` gives the sooner of two moments, and never less than no time."""
    now = time.monotonic()

    assert Deadline().seconds_left == float("inf")
    assert 9.0 < Deadline().within(10.0).seconds_left <= 10.0
    assert 0.0 < Deadline(now + 5.0).within(10.0).seconds_left <= 5.0
    assert 0.0 < Deadline(now + 10.0).within(5.0).seconds_left <= 5.0
    assert 0.0 == Deadline(now - 5.0).seconds_left


def test_giving_up_leaves_no_time_to_any_deadline_made_of_it() -> None:
    """An object that failed in one request is given up in all."""
    deadline = Deadline()
    derived = deadline.within(100.0)

    deadline.give_up()

    assert 0.0 == derived.seconds_left
    assert derived.passed
    assert not derived.back_off(0)


def test_a_deadline_apart_keeps_its_time() -> None:
    """An object that is given up leaves the next one its time."""
    whole = Deadline().within(100.0)
    own = whole.apart()

    own.give_up()

    assert own.passed
    assert not whole.passed
    assert own.end == whole.end


def test_a_sooner_deadline_leaves_a_reserve() -> None:
    """`sooner_by` keeps seconds for what comes after."""
    whole = Deadline().within(10.0)

    assert whole.end - 4.0 == whole.sooner_by(4.0).end
    assert whole.sooner_by(10.0).passed


def test_giving_up_ends_a_pause() -> None:
    """A wait for the next attempt ends at once when the object is given up."""
    deadline = Deadline()
    waiting = Thread(target=deadline.back_off, args=(6,))  # 8 seconds at least
    waiting.start()

    deadline.give_up()
    waiting.join(4.0)

    assert not waiting.is_alive()


def test_a_pause_is_waited_for() -> None:
    """Without a test's own `pause` time does pass."""
    before = time.monotonic()

    assert Deadline().back_off(0)

    assert 0.125 <= time.monotonic() - before < 5.0
