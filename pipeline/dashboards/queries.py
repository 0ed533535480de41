"""
Build the searches of a panel, and read their answers.

A metric of an earlier time is asked for by a search of its own, over the period that much earlier.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from pipeline.dashboards.columns import (
    Bucket,
    Cases,
    Count,
    Metric,
    OverTime,
    Percentile,
    Ratio,
    Terms,
    Value,
)
from pipeline.dashboards.conditions import Condition, Json, query
from pipeline.dashboards.panels import Panel

_BARS = 60
"""About how many steps a chart over time has."""

_STEPS = (1, 5, 10, 30, 60, 300, 600, 1_800, 3_600, 10_800, 43_200, 86_400, 604_800)
_SHIFTS = {"1h": timedelta(hours=1), "1d": timedelta(days=1), "1w": timedelta(weeks=1)}
_OPERATIONS = {"sum": "sum", "average": "avg", "max": "max", "unique_count": "cardinality"}


@dataclass(frozen=True, slots=True)
class Period:
    """From when until when."""

    start: datetime
    end: datetime

    def earlier(self, shift: str | None) -> "Period":
        """Return the period that much earlier."""
        by = _SHIFTS[shift] if shift else timedelta()
        return Period(self.start - by, self.end - by)

    @property
    def step(self) -> int:
        """Return the seconds of a step of a chart."""
        seconds = (self.end - self.start).total_seconds() / _BARS
        return next((step for step in _STEPS if step >= seconds), _STEPS[-1])


@dataclass(frozen=True, slots=True)
class Ask:
    """One search: the indices, its body, and the metrics that it answers."""

    indices: str
    body: Json
    metrics: tuple[Metric, ...]


def asks_of(
    panel: Panel, period: Period, prefix: str, only: Condition | None = None
) -> Iterator[Ask]:
    """Yield the searches of a panel, `only` over documents that meet a condition."""
    for shift, group in groupby(panel.metrics, _shift_of):
        metrics = tuple(group)
        times = period.earlier(shift)
        filters = [_within(times), query(panel.topic.where), query(only)]
        body: Json = {
            "size": 0,
            "track_total_hits": True,
            "query": {"bool": {"filter": filters}},
            "aggs": _aggregations(panel.buckets, metrics, period),
        }
        yield Ask(panel.view.pattern(prefix), body, metrics)


def _shift_of(metric: Metric) -> str | None:
    return metric.shift if isinstance(metric, Count) else None


def _within(period: Period) -> Json:
    limits = {"gte": period.start.isoformat(), "lt": period.end.isoformat()}
    return {"range": {"@timestamp": limits}}


# --- aggregations --------------------------------------------------------------------------------


def _aggregations(buckets: tuple[Bucket, ...], metrics: tuple[Metric, ...], period: Period) -> Json:
    if not buckets:
        return {name: body for metric in metrics for name, body in _figures(metric)}
    first, *rest = buckets
    body = _division(first, metrics, period)
    below = _aggregations(tuple(rest), metrics, period)
    if isinstance(first, Terms):
        # What it is sorted by must be there, even if the metrics are further down.
        below |= dict(_figures(first.order) if first.order else _sorting_figures(first, metrics))
    return {first.id: {**body, "aggs": below}}


def _sorting_figures(terms: Terms, metrics: tuple[Metric, ...]) -> Iterator[tuple[str, Json]]:
    return _figures(next(each for each in metrics if each.id == terms.by))


def _division(bucket: Bucket, metrics: tuple[Metric, ...], period: Period) -> Json:
    match bucket:
        case OverTime(field=field):
            return {"date_histogram": {"field": field, "fixed_interval": f"{period.step}s"}}
        case Cases(cases=cases):
            return {"filters": {"filters": {each.label: query(each.where) for each in cases}}}
        case Terms(field=field, size=size):
            order = {_path_of_order(bucket, metrics): "desc"}
            return {"terms": {"field": field, "size": size, "order": order}}


def _path_of_order(terms: Terms, metrics: tuple[Metric, ...]) -> str:
    metric = terms.order or next(each for each in metrics if each.id == terms.by)
    match metric:
        case Count(where=None):
            return "_count"
        case Percentile(id=name, percent=percent):
            return f"{name}[{percent:g}]"
        case _:
            return metric.id


def _figures(metric: Metric) -> Iterator[tuple[str, Json]]:
    """Yield the aggregations that a metric is read from; a count of all needs none."""
    match metric:
        case Count(id=name, where=where):
            if where is not None:
                yield name, {"filter": query(where)}
        case Ratio(id=name, part=part, whole=whole):
            yield f"{name}.part", {"filter": query(part)}
            if whole is not None:
                yield f"{name}.whole", {"filter": query(whole)}
        case Percentile(id=name, field=field, percent=percent, where=where):
            yield name, _limited({"percentiles": {"field": field, "percents": [percent]}}, where)
        case Value(id=name, field=field, operation=operation, where=where):
            yield name, _limited({_OPERATIONS[operation]: {"field": field}}, where)


def _limited(body: Json, where: Condition | None) -> Json:
    return body if where is None else {"filter": query(where), "aggs": {"limited": body}}


# --- answers -------------------------------------------------------------------------------------


def rows_of(panel: Panel, ask: Ask, answer: Json) -> Iterator[Json]:
    """Yield a row for each innermost bucket of an answer: the value of each column by its id."""
    whole = {**answer.get("aggregations", {}), "doc_count": answer["hits"]["total"]["value"]}
    yield from _rows(panel.buckets, ask.metrics, whole)


def _rows(buckets: tuple[Bucket, ...], metrics: tuple[Metric, ...], found: Json) -> Iterator[Json]:
    if not buckets:
        yield {metric.id: _read(metric, found) for metric in metrics}
        return
    first, *rest = buckets
    for key, bucket in _each(found[first.id]["buckets"]):
        for below in _rows(tuple(rest), metrics, bucket):
            yield {first.id: key, **below}


def _each(buckets: list[Json] | dict[str, Json]) -> Iterator[tuple[Any, Json]]:
    if isinstance(buckets, dict):
        yield from buckets.items()
        return
    for bucket in buckets:
        yield bucket.get("key_as_string", bucket["key"]), bucket


def _read(metric: Metric, found: Json) -> Any:  # noqa: ANN401  any JSON value
    match metric:
        case Count(where=None):
            return found["doc_count"]
        case Count(id=name):
            return found[name]["doc_count"]
        case Ratio(id=name, whole=whole):
            of = found["doc_count"] if whole is None else found[f"{name}.whole"]["doc_count"]
            return found[f"{name}.part"]["doc_count"] / of if of else None
        case Percentile(id=name, where=where):
            (value,) = (found[name] if where is None else found[name]["limited"])["values"].values()
            return value
        case Value(id=name, where=where):
            return (found[name] if where is None else found[name]["limited"])["value"]
