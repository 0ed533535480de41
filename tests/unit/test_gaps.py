"""What AWS never delivered, as the objects of neighbours show."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pipeline.alb.fields import Kind
from pipeline.alb.keys import ObjectName
from pipeline.jobs.gaps import Deliveries, Gap, Series
from tests.support.keys import ACCOUNT, FIVE_MINUTES, LOAD_BALANCER, REGION, utc

TEN = utc("2026-11-01T10:00")
NAME = ObjectName(Kind.ACCESS, ACCOUNT, REGION, LOAD_BALANCER, TEN, "10.0.0.1")
OTHER = replace(NAME, load_balancer="app/api/73e2d6bc24d8a067")


def found(*names: ObjectName) -> dict[str, list[Gap]]:
    """Return the gaps of each load balancer that has any."""
    deliveries = Deliveries()
    for name in names:
        deliveries.add(name)
    return {series.load_balancer: gaps for series, gaps in deliveries.gaps()}


def at(name: ObjectName, *numbers: int) -> list[ObjectName]:
    """Return the names of objects of intervals, counted from ten o'clock."""
    return [replace(name, end_time=TEN + number * FIVE_MINUTES) for number in numbers]


def between(first: int, last: int) -> Gap:
    """Return the gap of the intervals from one to another."""
    return Gap(TEN + (first - 1) * FIVE_MINUTES, TEN + last * FIVE_MINUTES)


def test_an_interval_that_only_others_have() -> None:
    """It is a gap of the one that lacks it; intervals that follow one another are one gap."""
    gaps = found(*at(NAME, 0, 1, 4, 6), *at(OTHER, *range(8)))

    assert {LOAD_BALANCER: [between(2, 3), between(5, 5)]} == gaps
    assert [2, 1] == [gap.intervals for gap in gaps[LOAD_BALANCER]]


def test_an_interval_that_nobody_has() -> None:
    """It is no gap: nothing shows that anything was to be delivered."""
    assert {} == found(*at(NAME, 0, 5), *at(OTHER, 0, 5))
    assert {} == found(*at(NAME, 0, 5))


def test_before_its_first_and_after_its_last_object() -> None:
    """A load balancer that is new, or gone, lacks nothing then."""
    assert {} == found(*at(NAME, 3, 4), *at(OTHER, *range(8)))


@pytest.mark.parametrize(
    "stranger",
    [
        pytest.param(replace(OTHER, account="210987654321"), id="another account"),
        pytest.param(replace(OTHER, region="eu-west-1"), id="another region"),
        pytest.param(replace(OTHER, kind=Kind.CONNECTION), id="another kind of log"),
    ],
)
def test_strangers_show_nothing(stranger: ObjectName) -> None:
    """Only load balancers of the same account, region and kind of log are compared."""
    assert {} == found(*at(NAME, 0, 5), *at(stranger, *range(6)))


def test_each_lacks_what_the_other_has() -> None:
    """Both are told of, each of its own gap."""
    assert {LOAD_BALANCER: [between(1, 1)], OTHER.load_balancer: [between(2, 2)]} == found(
        *at(NAME, 0, 2, 3), *at(OTHER, 0, 1, 3)
    )


def test_a_gap_over_midnight_is_one() -> None:
    """Days are only how it is kept."""
    midnight = utc("2026-11-02")
    ends = [midnight + number * FIVE_MINUTES for number in (-2, -1, 0, 1, 2)]
    every = [replace(OTHER, end_time=end) for end in ends]

    gaps = found(replace(NAME, end_time=ends[0]), replace(NAME, end_time=ends[-1]), *every)

    assert {LOAD_BALANCER: [Gap(ends[0], ends[-2])]} == gaps


@pytest.mark.parametrize(
    "end",
    [pytest.param(TEN + timedelta(minutes=minutes), id=f"{minutes}") for minutes in range(1, 6)],
)
def test_an_end_within_an_interval(end: datetime) -> None:
    """An object whose name ends at an odd minute is of the interval that it ends in."""
    gaps = found(*at(NAME, 0), replace(NAME, end_time=end), *at(NAME, 2), *at(OTHER, 0, 1, 2))

    assert {} == gaps


def test_a_series_is_what_a_name_says() -> None:
    """Account, region, load balancer and kind."""
    assert Series(ACCOUNT, REGION, LOAD_BALANCER, Kind.ACCESS) == Series.of(NAME)
