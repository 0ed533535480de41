"""Count time in whole microseconds since 1970, and write it as AWS does."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros_of(moment: datetime) -> int:
    """Return an aware datetime as microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def span_of(length: timedelta) -> int:
    """Return a length of time in microseconds."""
    return length // timedelta(microseconds=1)


@lru_cache(maxsize=65_536)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def instant(micros: int) -> str:
    """Write `2026-09-17T12:20:03.000417Z`."""
    seconds, rest = divmod(micros, SECOND)
    return f"{_to_the_second(seconds)}.{rest:06d}Z"
