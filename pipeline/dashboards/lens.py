"""
Draw a panel in Kibana: its specification as a Lens chart by value.

The shapes are those of Kibana 8.9 to 8.19. Kibana says nothing about most mistakes in them: see
`tests/support/kibana.py` for the rules.

https://www.elastic.co/guide/en/kibana/8.19/lens.html
"""

from collections.abc import Iterator
from dataclasses import replace
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
from pipeline.dashboards.conditions import Condition, Json, kql
from pipeline.dashboards.palette import BAD, CALM, HEAT, INFO, OTHER, TEXT, Levels
from pipeline.dashboards.panels import Chart, Panel
from pipeline.dashboards.views import Format, View

LAYER = "data"
_LIMIT = "limit"
_SERIES = {
    Chart.BARS: "bar_stacked",
    Chart.LINES: "line",
    Chart.AREAS: "area_stacked",
    Chart.RANKS: "bar_horizontal",
}
_MOST_STOPS = 5
_ROWS_A_PAGE = 10
_WIDTH_OF_FIGURE = 115
_WIDTH_OF_DATE = 210

_ZEROS = frozenset({Chart.TILE, Chart.TABLE})
"""Where nothing is shown as 0; a chart leaves it blank."""


def lens_panel(panel: Panel, view_id: str, *, alone: bool) -> Json:
    """Return a panel as Lens has it; one that is `alone` is not filtered by controls."""
    layers = {LAYER: _layer(panel, alone=alone)}
    if panel.limit:
        layers[_LIMIT] = _limit_layer(panel)
    references = [
        {"type": "index-pattern", "id": view_id, "name": f"indexpattern-datasource-layer-{layer}"}
        for layer in layers
    ]
    state = {
        "visualization": _visualization(panel),
        "query": kql_of(panel.topic.where),
        "filters": [],
        "internalReferences": [],
        "datasourceStates": {"formBased": {"layers": layers}, "textBased": {"layers": {}}},
        "adHocDataViews": {},
    }
    return {
        "title": "",
        "description": panel.topic.question,
        "type": "lens",
        "visualizationType": _KIND[panel.chart],
        "references": references,
        "state": state,
    }


def kql_of(condition: Condition | None) -> Json:
    """Return a condition as Kibana keeps queries."""
    return {"query": kql(condition), "language": "kuery"}


# --- columns -------------------------------------------------------------------------------------


def _layer(panel: Panel, *, alone: bool) -> Json:
    columns: Json = {bucket.id: _bucket(bucket, panel) for bucket in panel.buckets}
    metrics: Json = {}
    for metric in panel.metrics:
        metrics |= _metric_columns(metric, panel)
    return {
        "columns": columns | metrics,
        "columnOrder": [*columns, *metrics],
        "incompleteColumns": {},
        "sampling": 1,
        "ignoreGlobalFilters": alone,
    }


def _limit_layer(panel: Panel) -> Json:
    assert panel.limit is not None  # noqa: S101  for the type checker
    value = {
        **_column("static_value", panel.limit.label, "number"),
        "isStaticValue": True,
        "references": [],
        "params": {"value": f"{panel.limit.value:g}"},
    }
    return {
        "columns": {_LIMIT: value},
        "columnOrder": [_LIMIT],
        "incompleteColumns": {},
        "sampling": 1,
        "ignoreGlobalFilters": False,
    }


def _column(operation: str, label: str, data: str, scale: str = "ratio") -> Json:
    return {
        "label": label,
        "customLabel": True,
        "dataType": data,
        "operationType": operation,
        "isBucketed": scale != "ratio",
        "scale": scale,
    }


def _bucket(bucket: Bucket, panel: Panel) -> Json:
    match bucket:
        case OverTime(label=label, field=field):
            return {
                **_column("date_histogram", label, "date", "interval"),
                "sourceField": field,
                "params": {"interval": "auto", "includeEmptyRows": True, "dropPartials": False},
            }
        case Cases(label=label, cases=cases):
            filters = [{"label": each.label, "input": kql_of(each.where)} for each in cases]
            return {
                **_column("filters", label, "string", "ordinal"),
                "params": {"filters": filters},
            }
        case Terms():
            return _terms(bucket, panel)


