"""
Find in saved objects what Kibana would refuse, draw wrongly, or not draw without saying so.

Each rule is something that Kibana 8.12 was seen to do. With the fields of the data views, what
panels, controls and columns name is checked too: an unknown field shows 0 or N/A, or an error.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.mappings import leaves, mapping

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Mapped:
    """How a field is mapped."""

    type: str
    aggregatable: bool


Fields = Mapping[str, Mapping[str, Mapped]]
"""The fields of each data view, by its id; nothing is said about a view that is not there."""

_VIEWS = ("access", "connection", "health-check", "dead-letter", "ledger")

_ATTRIBUTES = {
    "dashboard": "title description kibanaSavedObjectMeta timeRestore timeFrom timeTo "
    "refreshInterval controlGroupInput panelsJSON optionsJSON hits version",
    "search": "title description columns sort kibanaSavedObjectMeta hideChart grid rowHeight "
    "isTextBasedQuery usesAdHocDataView timeRestore timeRange refreshInterval rowsPerPage "
    "hideAggregatedPreview breakdownField viewMode hits version sampleSize",
    "index-pattern": "title name timeFieldName fields fieldAttrs fieldFormatMap type "
    "runtimeFieldMap sourceFilters typeMeta allowNoIndex allowHidden",
    "tag": "name description color",
}
_VERSIONS = {
    "dashboard": {"8.9.0"},
    "search": {"7.9.3", "8.0.0"},
    "index-pattern": {"7.11.0", "8.0.0"},
    "tag": {"8.0.0"},
}
_NUMERIC = {"percentile", "percentile_rank", "average", "sum", "median"}
_OF_FIELD = _NUMERIC | {"terms", "date_histogram", "range", "min", "max", "unique_count", "count"}
_BUCKETS = {"terms", "date_histogram", "filters", "range"}
_COMPUTED = {"formula", "math", "static_value"}
_NUMBERS = {"long", "float"}
_RECORDS = "___records___"
_CHARTS = {"lnsXY", "lnsMetric", "lnsPie", "lnsDatatable", "lnsHeatmap", "lnsGauge", "lnsTagcloud"}
_PANELS = {"lens", "visualization", "search", "map", "links"}
_SERIES = {"line"} | {
    f"{kind}{how}"
    for kind in ("bar", "area", "bar_horizontal")
    for how in ("", "_stacked", "_percentage_stacked")
}
_DASHBOARD_DRILL, _DISCOVER_DRILL = "DASHBOARD_TO_DASHBOARD_DRILLDOWN", "OPEN_IN_DISCOVER_DRILLDOWN"
_COLUMN_FORMATS = {"number", "percent", "bytes", "bits", "duration", "custom"}
_VIEW_FORMATS = {"number", "percent", "bytes", "duration", "url", "date", "string", "boolean"}
_CONTROL_KEYS = {"panelsJSON", "controlStyle", "chainingSystem", "ignoreParentSettingsJSON"}
_GRID_WIDTH = 48

_KQL_FIELD = re.compile(r"([\w.@-]+)\s*(?:>=|<=|[:<>])")
_KQL_ENDS_OPEN = re.compile(r"(>=|<=|[:<>]|\band|\bor|\bnot)\s*$")
_SHIFT = re.compile(r"\d+[smhdwMy]|previous")


def our_fields(prefix: str = "alb-logs") -> Fields:
    """Return the fields of our data views; those that are constant are not on every cluster."""
    return {f"{prefix}-{name}": dict(_mapped(name)) for name in _VIEWS}


def _mapped(name: str) -> Iterator[tuple[str, Mapped]]:
    found = dict(leaves(mapping(name)["properties"]))
    for field, leaf in found.items():
        real = found[leaf["path"]] if leaf["type"] == "alias" else leaf
        if real["type"] != "constant_keyword":
            yield field, Mapped(real["type"], real.get("doc_values", True))


def faults(objects: Iterable[Json], fields: Fields) -> list[str]:
    """Return all that is wrong with objects that are imported together."""
    everything = list(objects)
    known = {(each["type"], each["id"]) for each in everything}
    return [
        f"{each['id']}: {fault}"
        for each in everything
        for fault in dict.fromkeys(_object_faults(each, known, fields))
    ]


def _told(*pairs: tuple[object, str]) -> Iterator[str]:
    """Yield the texts of those that are true."""
    return (text for wrong, text in pairs if wrong)


def _missing(names: Iterable[str], known: Iterable[str], what: str) -> Iterator[str]:
    have = set(known)
    return (f"{what}: {name}" for name in names if name not in have)


def _object_faults(each: Json, known: set[tuple[str, str]], fields: Fields) -> Iterator[str]:
    kind, attributes = each["type"], each["attributes"]
    if kind not in _ATTRIBUTES:
        yield f"unknown type {kind}"
        return
    references = {one["name"]: one["id"] for one in each["references"]}
    yield from _told(
        (len(references) < len(each["references"]), "a reference is there twice"),
        (each.get("coreMigrationVersion") != "8.8.0", "coreMigrationVersion is not 8.8.0"),
        (
            each.get("typeMigrationVersion") not in _VERSIONS[kind],
            "typeMigrationVersion: absent or older is answered by 500, newer by 422",
        ),
    )
    yield from _missing(attributes, _ATTRIBUTES[kind].split(), "unknown attribute")
    yield from (
        f"{one['type']} {one['id']} is not among the objects"
        for one in each["references"]
        if (one["type"], one["id"]) not in known
    )
    if kind == "index-pattern":
        yield from _view_faults(attributes, fields.get(each["id"]))
    elif kind != "tag":
        yield from _sourced_faults(each, references, fields)


def _sourced_faults(each: Json, references: Json, fields: Fields) -> Iterator[str]:
    text = each["attributes"].get("kibanaSavedObjectMeta", {}).get("searchSourceJSON")
    if not isinstance(text, str):
        yield "kibanaSavedObjectMeta.searchSourceJSON is not a text: no dashboard at all"
        return
    source = json.loads(text)
    pills = [one["meta"].get("indexRefName") for one in source.get("filter", [])]
    yield from (
        "a filter's data view has no reference: the filter vanishes"
        for name in pills
        if name not in references
    )
    if each["type"] == "dashboard":
        yield from _kql_faults(source["query"]["query"], None)
        yield from _dashboard_faults(each["attributes"], references, fields)
        return
    view = fields.get(references.get(source.get("indexRefName"), ""))
    yield from _told((source.get("indexRefName") not in references, "its data view is missing"))
    yield from _kql_faults(source["query"]["query"], view)
    if view is not None:
        yield from _missing(each["attributes"]["columns"], view, "unknown column")


# --- queries -------------------------------------------------------------------------------------


def _kql_faults(text: str, view: Mapping[str, Mapped] | None) -> Iterator[str]:
    odd = text.count("(") != text.count(")") or text.count('"') % 2
    yield from _told((odd or _KQL_ENDS_OPEN.search(text), f"KQL is not whole: {text}"))
    if view is not None:
        named = _KQL_FIELD.findall(re.sub(r'"[^"]*"', '""', text))
        yield from _missing(named, view, "KQL names an unknown field, and finds nothing")


# --- data views ----------------------------------------------------------------------------------

_MAPS = ("fields", "fieldAttrs", "fieldFormatMap", "runtimeFieldMap", "sourceFilters", "typeMeta")


def _view_faults(attributes: Json, view: Mapping[str, Mapped] | None) -> Iterator[str]:
    yield from _told(
        (not attributes.get("timeFieldName"), "no timeFieldName: no time range is applied")
    )
    try:
        maps = {key: json.loads(attributes.get(key, "{}")) for key in _MAPS}
    except (TypeError, ValueError):
        yield "a map is not JSON in a text: the data view is not found"
        return
    for shape in maps["fieldFormatMap"].values():
        keys = set(shape.get("params", {}))
        is_duration = shape["id"] == "duration"
        yield from _told(
            (shape["id"] not in _VIEW_FORMATS, "an unknown format: every panel of it fails"),
            (is_duration and not {"inputFormat", "outputFormat"} <= keys, "duration of a column"),
        )
    yield from (
        "a script whose brackets are not closed: every panel of it fails"
        for one in maps["runtimeFieldMap"].values()
        if any(
            one["script"]["source"].count(a) != one["script"]["source"].count(b)
            for a, b in ("()", "[]", "{}")
        )
    )
    if view is not None:
        named = {**maps["fieldFormatMap"], **maps["fieldAttrs"]}
        yield from _missing(named, view, "unknown field")


# --- dashboards ----------------------------------------------------------------------------------


def _dashboard_faults(attributes: Json, references: Json, fields: Fields) -> Iterator[str]:
    try:
        panels = json.loads(attributes["panelsJSON"])
        json.loads(attributes["optionsJSON"])
    except (KeyError, TypeError, ValueError):
        yield "panelsJSON or optionsJSON is not JSON in a text"
        return
    whole = {"timeFrom", "timeTo"} <= set(attributes)
    yield from _told((attributes.get("timeRestore") and not whole, "the time to restore is absent"))
    yield from _grid_faults([(each["panelIndex"], each["gridData"]) for each in panels])
    controls = dict(_controls(attributes))
    yield from _control_faults(attributes, controls, references, fields)
    names = {control["explicitInput"].get("fieldName") for control in controls.values()}
    for each in panels:
        yield from (
            f"{each['panelIndex']}: {fault}"
            for fault in _panel_faults(each, references, fields, names)
        )


def _grid_faults(grids: list[tuple[str, Json]]) -> Iterator[str]:
    for number, (name, grid) in enumerate(grids):
        x, y, w, h = (grid[key] for key in "xywh")
        outside = min(x, y, w - 1, h - 1, _GRID_WIDTH - x - w) < 0
        yield from _told(
            (outside or grid["i"] != name, f"{name}: outside the grid, or its i is another"),
            (y > 0 and not any(_is_above(above, grid) for _, above in grids), f"{name}: floats"),
        )
        for other, earlier in grids[:number]:
            both = _meet(earlier, grid, "x", "w") and _meet(earlier, grid, "y", "h")
            yield from _told(
                (other == name, f"{name}: there twice"), (both, f"{name}: overlaps {other}")
            )


def _meet(one: Json, other: Json, at: str, size: str) -> bool:
    return bool(one[at] < other[at] + other[size] and other[at] < one[at] + one[size])


def _is_above(one: Json, other: Json) -> bool:
    return one["y"] + one["h"] == other["y"] and _meet(one, other, "x", "w")


def _controls(attributes: Json) -> Json:
    controls: Json = json.loads(attributes.get("controlGroupInput", {}).get("panelsJSON", "{}"))
    return controls


def _control_faults(
    attributes: Json, controls: Json, references: Json, fields: Fields
) -> Iterator[str]:
    group = attributes.get("controlGroupInput", {})
    yield from _missing(group, _CONTROL_KEYS, "unknown attribute of the controls")
    for name, control in controls.items():
        kind = "rangeSlider" if control["type"].startswith("range") else "optionsList"
        reference = f"controlGroup_{name}:{kind}DataView"
        yield from _told((reference not in references, f"{name}: its data view is missing"))
        view = fields.get(references.get(reference, ""))
        mapped = view and view.get(control["explicitInput"].get("fieldName", ""))
        yield from _told(
            (view and not (mapped and mapped.aggregatable), f"{name}: no values can be listed")
        )


# --- panels --------------------------------------------------------------------------------------


def _panel_faults(
    panel: Json, references: Json, fields: Fields, controlled: set[str]
) -> Iterator[str]:
    name, kind, config = panel["panelIndex"], panel["type"], panel["embeddableConfig"]
    found = panel.get("panelRefName")
    lost = f"{name}:{found}" not in references if found else kind == "search"
    source = config.get("savedVis", {"data": {"searchSource": {}}}).get("data", {})
    yield from _told(
        (kind not in _PANELS, f"unknown type {kind}: no dashboard at all"),
        (lost, "its saved object is missing: no dashboard at all"),
        ("searchSource" not in source, "savedVis has no searchSource: no dashboard at all"),
    )
    dynamic = (config.get("enhancements") or {}).get("dynamicActions", {})
    for event in dynamic.get("events", []):
        yield from _drilldown_faults(name, event, references)
    if kind == "links":
        named = [one.get("destinationRefName") for one in config["attributes"]["links"]]
        hoisted = [f"{name}:{one}" for one in named if one]
        yield from _missing(hoisted, references, "a link's dashboard is missing")
    if kind == "lens" and "attributes" in config:
        hoisted_ids = {
            key.removeprefix(f"{name}:"): id_
            for key, id_ in references.items()
            if key.startswith(f"{name}:")
        }
        yield from _lens_faults(config["attributes"], hoisted_ids, fields, controlled)


def _drilldown_faults(name: str, event: Json, references: Json) -> Iterator[str]:
    factory = event["action"]["factoryId"]
    reference = f"{name}:drilldown:{factory}:{event['eventId']}:dashboardId"
    yield from _told(
        (
            factory not in {_DASHBOARD_DRILL, _DISCOVER_DRILL},
            f"{factory} is not in a basic licence",
        ),
        (factory == _DASHBOARD_DRILL and reference not in references, "its dashboard is missing"),
    )


def _lens_faults(
    attributes: Json, hoisted: Json, fields: Fields, controlled: set[str]
) -> Iterator[str]:
    state, kind = attributes["state"], attributes["visualizationType"]
    shown = state["visualization"]
    sources = state["datasourceStates"]
    layers = (sources.get("formBased") or sources.get("indexpattern") or {}).get("layers", {})
    yield from _told(
        (kind not in _CHARTS, f"unknown chart {kind}"),
        ("filters" not in state or "query" not in state, "no filters or no query"),
        (kind == "lnsXY" and "legend" not in shown, "no legend"),
    )
    inner = {one["name"]: one["id"] for one in attributes.get("references", [])}
    for layer, each in layers.items():
        name = f"indexpattern-datasource-layer-{layer}"
        view = fields.get(hoisted.get(name, ""))
        yield from _told(
            (name not in hoisted, f"{layer}: its data view is not hoisted: it never ends loading"),
            (inner.get(name) != hoisted.get(name), f"{layer}: the inner reference is another"),
        )
        yield from _kql_faults(state.get("query", {}).get("query", ""), view)
        yield from _layer_faults(layer, each, view)
        is_static = all(one["operationType"] == "static_value" for one in each["columns"].values())
        if view and not is_static and not each.get("ignoreGlobalFilters"):
            yield from _missing(controlled, view, "a control would empty it, by")
    yield from _shown_faults(kind, shown, layers)


# --- columns -------------------------------------------------------------------------------------


def _layer_faults(name: str, layer: Json, view: Mapping[str, Mapped] | None) -> Iterator[str]:
    columns, order = layer["columns"], layer["columnOrder"]
    bucketed = [columns[each]["isBucketed"] for each in order if each in columns]
    kinds = [columns[each]["operationType"] for each in order if each in columns]
    yield from _told(
        (sorted(order) != sorted(columns), f"{name}: columnOrder is not all columns"),
        (bucketed != sorted(bucketed, reverse=True), f"{name}: a metric before a bucket"),
        (
            "date_histogram" in kinds and "terms" in kinds[kinds.index("date_histogram") :],
            f"{name}: terms after time: the first values would be those of each moment",
        ),
    )
    for id_, column in columns.items():
        checks = (
            _operation_faults(column, view),
            _parameter_faults(column, columns),
            _format_faults(column),
            _formula_faults(id_, column, columns),
        )
        yield from (f"{id_}: {fault}" for check in checks for fault in check)
        for text in _queries_of(column):
            yield from _kql_faults(text, view)


def _operation_faults(column: Json, view: Mapping[str, Mapped] | None) -> Iterator[str]:
    operation, field = column["operationType"], column.get("sourceField")
    yield from _told(
        (operation not in _OF_FIELD | _BUCKETS | _COMPUTED, f"unknown operation {operation}"),
        (bool(column["isBucketed"]) != (operation in _BUCKETS), "isBucketed is wrong"),
        (operation in _OF_FIELD and not field, "no sourceField: N/A"),
    )
    if view is None or not field or field == _RECORDS:
        return
    mapped = view.get(field)
    if mapped is None:
        yield f"unknown field {field}: N/A"
        return
    yield from _told(
        (not mapped.aggregatable, f"{field} cannot be aggregated"),
        (operation in _NUMERIC and mapped.type not in _NUMBERS, f"{operation} of {mapped.type}"),
        (operation == "date_histogram" and mapped.type != "date", "time of another field"),
        (operation == "max" and mapped.type not in _NUMBERS | {"date"}, f"max of {mapped.type}"),
    )


def _parameter_faults(column: Json, columns: Json) -> Iterator[str]:
    params = column.get("params") or {}
    order = params.get("orderBy", {})
    by = columns.get(order.get("columnId"), {})
    shift = column.get("timeShift")
    percent = params.get("percentile") or 0
    is_percentile = column["operationType"] == "percentile"
    yield from _told(
        (order.get("type") == "column" and not by, "ordered by no column: another order"),
        (by.get("operationType") in _COMPUTED, "ordered by a formula: refused"),
        (order.get("type") == "custom" and not params.get("orderAgg"), "ordered by nothing"),
        (is_percentile and not 0 < percent < 100, "no such percentile"),
        (shift and not _SHIFT.fullmatch(shift), f"timeShift {shift} is not understood"),
    )
    yield from _missing(column.get("references", ()), columns, "refers to no column")


def _format_faults(column: Json) -> Iterator[str]:
    shape = (column.get("params") or {}).get("format") or {"id": "number"}
    keys = set(shape.get("params", {}))
    is_duration = shape["id"] == "duration"
    yield from _told(
        (shape["id"] not in _COLUMN_FORMATS, f"unknown format {shape['id']}: never ends loading"),
        (is_duration and not {"fromUnit", "toUnit"} <= keys, "duration of a data view"),
    )


def _formula_faults(id_: str, column: Json, columns: Json) -> Iterator[str]:
    if column["operationType"] == "math":
        tree = json.dumps(column["params"]["tinymathAst"])
        used = set(re.findall(rf'"({re.escape(id_.rpartition("X")[0])}X\d+)"', tree))
        yield from _told((not used or not used <= set(column["references"]), "unknown helpers"))
    if column["operationType"] != "formula":
        return
    yield from _told((not column.get("references"), "a formula without helpers stays blank"))
    text = column["params"]["formula"]
    for helper, part in columns.items():
        if re.fullmatch(rf"{re.escape(id_)}X\d+", helper) and part["operationType"] != "math":
            said = part.get("filter", {}).get("query", "").replace("'", "\\'")
            shift = part.get("timeShift")
            wrong = (said and f"kql='{said}'" not in text) or (shift and f"'{shift}'" not in text)
            yield from _told((wrong, "the formula's text says otherwise than its helpers"))


def _queries_of(column: Json) -> Iterator[str]:
    params = column.get("params") or {}
    hidden = params.get("orderAgg") or {}
    kept = [column.get("filter"), hidden.get("filter")]
    kept += [each["input"] for each in params.get("filters", [])]
    yield from (each["query"] for each in kept if each)


# --- what is shown -------------------------------------------------------------------------------


def _shown_faults(kind: str, shown: Json, layers: Json) -> Iterator[str]:
    for layer, accessor in _accessors(kind, shown):
        columns = layers.get(layer, {}).get("columns", {})
        yield from _told((accessor not in columns, f"accessor {accessor} is no column"))
    for drawn in shown.get("layers") or []:
        yield from _drawn_faults(kind, drawn, layers.get(drawn.get("layerId"), {}))
    for one in (shown, *(shown.get("columns") or [])):
        params = (one.get("palette") or {}).get("params", {})
        stops = [each["stop"] for each in params.get("stops", [])]
        yield from _told((stops != sorted(stops), "stops descend: the colour is wrong"))


def _accessors(kind: str, shown: Json) -> Iterator[tuple[str, str]]:
    for layer in shown["layers"] if kind in {"lnsXY", "lnsPie"} else [shown]:
        found: list[str] = []
        for key, value in layer.items():
            if key in {"accessors", "primaryGroups", "metrics"} or key.endswith("Accessor"):
                found += [value] if isinstance(value, str) else value or []
        found += [each["forAccessor"] for each in layer.get("yConfig") or []]
        found += [each["columnId"] for each in layer.get("columns") or []]
        found += [each for each in [(layer.get("sorting") or {}).get("columnId")] if each]
        yield from ((layer.get("layerId", ""), each) for each in found)


def _drawn_faults(kind: str, drawn: Json, layer: Json) -> Iterator[str]:
    is_data = drawn.get("layerType") == "data"
    split = drawn.get("splitAccessor") or (drawn.get("primaryGroups") or [None])[0]
    column = layer.get("columns", {}).get(split, {})
    painted = any(each.get("color") for each in drawn.get("yConfig") or [])
    yield from _told(
        (not drawn.get("layerType"), "no layerType"),
        (kind == "lnsXY" and is_data and drawn.get("seriesType") not in _SERIES, "unknown series"),
        (drawn.get("splitAccessor") and painted, "yConfig.color has no effect beside a split"),
    )
    if column.get("operationType") == "filters":
        labels = [each["label"] for each in column["params"]["filters"]]
        assigned = drawn.get("colorMapping", {}).get("assignments", [])
        values = [value for one in assigned for value in one["rule"]["values"]]
        yield from _missing(values, labels, "a colour of no label")
