"""
What a panel is: the question that it answers, and how. One function builds each chart.

From the same specification come the panel in Kibana (`lens`) and its query (`queries`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from pipeline.dashboards.columns import (
    Bucket,
    Cases,
    Metric,
    OverTime,
    Terms,
    fields_of_bucket,
    fields_of_metric,
)
from pipeline.dashboards.conditions import Condition, fields_in
from pipeline.dashboards.views import View


class Chart(StrEnum):
    """What a panel looks like."""

    TILE = "tile"
    BARS = "bars"
    LINES = "lines"
    AREAS = "areas"
    RANKS = "ranks"
    TABLE = "table"
    DONUT = "donut"
    HEATMAP = "heatmap"


@dataclass(frozen=True, slots=True)
class Topic:
    """What a panel is about: its name, the question that it answers, and over which documents."""

    id: str
    title: str
    question: str
    view: View
    where: Condition | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """A line across a chart, above which something is wrong."""

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart: buckets from the outermost to the innermost, and what is computed in each."""

    topic: Topic
    chart: Chart
    buckets: tuple[Bucket, ...]
    metrics: tuple[Metric, ...]
    limit: Limit | None = None
    leads_to: str | None = None
    """The dashboard that a click can open, with what was clicked."""

    @property
    def id(self) -> str:
        """Return the id, which no other panel of the dashboard has."""
        return self.topic.id

    @property
    def view(self) -> View:
        """Return over which documents the panel is."""
        return self.topic.view


@dataclass(frozen=True, slots=True)
class Note:
    """A text in Markdown; {prefix} stands for the first part of every id."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Lines:
    """The documents themselves: a saved search, by its name."""

    id: str
    search: str


Shown: TypeAlias = Panel | Note | Lines


# --- one function a chart ------------------------------------------------------------------------


def tile(topic: Topic, metric: Metric, second: Metric | None = None) -> Panel:
    """Return one number, with another below it."""
    return Panel(topic, Chart.TILE, (), (metric, second) if second else (metric,))


def bars(topic: Topic, *metrics: Metric, split: Terms | Cases | None = None) -> Panel:
    """Return stacked bars over time."""
    return Panel(topic, Chart.BARS, _over_time(split), metrics)


def lines(
    topic: Topic, *metrics: Metric, split: Terms | None = None, limit: Limit | None = None
) -> Panel:
    """Return lines over time."""
    return Panel(topic, Chart.LINES, _over_time(split), metrics, limit)


def areas(topic: Topic, *metrics: Metric, split: Terms | None = None) -> Panel:
    """Return stacked areas over time."""
    return Panel(topic, Chart.AREAS, _over_time(split), metrics)


def ranks(topic: Topic, values: Terms, metric: Metric) -> Panel:
    """Return a horizontal bar for each value."""
    return Panel(topic, Chart.RANKS, (values,), (metric,))


def table(topic: Topic, rows: Terms | tuple[Terms, ...], *metrics: Metric) -> Panel:
    """Return a row for each value, or each combination of values."""
    return Panel(topic, Chart.TABLE, rows if isinstance(rows, tuple) else (rows,), metrics)


def donut(topic: Topic, values: Terms, metric: Metric) -> Panel:
    """Return each value's share of the whole."""
    return Panel(topic, Chart.DONUT, (values,), (metric,))


def heatmap(topic: Topic, rows: Terms | Cases, metric: Metric) -> Panel:
    """Return a row of cells over time for each value."""
    return Panel(topic, Chart.HEATMAP, (rows, OverTime()), (metric,))


def leading_to(panel: Panel, dashboard: str) -> Panel:
    """Return a panel on which a click can open a dashboard."""
    return replace(panel, leads_to=dashboard)


def _over_time(split: Terms | Cases | None) -> tuple[Bucket, ...]:
    """Return the buckets: time last, or the first values would be those of each moment."""
    return (split, OverTime()) if split else (OverTime(),)


# --- what a panel names --------------------------------------------------------------------------


def fields_of_panel(panel: Panel) -> Iterator[str]:
    """Yield the fields that a panel names anywhere."""
    yield from fields_in(panel.topic.where)
    for bucket in panel.buckets:
        yield from fields_of_bucket(bucket)
    for metric in panel.metrics:
        yield from fields_of_metric(metric)