def _terms(terms: Terms, panel: Panel) -> Json:
    params: Json = {
        "size": terms.size,
        "orderBy": {"type": "column", "columnId": terms.by},
        "orderDirection": "desc",
        "otherBucket": False,
        "missingBucket": False,
        "parentFormat": {"id": "terms"},
        "include": [],
        "exclude": [],
        "includeIsRegex": False,
        "excludeIsRegex": False,
    }
    if terms.order is not None:
        (hidden,) = _metric_columns(terms.order, panel).values()
        params |= {"orderBy": {"type": "custom"}, "orderAgg": {**hidden, "customLabel": False}}
    data = _data_type(panel.view, terms.field)
    return {
        **_column("terms", terms.label, data, "ordinal"),
        "sourceField": terms.field,
        "params": params,
    }


def _data_type(view: View, field: str) -> str:
    kinds = {"keyword": "string", "long": "number", "float": "number"}
    kind = view.fields[field].type
    return kinds.get(kind, kind)


def _metric_columns(metric: Metric, panel: Panel) -> Json:
    """Return the column of a metric, and those that it is computed from."""
    match metric:
        case Count():
            return {metric.id: _count(metric, panel)}
        case Ratio():
            return _ratio(metric)
        case Percentile(id=name, label=label, field=field, percent=percent):
            params: Json = {"percentile": percent}
            return {name: _of_field(metric, "percentile", label, field, params)}
        case Value(id=name, label=label, field=field, operation=operation):
            is_blank = {"emptyAsNull": panel.chart not in _ZEROS}
            params = is_blank if operation in {"sum", "unique_count"} else {}
            return {name: _of_field(metric, operation, label, field, params)}


def _count(count: Count, panel: Panel) -> Json:
    params = {
        "emptyAsNull": panel.chart not in _ZEROS,
        "format": _column_format(count.look.format),
    }
    return {
        **_column("count", count.label, "number"),
        "sourceField": "___records___",
        "params": params,
        **_filter(count.where),
        **({"timeShift": count.shift} if count.shift else {}),
    }


def _of_field(
    metric: Percentile | Value, operation: str, label: str, field: str, params: Json
) -> Json:
    shape = metric.look.format
    data = "date" if shape is Format.DATE else "number"
    return {
        **_column(operation, label, data),
        "sourceField": field,
        "params": params if shape is Format.DATE else {**params, "format": _column_format(shape)},
        **_filter(metric.where),
    }


def _filter(where: Condition | None) -> Json:
    return {} if where is None else {"filter": kql_of(where)}


def _ratio(ratio: Ratio) -> Json:
    """
    Return the column of a formula and its helpers, without which Kibana shows nothing.

    The helpers decide the value; the editor makes them again from the text, so both must agree.
    """
    first, second, division = (f"{ratio.id}X{number}" for number in range(3))
    text = f"{_part_text(ratio.part)} / {_part_text(ratio.whole)}"
    tree = {
        "type": "function",
        "name": "divide",
        "args": [first, second],
        "location": {"min": 0, "max": len(text)},
        "text": text,
    }
    part = f"Part of {ratio.label}"
    counts = {
        name: {
            **_column("count", part, "number"),
            "sourceField": "___records___",
            "params": {"emptyAsNull": False},
            **_filter(where),
        }
        for name, where in ((first, ratio.part), (second, ratio.whole))
    }
    shape = {"format": _column_format(ratio.look.format)}
    return {
        ratio.id: {
            **_column("formula", ratio.label, "number"),
            "references": [division],
            "params": {"formula": text, "isFormulaBroken": False, **shape},
        },
        **counts,
        division: {
            **_column("math", part, "number"),
            "references": [first, second],
            "params": {"tinymathAst": tree},
        },
    }


def _part_text(where: Condition | None) -> str:
    escaped = kql(where).replace("'", "\\'")
    return f"count(kql='{escaped}')" if escaped else "count()"


def _column_format(shape: Format) -> Json:
    match shape:
        case Format.PERCENT:
            return {"id": "percent", "params": {"decimals": 2}}
        case Format.BYTES:
            return {"id": "bytes", "params": {"decimals": 1}}
        case Format.SECONDS:
            params = {"decimals": 1, "fromUnit": "seconds", "toUnit": "humanizePrecise"}
            return {"id": "duration", "params": {**params, "compact": True}}
        case _:
            return {"id": "number", "params": {"decimals": 0}}


