"""Times as people write them, in the zone they mean."""

import zoneinfo
from datetime import UTC, datetime, tzinfo

import pytest

from pipeline.cli import times
from pipeline.cli.times import read_time, zone_named

NOW = datetime(2026, 11, 20, 10, 30, 15, 250_000, tzinfo=UTC)
BERLIN = zone_named("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-01", "2026-11-01T00:00:00+00:00"),
        ("2026-11-01T10:00", "2026-11-01T10:00:00+00:00"),
        ("2026-11-01 10:00", "2026-11-01T10:00:00+00:00"),
        ("2026-11-01T10:00:30", "2026-11-01T10:00:30+00:00"),
        ("2026-11-01T10:00:30.5", "2026-11-01T10:00:30.500000+00:00"),
        ("2026-11-01T10:00Z", "2026-11-01T10:00:00+00:00"),
        ("2026-11-01T10:00:30+02:00", "2026-11-01T08:00:30+00:00"),
        ("2028-02-29", "2028-02-29T00:00:00+00:00"),
        ("2h ago", "2026-11-20T08:30:15.250000+00:00"),
        ("90m ago", "2026-11-20T09:00:15.250000+00:00"),
        ("3d ago", "2026-11-17T10:30:15.250000+00:00"),
        ("1 w ago", "2026-11-13T10:30:15.250000+00:00"),
        ("30s ago", "2026-11-20T10:29:45.250000+00:00"),
        ("today", "2026-11-20T00:00:00+00:00"),
        ("yesterday", "2026-11-19T00:00:00+00:00"),
        (" now ", "2026-11-20T10:30:15.250000+00:00"),
    ],
)
def test_times(text: str, instant: str) -> None:
    """Each form means one instant; without a zone of its own it is in UTC."""
    assert instant == read_time(text, NOW, UTC).isoformat()


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        pytest.param("2026-07-01", "2026-06-30T22:00", id="summer"),
        pytest.param("2026-11-01", "2026-10-31T23:00", id="winter"),
        pytest.param("2026-11-01T10:00Z", "2026-11-01T10:00", id="own offset"),
        pytest.param("today", "2026-11-19T23:00", id="today"),
        pytest.param("yesterday", "2026-11-18T23:00", id="yesterday"),
        pytest.param("2026-10-25T02:30", "2026-10-25T00:30", id="an hour shown twice: the first"),
        pytest.param("2026-03-29T02:30", "2026-03-29T01:30", id="an hour skipped: on without it"),
    ],
)
def test_times_in_a_zone(text: str, instant: str) -> None:
    """A time without an offset is of the zone that is named."""
    assert f"{instant}:00+00:00" == read_time(text, NOW, BERLIN).isoformat()


@pytest.mark.parametrize(
    ("now", "instant"),
    [
        pytest.param("2026-11-19T23:30", "2026-11-18T23:00", id="already tomorrow there"),
        pytest.param("2026-10-25T12:00", "2026-10-23T22:00", id="a day of 25 hours"),
        pytest.param("2026-03-30T12:00", "2026-03-28T23:00", id="after a day of 23 hours"),
    ],
)
def test_yesterday_is_a_day_of_the_calendar(now: str, instant: str) -> None:
    """Yesterday begins at midnight there, however long the day was."""
    there = datetime.fromisoformat(now).replace(tzinfo=UTC)

    assert f"{instant}:00+00:00" == read_time("yesterday", there, BERLIN).isoformat()


def test_a_day_without_midnight_begins_later() -> None:
    """Where clocks are put forward at midnight, a day begins with its first instant."""
    beirut = zone_named("Asia/Beirut")

    assert "2026-03-28T22:00:00+00:00" == read_time("2026-03-29", NOW, beirut).isoformat()


@pytest.mark.parametrize(
    "text",
    [
        *("", "tomorrow", "2026", "2026-11", "20261101", "2026-11-01Z", "2026-W01-1", "01.11.2026"),
        *(
            "2026-11-01T10",
            "2026-11-01T10:00 +02:00",
            "2h",
            "h ago",
            "-2h ago",
            "2y ago",
            "1.5h ago",
        ),
        *("٢٠٢٦-11-01", "1700000000"),
    ],
)
def test_no_times(text: str) -> None:
    """Anything else is refused, with the forms that are known."""
    with pytest.raises(ValueError, match="is no time: write it as 2026-11-01, "):
        read_time(text, NOW, UTC)


@pytest.mark.parametrize(
    "text", ["2026-02-29", "2026-13-01", "2026-11-01T24:30", "2026-11-01T10:60"]
)
def test_days_and_hours_that_do_not_exist(text: str) -> None:
    """What no calendar or clock shows is refused, not rounded."""
    with pytest.raises(ValueError, match="is on no calendar or clock"):
        read_time(text, NOW, UTC)


@pytest.mark.parametrize(
    ("text", "zone"),
    [("999999999w ago", UTC), ("999999d ago", UTC), ("0001-01-01T00:00+02:00", UTC)],
)
def test_times_beyond_the_calendar(text: str, zone: tzinfo) -> None:
    """What is too far away is refused in a sentence."""
    with pytest.raises(ValueError, match="further away than a calendar goes"):
        read_time(text, NOW, zone)


@pytest.mark.parametrize("name", ["UTC", "utc", "Z"])
def test_utc_needs_no_data(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """UTC works on a machine without zone files."""
    monkeypatch.setattr(times, "ZoneInfo", None)

    assert UTC is zone_named(name)


@pytest.mark.parametrize("name", ["Europe/Berlinn", "Europe", "../etc/passwd", "", "CET/x", "\0"])
def test_no_zone(name: str) -> None:
    """A zone that does not exist is refused, with how one is named."""
    with pytest.raises(ValueError, match=r"there is no time zone .* such as Europe/Berlin"):
        zone_named(name)


def test_no_zones_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without zone files is told how to get them."""
    monkeypatch.setattr(times, "available_timezones", set)

    def unknown(name: str) -> None:
        raise zoneinfo.ZoneInfoNotFoundError(name)

    monkeypatch.setattr(times, "ZoneInfo", unknown)

    with pytest.raises(ValueError, match="pip install tzdata"):
        zone_named("Europe/Berlin")
