"""How many objects are read at the same time."""

import pytest

from pipeline.jobs.pace import Pace

SLOW, CALM = True, False


def told(pace: Pace, *outcomes: bool) -> list[str | None]:
    """Return what is said after each object; True is one that had to wait."""
    return [pace.note(throttled=each) for each in outcomes]


def test_it_halves_and_grows_again() -> None:
    """Half as many after a refusal, one more after twenty objects without; each is said once."""
    pace = Pace(4)

    refused = told(pace, SLOW)
    assert ["Elasticsearch does not keep up: 2 of 4 objects at a time"] == refused
    assert [None] * 19 == told(pace, *[CALM] * 19)
    assert ["Elasticsearch keeps up again: 3 of 4 objects at a time"] == told(pace, CALM)
    assert "Elasticsearch keeps up again: 4 of 4 objects at a time" in told(pace, *[CALM] * 20)
    assert [None] * 40 == told(pace, *[CALM] * 40)
    assert (4, 4) == (pace.now, pace.most)


def test_objects_of_before_do_not_halve_it_again() -> None:
    """One moment of too much to do is one halving, however many objects were under way."""
    pace = Pace(8)

    said = told(pace, *[SLOW] * 8)
    assert (4, 1) == (pace.now, len([each for each in said if each]))
    told(pace, SLOW)
    assert 2 == pace.now


def test_a_refusal_makes_the_calm_begin_again() -> None:
    """Twenty objects have to go well in a row."""
    pace = Pace(2)
    told(pace, SLOW)

    said = told(pace, *[CALM] * 19, SLOW, *[CALM] * 19)

    assert [None] * 39 == said
    assert 1 == pace.now


@pytest.mark.parametrize("most", [1, 2, 3, 64])
def test_one_is_always_under_way(most: int) -> None:
    """It never comes to a halt."""
    pace = Pace(most)
    told(pace, *[SLOW] * 300)
    assert 1 == pace.now