# --- charts --------------------------------------------------------------------------------------

_KIND = {
    Chart.TILE: "lnsMetric",
    Chart.TABLE: "lnsDatatable",
    Chart.DONUT: "lnsPie",
    Chart.HEATMAP: "lnsHeatmap",
    **dict.fromkeys(_SERIES, "lnsXY"),
}


def _visualization(panel: Panel) -> Json:
    match panel.chart:
        case Chart.TILE:
            return _tile(panel)
        case Chart.TABLE:
            return _table(panel)
        case Chart.DONUT:
            return _donut(panel)
        case Chart.HEATMAP:
            return _heatmap(panel)
        case _:
            return _xy(panel)


def _tile(panel: Panel) -> Json:
    first, *others = panel.metrics
    state: Json = {"layerId": LAYER, "layerType": "data", "metricAccessor": first.id}
    if others:
        state |= {
            "secondaryMetricAccessor": others[0].id,
            "secondaryPrefix": others[0].label,
        }
    if first.look.levels:
        state["palette"] = _thresholds(first.look.levels)
    return state


def _table(panel: Panel) -> Json:
    rows = [
        {
            "columnId": bucket.id,
            "isTransposed": False,
            "isMetric": False,
            "oneClickFilter": True,
        }
        for bucket in panel.buckets
    ]
    figures = [_cell(metric) for metric in panel.metrics]
    return {
        "layerId": LAYER,
        "layerType": "data",
        "columns": [*rows, *figures],
        "rowHeight": "single",
        "sorting": {"columnId": _sorted_by(panel), "direction": "desc"},
        "paging": {"size": _ROWS_A_PAGE, "enabled": True},
    }


def _sorted_by(panel: Panel) -> str:
    first = panel.buckets[0]
    by = first.by if isinstance(first, Terms) else None
    return by or panel.metrics[0].id


def _cell(metric: Metric) -> Json:
    cell: Json = {"columnId": metric.id, "isTransposed": False, "isMetric": True}
    cell |= {"oneClickFilter": False}
    is_date = metric.look.format is Format.DATE
    cell["width"] = _WIDTH_OF_DATE if is_date else _WIDTH_OF_FIGURE
    if metric.look.levels:
        cell |= {"colorMode": "text", "palette": _thresholds(_legible(metric.look.levels))}
    return cell


def _donut(panel: Panel) -> Json:
    layer: Json = {
        "layerId": LAYER,
        "layerType": "data",
        "primaryGroups": [bucket.id for bucket in panel.buckets],
        "metrics": [metric.id for metric in panel.metrics],
        "numberDisplay": "percent",
        "categoryDisplay": "default",
        "legendDisplay": "show",
        "nestedLegend": False,
        "percentDecimals": 1,
        "legendSize": "auto",
        "truncateLegend": True,
        "legendMaxLines": 1,
    }
    layer |= _mapping(panel.buckets[0])
    return {"shape": "donut", "layers": [layer]}


def _heatmap(panel: Panel) -> Json:
    (metric,) = panel.metrics
    rows, time = panel.buckets
    levels = metric.look.levels
    palette = _thresholds(levels) if levels else _heat()
    grid = dict.fromkeys(("isXAxisLabelVisible", "isYAxisLabelVisible"), True)
    hidden = ("isCellLabelVisible", "isXAxisTitleVisible", "isYAxisTitleVisible")
    return {
        "shape": "heatmap",
        "palette": {**palette, "accessor": metric.id},
        "layerId": LAYER,
        "layerType": "data",
        "xAccessor": time.id,
        "yAccessor": rows.id,
        "valueAccessor": metric.id,
        "legend": {
            "isVisible": True,
            "position": "right",
            "type": "heatmap_legend",
            "legendSize": "auto",
        },
        "gridConfig": {"type": "heatmap_grid", **grid, **dict.fromkeys(hidden, False)},
    }


def _xy(panel: Panel) -> Json:
    sides = dict.fromkeys(("x", "yLeft", "yRight"), False)
    legend = {
        "isVisible": True,
        "position": "right",
        "showSingleSeries": False,
        "legendSize": "auto",
        "shouldTruncate": True,
        "maxLines": 1,
    }
    return {
        "layers": list(_xy_layers(panel)),
        "preferredSeriesType": _SERIES[panel.chart],
        "valueLabels": "hide",
        "fittingFunction": "None",
        "legend": legend,
        "axisTitlesVisibilitySettings": sides,
        "gridlinesVisibilitySettings": {**sides, "yLeft": True},
        "labelsOrientation": dict.fromkeys(sides, 0),
        "endValue": "None",
    }


