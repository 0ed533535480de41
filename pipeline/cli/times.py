"""
Read the times that people write on a command line: instants, days, or so long ago.

Without a zone of its own a time is of the zone that the command is told, UTC by default, as AWS's
logs are. A clock that is put back shows an hour twice: the first is meant. One that is put forward
skips an hour: a time in it is taken as the clock would have shown it without the change.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

HOW = "2026-11-01, 2026-11-01T10:00, 2026-11-01T10:00Z, 90m ago, 2h ago, 3d ago, yesterday or now"
"""The forms of a time, as help and errors show them."""

_INSTANT = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?P<time>\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(?P<zone>Z|[+-]\d\d:\d\d)?)?",
    re.ASCII,
)
_AGO = re.compile(r"(?P<number>\d{1,9}) ?(?P<unit>[smhdw]) ago", re.ASCII)
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_MIDNIGHTS = {"today": 0, "yesterday": 1}


def read_time(text: str, now: datetime, zone: tzinfo) -> datetime:
    """Return the instant that a text means, in UTC; ValueError says how to write one."""
    words = " ".join(text.split())
    try:
        return _read(words, now, zone).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is further away than a calendar goes") from error


def _read(words: str, now: datetime, zone: tzinfo) -> datetime:
    if words == "now":
        return now
    if words in _MIDNIGHTS:
        day = now.astimezone(zone) - timedelta(days=_MIDNIGHTS[words])  # by the clock on the wall
        return day.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if ago := _AGO.fullmatch(words):
        return now - int(ago["number"]) * _UNITS[ago["unit"]]
    return _instant(words, zone)


def _instant(words: str, zone: tzinfo) -> datetime:
    match = _INSTANT.fullmatch(words)
    if match is None:
        raise ValueError(f"{words!r} is no time: write it as {HOW}")
    written = f"{match['day']}T{match['time'] or '00:00'}{match['zone'] or ''}"
    try:
        instant = datetime.fromisoformat(written)
    except ValueError as error:
        raise ValueError(f"{words!r} is on no calendar or clock: {error}") from error
    return instant if instant.tzinfo else instant.replace(tzinfo=zone)


def zone_named(name: str) -> tzinfo:
    """Return a time zone by its IANA name; ValueError where there is none."""
    if name.upper() in {"UTC", "Z"}:
        return UTC  # needs no data
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(_why_unknown(name)) from error


def _why_unknown(name: str) -> str:
    if not available_timezones():
        return (
            f"this machine has no data of time zones, so {name!r} is unknown: pip install tzdata, "
            "or write times with their offset, as in 2026-11-01T10:00+01:00"
        )
    return f"there is no time zone {name!r}: name one as IANA does, such as Europe/Berlin"
