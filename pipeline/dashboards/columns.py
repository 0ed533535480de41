"""What a panel counts, and by what it divides the documents."""

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Literal, TypeAlias

from pipeline.dashboards.conditions import Condition, fields_in
from pipeline.dashboards.palette import Levels
from pipeline.dashboards.views import Format

# --- metrics -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """How a metric is shown; `levels` colour it by its value, `color` names it in a chart."""

    format: Format = Format.NUMBER
    color: str | None = None
    levels: Levels | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """How many documents there are, or how many of them meet a condition."""

    id: str
    label: str
    where: Condition | None = None
    _: KW_ONLY
    shift: str | None = None
    """How much earlier: 1w is a week."""
    look: Look = Look()


@dataclass(frozen=True, slots=True)
class Value:
    """A figure over the values of a field."""

    id: str
    label: str
    operation: Literal["sum", "average", "max", "unique_count"]
    field: str
    _: KW_ONLY
    where: Condition | None = None
    look: Look = Look()


@dataclass(frozen=True, slots=True)
class Percentile:
    """The value that so many percent of the values do not exceed."""

    id: str
    label: str
    percent: float
    field: str
    _: KW_ONLY
    where: Condition | None = None
    look: Look = Look(Format.SECONDS)


@dataclass(frozen=True, slots=True)
class Ratio:
    """The documents that meet `part`, of all or of those that meet `whole`."""

    id: str
    label: str
    part: Condition
    whole: Condition | None = None
    _: KW_ONLY
    look: Look = Look(Format.PERCENT)


Metric: TypeAlias = Count | Value | Percentile | Ratio

# --- buckets -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OverTime:
    """Divide by the time of the event."""

    id: str = "time"
    label: str = "@timestamp"
    field: str = "@timestamp"


@dataclass(frozen=True, slots=True)
class Terms:
    """
    Divide by the values of a field: those that are first by a metric.

    `by` is the id of a metric of the panel. Kibana cannot sort by a ratio: `order` is a metric of
    its own, which is not shown.
    """

    id: str
    label: str
    field: str
    size: int = 10
    _: KW_ONLY
    by: str | None = None
    order: Count | None = None
    colors: tuple[tuple[str, str], ...] = ()
    """Pairs of a value and its colour."""


@dataclass(frozen=True, slots=True)
class Case:
    """One of several conditions, with its name and colour."""

    label: str
    where: Condition
    color: str | None = None


@dataclass(frozen=True, slots=True)
class Cases:
    """Divide by conditions."""

    id: str
    label: str
    cases: tuple[Case, ...]


Bucket: TypeAlias = OverTime | Terms | Cases


def fields_of_metric(metric: Metric) -> Iterator[str]:
    """Yield the fields that a metric names."""
    match metric:
        case Count(where=where):
            yield from fields_in(where)
        case Ratio(part=part, whole=whole):
            yield from fields_in(part)
            yield from fields_in(whole)
        case _:
            yield metric.field
            yield from fields_in(metric.where)


def fields_of_bucket(bucket: Bucket) -> Iterator[str]:
    """Yield the fields that a bucket names."""
    match bucket:
        case OverTime(field=field):
            yield field
        case Terms(field=field, order=order):
            yield field
            if order is not None:
                yield from fields_of_metric(order)
        case Cases(cases=cases):
            for each in cases:
                yield from fields_in(each.where)
