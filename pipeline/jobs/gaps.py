"""
Find what AWS never delivered: intervals of five minutes without an object, by the bucket alone.

AWS delivers logs on a best-effort basis, so an interval may be missing in the bucket itself. It
shows where other load balancers of the same account and region have objects of the same kind, and
one has none between its own first and last. A load balancer without traffic writes none either.

A bit for each interval of a day is kept, by load balancer: some kilobytes for a year.

docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline.alb.fields import Kind
from pipeline.alb.keys import ObjectName
from pipeline.source.listing import INTERVAL

_EPOCH = datetime.fromtimestamp(0, UTC)
_IN_A_DAY = timedelta(days=1) // INTERVAL


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """The logs of one kind that one load balancer writes."""

    account: str
    region: str
    load_balancer: str
    kind: Kind

    @classmethod
    def of(cls, name: ObjectName) -> "Series":
        """Return the series that an object is of."""
        return cls(name.account, name.region, name.load_balancer, name.kind)

    @property
    def neighbours(self) -> tuple[str, str, Kind]:
        """Return what it has in common with the load balancers that it is compared with."""
        return self.account, self.region, self.kind


@dataclass(frozen=True, slots=True)
class Gap:
    """Some time without an object, in whole intervals."""

    first: datetime
    end: datetime

    @property
    def intervals(self) -> int:
        """Return how many objects there might have been."""
        return (self.end - self.first) // INTERVAL


_Bits = defaultdict[int, int]
"""Day -> a bit for each of its intervals."""


class Deliveries:
    """Which intervals have an object, by load balancer and kind of log."""

    def __init__(self) -> None:
        self._own: defaultdict[Series, _Bits] = defaultdict(_no_bits)
        self._all: defaultdict[tuple[str, str, Kind], _Bits] = defaultdict(_no_bits)

    def add(self, name: ObjectName) -> None:
        """Note that there is an object."""
        series = Series.of(name)
        day, interval = divmod(_number(name.end_time), _IN_A_DAY)
        self._own[series][day] |= 1 << interval
        self._all[series.neighbours][day] |= 1 << interval

    def gaps(self) -> Iterator[tuple[Series, list[Gap]]]:
        """Yield the gaps of each load balancer that has any."""
        for series, own in sorted(self._own.items()):
            around = self._all[series.neighbours]
            gaps = list(_joined(_missing(own, around)))
            if gaps:
                yield series, gaps


def _no_bits() -> _Bits:
    return defaultdict(int)


def _number(end: datetime) -> int:
    """Return the number of the interval that ends then, or within which it would."""
    return -((_EPOCH - end) // INTERVAL)


def _missing(own: _Bits, around: _Bits) -> Iterator[int]:
    """Yield the intervals of others between the first and the last of its own."""
    numbers = list(_numbers(own))
    for number in _numbers({day: bits & ~own.get(day, 0) for day, bits in around.items()}):
        if numbers[0] < number < numbers[-1]:
            yield number


def _numbers(bits: dict[int, int]) -> Iterator[int]:
    for day in sorted(bits):
        yield from (day * _IN_A_DAY + at for at in range(_IN_A_DAY) if bits[day] >> at & 1)


def _joined(numbers: Iterable[int]) -> Iterator[Gap]:
    """Yield gaps, each of the intervals that follow one another."""
    first = last = None
    for number in numbers:
        if first is None or last is None or number > last + 1:
            yield from _gap(first, last)
            first = number
        last = number
    yield from _gap(first, last)


def _gap(first: int | None, last: int | None) -> Iterator[Gap]:
    if first is not None and last is not None:
        yield Gap(_EPOCH + (first - 1) * INTERVAL, _EPOCH + last * INTERVAL)