def _xy_layers(panel: Panel) -> Iterator[Json]:
    *split, axis = panel.buckets
    layer: Json = {
        "layerId": LAYER,
        "layerType": "data",
        "seriesType": _SERIES[panel.chart],
        "accessors": [metric.id for metric in panel.metrics],
        "xAccessor": axis.id,
        "yConfig": [],
    }
    if split:
        layer |= {"splitAccessor": split[0].id, **_mapping(split[0])}
    else:
        rest = INFO if panel.chart is Chart.RANKS else None
        colors = [(metric, metric.look.color or rest) for metric in panel.metrics]
        layer["yConfig"] = [_colored(metric, color) for metric, color in colors if color]
    yield layer
    if panel.limit:
        yield _limit_line()


def _colored(metric: Metric, color: str) -> Json:
    return {"forAccessor": metric.id, "color": color, "axisMode": "left"}


def _limit_line() -> Json:
    config = {
        "forAccessor": _LIMIT,
        "axisMode": "left",
        "color": BAD,
        "lineStyle": "dashed",
        "lineWidth": 2,
        "fill": "none",
        "textVisibility": True,
    }
    return {
        "layerId": _LIMIT,
        "layerType": "referenceLine",
        "accessors": [_LIMIT],
        "yConfig": [config],
    }


# --- colours -------------------------------------------------------------------------------------


def _mapping(bucket: Bucket) -> Json:
    """Return the colours of a bucket's values; what is not named gets the colour of others."""
    pairs: list[tuple[str, str]] = []
    if isinstance(bucket, Cases):
        pairs = [(each.label, each.color) for each in bucket.cases if each.color]
    elif isinstance(bucket, Terms):
        pairs = list(bucket.colors)
    if not pairs:
        return {}
    return {
        "colorMapping": {
            "paletteId": "eui_amsterdam_color_blind",
            "colorMode": {"type": "categorical"},
            "assignments": [
                {**_rule("matchExactly", color, touched=True), "rule": _exactly(value)}
                for value, color in pairs
            ],
            "specialAssignments": [_rule("other", OTHER, touched=False)],
        }
    }


def _exactly(value: str) -> Json:
    return {"type": "matchExactly", "values": [value]}


def _rule(kind: str, color: str, *, touched: bool) -> Json:
    code = {"type": "colorCode", "colorCode": color}
    return {"rule": {"type": kind}, "color": code, "touched": touched}


def _legible(levels: Levels) -> Levels:
    """Return levels whose colours can be read as text."""
    return replace(
        levels, colors=tuple(TEXT if color == CALM else color for color in levels.colors)
    )


def _thresholds(levels: Levels) -> Json:
    """Return a palette; `colorStops` are the lower ends, `stops` the upper ones."""
    lower: list[Any] = [None, *levels.limits]
    upper = [*levels.limits, levels.end]
    return {
        "type": "palette",
        "name": "custom",
        "params": {
            **_palette_params("number", len(levels.colors), "all"),
            "rangeMin": None,
            "colorStops": _stops(levels.colors, lower),
            "stops": _stops(levels.colors, upper),
        },
    }


def _heat() -> Json:
    share = 100 // len(HEAT)
    lower: list[Any] = [share * number for number in range(len(HEAT))]
    return {
        "type": "palette",
        "name": "custom",
        "params": {
            **_palette_params("percent", len(HEAT), "above"),
            "rangeMin": 0,
            "colorStops": _stops(HEAT, lower),
            "stops": _stops(HEAT, [each + share for each in lower]),
        },
    }


def _palette_params(kind: str, steps: int, continuity: str) -> Json:
    return {
        "name": "custom",
        "reverse": False,
        "rangeType": kind,
        "rangeMax": None,
        "progression": "fixed",
        "continuity": continuity,
        "maxSteps": _MOST_STOPS,
        "steps": steps,
    }


def _stops(colors: tuple[str, ...], ends: list[Any]) -> list[Json]:
    return [{"color": color, "stop": end} for color, end in zip(colors, ends, strict=True)]
