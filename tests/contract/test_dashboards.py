"""The dashboards: sound saved objects, fields that are mapped, and one look."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from docs.generate.files import ROOT
from pipeline.alb.fields import CONSTANT
from pipeline.dashboards.catalog import DASHBOARDS, READY, SEARCHES, dashboards_file, monitor_file
from pipeline.dashboards.columns import Count, OverTime, Percentile, Ratio, Terms, Value
from pipeline.dashboards.conditions import (
    Between,
    Condition,
    Has,
    Not,
    both,
    either,
    fields_in,
    kql,
    one_of,
    query,
)
from pipeline.dashboards.layout import WIDTH, Dashboard, places, stands_alone
from pipeline.dashboards.panels import Chart, Lines, Panel, fields_of_panel
from pipeline.dashboards.saved import Writer
from pipeline.dashboards.views import ACCESS, DEAD_LETTERS, VIEWS
from tests.support.kibana import Json, faults, our_fields

FIELDS = our_fields()
CONSTANTS = {name for each in CONSTANT for name in (each.name, *each.aliases)}
PAGES = [pytest.param(page, id=page.name) for page in DASHBOARDS]
PANELS = [
    pytest.param(page, panel, id=f"{page.name}/{panel.id}")
    for page in DASHBOARDS
    for panel in page.panels
]


def objects_of(text: str) -> list[Json]:
    """Return the saved objects of a file."""
    return [json.loads(line) for line in text.splitlines()]


def ours() -> list[Json]:
    """Return every saved object that is imported."""
    return objects_of(dashboards_file(Writer()))


# --- saved objects -------------------------------------------------------------------------------


def test_nothing_is_wrong() -> None:
    """The validator finds nothing in what is checked in, the ready monitors included."""
    folder = ROOT / "index_templates" / "kibana"
    files = ["dashboards", *READY]
    objects = [
        each
        for name in files
        for each in objects_of((folder / f"{name}.ndjson").read_text(encoding="utf-8"))
    ]

    assert [] == faults(objects, FIELDS)
    assert {path.stem for path in folder.iterdir()} == set(files)


@pytest.mark.parametrize("links", [True, False], ids=["8.11", "8.9"])
def test_any_prefix_and_version(*, links: bool) -> None:
    """Under another prefix, and for a Kibana without the panel of links, nothing is wrong."""
    writer = Writer("my-alb", links=links)
    objects = objects_of(dashboards_file(writer) + monitor_file(writer, "Shop", "shop-alb"))

    assert [] == faults(objects, our_fields("my-alb"))
    assert "alb-logs-" not in json.dumps(objects)
    assert "{prefix}" not in json.dumps(objects)
    kinds = {panel["type"] for each in objects for panel in panels_of(each)}
    assert ("links" in kinds) == links


def panels_of(each: Json) -> list[Json]:
    """Return the panels of a saved object, none where it is no dashboard."""
    panels: list[Json] = json.loads(each["attributes"].get("panelsJSON", "[]"))
    return panels


def test_ids_stay_and_are_there_once() -> None:
    """Two runs make the same bytes, and no two objects have the same id."""
    assert dashboards_file(Writer()) == dashboards_file(Writer())
    assert {1} == set(Counter((each["type"], each["id"]) for each in ours()).values())


def test_no_two_dashboards_share_a_panel() -> None:
    """Kibana goes on showing a panel or control where the next dashboard has one of its id."""
    pinned = objects_of(monitor_file(Writer(), "Shop", "shop-alb"))
    ids = [panel["panelIndex"] for each in [*ours(), *pinned] for panel in panels_of(each)]
    for each in [*ours(), *pinned]:
        group = each["attributes"].get("controlGroupInput", {"panelsJSON": "{}"})
        ids += json.loads(group["panelsJSON"])

    assert [] == [id_ for id_, count in Counter(ids).items() if count > 1]


def test_a_pinned_monitor_is_of_one_load_balancer() -> None:
    """It has an id of its own, a filter that stays, and no control for the load balancer."""
    (monitor,) = objects_of(monitor_file(Writer(), "Shop", "shop-alb"))

    assert ("alb-logs-log-monitor-shop-alb", "Shop") == (
        monitor["id"],
        monitor["attributes"]["title"],
    )
    source = json.loads(monitor["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    (pill,) = source["filter"]
    assert {"match_phrase": {"observer.name": "shop-alb"}} == pill["query"]
    controls = json.loads(monitor["attributes"]["controlGroupInput"]["panelsJSON"])
    fields = {each["order"]: each["explicitInput"]["fieldName"] for each in controls.values()}
    expected = ["aws.elb.target_group.name", "url.domain", "http.request.method"]
    assert dict(enumerate(expected)) == fields


# --- what is broken is found ---------------------------------------------------------------------

Breaks = Callable[[Json], Any]


def page(change: Breaks) -> tuple[str, Breaks]:
    """Return a change of the overview."""
    return "alb-logs-overview", change


def panel(id_: str, change: Breaks) -> tuple[str, Breaks]:
    """Return a change of a panel of the overview."""

    def changed(each: Json) -> None:
        panels = panels_of(each)
        change(next(one for one in panels if one["panelIndex"] == f"overview-{id_}"))
        each["attributes"]["panelsJSON"] = json.dumps(panels)

    return page(changed)


def view(change: Breaks) -> tuple[str, Breaks]:
    """Return a change of the data view of access logs."""
    return "alb-logs-access", change


def search(change: Breaks) -> tuple[str, Breaks]:
    """Return a change of a saved search."""
    return "alb-logs-lines", change


def state(one: Json) -> Json:
    """Return the state of a chart."""
    found: Json = one["embeddableConfig"]["attributes"]["state"]
    return found


def shown(one: Json) -> Json:
    """Return how a chart is shown."""
    found: Json = state(one)["visualization"]
    return found


def layer(one: Json) -> Json:
    """Return the layer of data of a chart."""
    found: Json = state(one)["datasourceStates"]["formBased"]["layers"]["data"]
    return found


def columns(one: Json) -> Json:
    """Return the columns of a chart."""
    found: Json = layer(one)["columns"]
    return found


def without(text: str) -> Breaks:
    """Return the change that removes the references whose names have a text."""

    def changed(each: Json) -> None:
        kept = [one for one in each["references"] if text not in one["name"]]
        assert len(kept) < len(each["references"])
        each["references"] = kept

    return changed


def version_is(version: str) -> Breaks:
    """Return the change to another version of the type."""
    return lambda each: each.update(typeMigrationVersion=version)


def kept_map(key: str, name: str, value: object) -> Breaks:
    """Return the change that puts something into a map of a data view."""

    def changed(each: Json) -> None:
        found = json.loads(each["attributes"][key]) | {name: value}
        each["attributes"][key] = json.dumps(found)

    return changed


def control(**changes: object) -> Breaks:
    """Return a change of the control for the load balancer."""

    def changed(each: Json) -> None:
        group = each["attributes"]["controlGroupInput"]
        found = json.loads(group["panelsJSON"])
        found["overview-control-observer-name"]["explicitInput"] |= changes
        group["panelsJSON"] = json.dumps(found)

    return changed


def helpers_removed(one: Json) -> None:
    """Remove what a formula is computed from."""
    for name in ("shareX0", "shareX1", "shareX2"):
        del columns(one)[name]
        layer(one)["columnOrder"].remove(name)


def events(one: Json) -> list[Json]:
    """Return the drilldowns of a panel."""
    found: list[Json] = one["embeddableConfig"]["enhancements"]["dynamicActions"]["events"]
    return found


def balancers(one: Json) -> Json:
    """Return how the table of load balancers is ordered."""
    found: Json = columns(one)["by_observer_name"]["params"]["orderBy"]
    return found


STATUS_IS = "http.response.status_code >= "
DURATION = {"id": "duration", "params": {"fromUnit": "seconds", "toUnit": "humanize"}}
VIEW_DURATION = {"id": "duration", "params": {"inputFormat": "seconds", "outputFormat": "x"}}

MUTATIONS: dict[str, tuple[str, Breaks]] = {
    # The envelope.
    "no type version": page(lambda each: each.pop("typeMigrationVersion")),
    **{
        f"type version {version}": page(version_is(version))
        for version in ("7.17.0", "8.0.0", "8.9.1", "8.10.0", "10.1.0")
    },
    "core version": page(lambda each: each.update(coreMigrationVersion="9.0.0")),
    "version of a search": search(lambda each: each.update(typeMigrationVersion="10.2.0")),
    "version of a view": view(lambda each: each.update(typeMigrationVersion="8.9.0")),
    "unknown type": page(lambda each: each.update(type="canvas")),
    "unknown attribute": page(lambda each: each["attributes"].update(sections=[])),
    "unknown attribute of controls": page(
        lambda each: each["attributes"]["controlGroupInput"].update(showApplySelections=True)
    ),
    "unknown attribute of a search": search(lambda each: each["attributes"].update(foo=1)),
    "panels are no text": page(lambda each: each["attributes"].update(panelsJSON=[])),
    "panels are not JSON": page(lambda each: each["attributes"].update(panelsJSON="[{")),
    "no source": page(lambda each: each["attributes"].pop("kibanaSavedObjectMeta")),
    "no time": page(lambda each: each["attributes"].pop("timeFrom")),
    # References.
    "not hoisted": page(without("error-share:indexpattern")),
    "no reference of a control": page(without("controlGroup")),
    "no reference of a drilldown": page(without("drilldown")),
    "no reference of a link": page(without("menu:link")),
    "no reference of a search": search(without("searchSourceJSON.index")),
    "a reference twice": page(lambda each: each["references"].append(each["references"][0])),
    "data view absent": page(lambda each: each["references"][7].update(id="nope")),
    "inner reference absent": panel(
        "requests", lambda one: one["embeddableConfig"]["attributes"].update(references=[])
    ),
    "inner reference another": panel(
        "requests",
        lambda one: one["embeddableConfig"]["attributes"]["references"][0].update(id="nope"),
    ),
    # The grid.
    "overlap": panel("requests", lambda one: one["gridData"].update(w=9)),
    "outside": panel("rejected", lambda one: one["gridData"].update(w=9)),
    "floats": panel("bytes", lambda one: one["gridData"].update(y=99)),
    "another i": panel("bytes", lambda one: one["gridData"].update(i="x")),
    # Panels.
    "unknown panel": panel("traffic", lambda one: one.update(type="lenz")),
    "saved object lost": panel("traffic", lambda one: one.update(panelRefName="panel_x")),
    "text without a source": panel(
        "reading-order", lambda one: one["embeddableConfig"]["savedVis"].pop("data")
    ),
    "drilldown to a URL": panel(
        "balancers", lambda one: events(one)[0]["action"].update(factoryId="URL_DRILLDOWN")
    ),
    "unknown chart": panel(
        "traffic", lambda one: one["embeddableConfig"]["attributes"].update(visualizationType="x")
    ),
    "no filters": panel("traffic", lambda one: state(one).pop("filters")),
    "no legend": panel("traffic", lambda one: shown(one).pop("legend")),
    "no layer type": panel("traffic", lambda one: shown(one)["layers"][0].pop("layerType")),
    "unknown series": panel(
        "traffic", lambda one: shown(one)["layers"][0].update(seriesType="bars")
    ),
    "accessor of no column": panel("requests", lambda one: shown(one).update(metricAccessor="x")),
    "colour beside a split": panel(
        "traffic",
        lambda one: shown(one)["layers"][0].update(
            yConfig=[{"forAccessor": "requests", "color": "#fff"}]
        ),
    ),
    "stops descend": panel(
        "error-share", lambda one: shown(one)["palette"]["params"]["stops"].reverse()
    ),
    "stops of a cell descend": panel(
        "balancers",
        lambda one: shown(one)["columns"][3]["palette"]["params"]["stops"].reverse(),
    ),
    "a control would empty it": panel(
        "rejected", lambda one: layer(one).update(ignoreGlobalFilters=False)
    ),
    # Columns.
    "unknown field": panel(
        "target-time", lambda one: columns(one)["p95"].update(sourceField="no.such")
    ),
    "percentile of a keyword": panel(
        "target-time", lambda one: columns(one)["p95"].update(sourceField="url.template")
    ),
    "terms without doc values": panel(
        "balancers", lambda one: columns(one)["by_observer_name"].update(sourceField="trace.id")
    ),
    "constant field": panel(
        "balancers", lambda one: columns(one)["by_observer_name"].update(sourceField="event.module")
    ),
    "field of another kind": panel(
        "target-time",
        lambda one: columns(one)["p95"].update(sourceField="aws.elb.health_check.latency.sec"),
    ),
    "unknown operation": panel(
        "sent", lambda one: columns(one)["sent"].update(operationType="total")
    ),
    "count of nothing": panel("requests", lambda one: columns(one)["requests"].pop("sourceField")),
    "bucket or not": panel(
        "requests", lambda one: columns(one)["requests"].update(isBucketed=True)
    ),
    "no such percentile": panel(
        "target-time", lambda one: columns(one)["p95"]["params"].update(percentile=0)
    ),
    "ordered by a formula": panel("balancers", lambda one: balancers(one).update(columnId="share")),
    "ordered by no column": panel("balancers", lambda one: balancers(one).update(columnId="x")),
    "ordered by nothing": panel("balancers", lambda one: balancers(one).update(type="custom")),
    "column not in the order": panel("traffic", lambda one: layer(one)["columnOrder"].pop()),
    "metric before bucket": panel("traffic", lambda one: layer(one)["columnOrder"].reverse()),
    "time before terms": panel(
        "traffic",
        lambda one: layer(one).update(columnOrder=["time", "by_observer_name", "requests"]),
    ),
    "time shift": panel(
        "requests", lambda one: columns(one)["before"].update(timeShift="1 fortnight")
    ),
    "unknown format": panel(
        "sent", lambda one: columns(one)["sent"]["params"].update(format={"id": "seconds"})
    ),
    "duration of a view": panel(
        "sent", lambda one: columns(one)["sent"]["params"].update(format=VIEW_DURATION)
    ),
    # Formulas.
    "formula without references": panel(
        "error-share", lambda one: columns(one)["share"].update(references=[])
    ),
    "formula without helpers": panel("error-share", helpers_removed),
    "formula says otherwise": panel(
        "error-share",
        lambda one: columns(one)["shareX0"]["filter"].update(query=f"{STATUS_IS}400"),
    ),
    "tree of unknown helpers": panel(
        "error-share",
        lambda one: columns(one)["shareX2"]["params"]["tinymathAst"].update(args=["shareX7"]),
    ),
    # Queries.
    "KQL is not whole": panel("traffic", lambda one: state(one)["query"].update(query=STATUS_IS)),
    "KQL with an open bracket": panel(
        "traffic", lambda one: state(one)["query"].update(query="url.path : (a or b")
    ),
    "KQL of an unknown field": panel(
        "traffic", lambda one: state(one)["query"].update(query="http.status >= 500")
    ),
    "KQL of an unknown field, in a column": panel(
        "error-share", lambda one: columns(one)["errors"]["filter"].update(query="no.such : 1")
    ),
    # Controls, searches, data views.
    "control of an unknown field": page(control(fieldName="no.such")),
    "control without values": page(control(fieldName="trace.id")),
    "unknown column of a search": search(
        lambda each: each["attributes"]["columns"].append("no.such")
    ),
    "no time field": view(lambda each: each["attributes"].pop("timeFieldName")),
    "map is no text": view(lambda each: each["attributes"].update(fieldFormatMap={})),
    "fields are not JSON": view(lambda each: each["attributes"].update(fields="[")),
    "unknown format of a view": view(kept_map("fieldFormatMap", "url.path", {"id": "x"})),
    "duration of a column": view(kept_map("fieldFormatMap", "url.path", DURATION)),
    "label of an unknown field": view(kept_map("fieldAttrs", "no.such", {"customLabel": "x"})),
    "broken script": view(
        kept_map("runtimeFieldMap", "x", {"type": "long", "script": {"source": "emit(1"}})
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mistake_is_found(name: str) -> None:
    """Each mistake, most of which Kibana imports without a word, is a finding of the validator."""
    id_, change = MUTATIONS[name]
    objects = ours()
    (one,) = (each for each in objects if each["id"] == id_)

    change(one)

    assert [] != faults(objects, FIELDS)


def test_a_filter_without_its_data_view_is_found() -> None:
    """The filter of a pinned monitor would vanish without a word."""
    monitor = objects_of(monitor_file(Writer(), "Shop", "shop-alb"))
    without("filter[0]")(monitor[0])

    assert [fault for fault in faults([*ours(), *monitor], FIELDS) if "vanishes" in fault]


# --- specifications ------------------------------------------------------------------------------

FITTING = {
    "sum": {"long", "float"},
    "average": {"long", "float"},
    "percentile": {"long", "float"},
    "max": {"long", "float", "date"},
}


@pytest.mark.parametrize(("page", "panel"), PANELS)
def test_fields_are_mapped_with_fitting_types(page: Dashboard, panel: Panel) -> None:
    """Each field of a panel exists in its kind's mapping, can be aggregated, and is no constant."""
    mapped = FIELDS[f"alb-logs-{panel.view.name}"]
    named = set(fields_of_panel(panel))

    assert set() == named - set(mapped)
    assert set() == named & CONSTANTS
    assert all(mapped[name].aggregatable for name in named), page.name
    for metric in panel.metrics:
        match metric:
            case Value(operation=operation, field=field):
                assert mapped[field].type in FITTING.get(operation, {mapped[field].type})
            case Percentile(field=field):
                assert mapped[field].type in FITTING["percentile"]
            case Count() | Ratio():
                pass


@pytest.mark.parametrize("search", SEARCHES, ids=lambda each: each.name)
def test_columns_of_searches_are_mapped(search: Any) -> None:  # noqa: ANN401  a Search
    """Each column and condition of a saved search exists in its kind's mapping."""
    named = {*search.columns, *fields_in(search.where)}

    assert set() == named - set(FIELDS[f"alb-logs-{search.view.name}"])
    assert set() == named & CONSTANTS


@pytest.mark.parametrize(("page", "panel"), PANELS)
def test_a_panel_asks_a_question(page: Dashboard, panel: Panel) -> None:
    """It has a title and a question that ends as one, and what it is sorted by is there."""
    assert panel.topic.title, page.name
    assert panel.topic.question.rstrip(")").endswith(("?", "."))
    ids = [each.id for each in (*panel.buckets, *panel.metrics)]
    assert len(ids) == len(set(ids))
    for bucket in panel.buckets:
        if isinstance(bucket, Terms):
            assert bucket.order or bucket.by in ids
    is_chart = panel.chart not in {Chart.TILE, Chart.TABLE, Chart.RANKS, Chart.DONUT}
    assert isinstance(panel.buckets[-1], OverTime) if is_chart else True


@pytest.mark.parametrize("page", PAGES)
def test_a_dashboard_fits_the_grid(page: Dashboard) -> None:
    """Rows fill the width, ids are there once, and the first row is six tiles."""
    placed = list(places(page))

    assert {WIDTH} == {sum(width for width, _ in row.panels) for row in page.rows}
    names = [shown.id for shown, _ in placed]
    assert len(names) == len(set(names))
    tiles = [shown for shown in page.panels if shown.chart is Chart.TILE]
    assert (6, tuple(tiles)) == (len(tiles), page.panels[:6])


@pytest.mark.parametrize("page", PAGES)
def test_a_dashboard_has_a_reading_order(page: Dashboard) -> None:
    """A note says what to look at first, and controls are of fields that have values."""
    notes = [shown.text for shown, _ in places(page) if hasattr(shown, "text")]

    assert 1 == sum("**Reading order.**" in text for text in notes)
    mapped = FIELDS[f"alb-logs-{page.view.name}"]
    assert all(mapped[field].aggregatable for field in page.controls)


@pytest.mark.parametrize("page", PAGES)
def test_shares_have_no_control_of_what_they_divide(page: Dashboard) -> None:
    """Where a share of statuses is shown, no control chooses a status: it would say 100 %."""
    metrics = [metric for each in page.panels for metric in each.metrics]
    has_share = any(isinstance(metric, Ratio) for metric in metrics)

    assert not (has_share and "http.response.status_code" in page.controls)


def test_controls_leave_other_kinds_alone() -> None:
    """Only panels over documents without a control's fields ignore the controls."""
    alone = {
        f"{page.name}/{panel.id}"
        for page in DASHBOARDS
        for panel in page.panels
        if stands_alone(panel, page)
    }

    assert {
        "overview/rejected",
        "pipeline/rejected",
        "pipeline/reasons",
        "pipeline/sources",
        "pipeline/unknown",
        "pipeline/kinds",
    } == alone


def test_every_kind_is_shown() -> None:
    """Each kind of document has panels and a saved search; every search is of a known name."""
    searches = {each.name: each.view for each in SEARCHES}
    named = {
        shown.search for page in DASHBOARDS for shown, _ in places(page) if isinstance(shown, Lines)
    }

    assert set(VIEWS) == {panel.view for page in DASHBOARDS for panel in page.panels}
    assert set(VIEWS) == set(searches.values())
    assert named <= set(searches)


def test_views_do_not_overlap() -> None:
    """No pattern of a data view matches the indices of another: alb-logs-* would match all."""
    patterns = {view: view.pattern("alb-logs") for view in VIEWS}

    assert "alb-logs-access-*" == patterns[ACCESS]
    assert "alb-logs-dead-letter" == patterns[DEAD_LETTERS]
    for view, pattern in patterns.items():
        others = [other for each, other in patterns.items() if each is not view]
        assert not [other for other in others if other.startswith(pattern.rstrip("*"))]


# --- conditions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "text", "found"),
    [
        pytest.param(None, "", {"match_all": {}}, id="none"),
        pytest.param(one_of("a", "x"), 'a : "x"', {"terms": {"a": ["x"]}}, id="a value"),
        pytest.param(one_of("a", 1, 2), "a : (1 or 2)", {"terms": {"a": [1, 2]}}, id="values"),
        pytest.param(
            Between("a", 0.05, 2),
            "a >= 0.05 and a < 2",
            {"range": {"a": {"gte": 0.05, "lt": 2}}},
            id="between",
        ),
        pytest.param(Between("a", 500), "a >= 500", {"range": {"a": {"gte": 500}}}, id="from"),
        pytest.param(Has("a"), "a : *", {"exists": {"field": "a"}}, id="has"),
        pytest.param(
            Not(Has("a")),
            "not (a : *)",
            {"bool": {"must_not": [{"exists": {"field": "a"}}]}},
            id="not",
        ),
        pytest.param(
            both(Has("a"), either(Has("b"), Between("c", 1, 2))),
            "a : * and (b : * or (c >= 1 and c < 2))",
            {
                "bool": {
                    "filter": [
                        {"exists": {"field": "a"}},
                        {
                            "bool": {
                                "should": [
                                    {"exists": {"field": "b"}},
                                    {"range": {"c": {"gte": 1, "lt": 2}}},
                                ]
                            }
                        },
                    ]
                }
            },
            id="nested",
        ),
    ],
)
def test_a_condition_says_the_same_to_both(
    condition: Condition | None, text: str, found: Json
) -> None:
    """KQL for Kibana and a query for Elasticsearch are of one condition."""
    assert (text, found) == (kql(condition), query(condition))


def test_a_field_is_found_in_every_condition() -> None:
    """No condition hides a field that it names."""
    conditions = (one_of("a", 1), Not(Between("b", 1)), both(Has("c"), either(Has("d"))), None)

    assert ["a", "b", "c", "d"] == [name for each in conditions for name in fields_in(each)]


def test_a_view_knows_aliases() -> None:
    """Other names of a field are in its view too."""
    assert ACCESS.fields["client.ip"] is ACCESS.fields["source.ip"]


def test_a_count_of_a_tile_is_zero_and_of_a_chart_blank() -> None:
    """Nothing is 0 where one number stands, and no bar where a chart is drawn."""
    empty = {
        one["panelIndex"]: column["params"]["emptyAsNull"]
        for one in panels_of(next(each for each in ours() if each["id"] == "alb-logs-overview"))
        if one["type"] == "lens"
        for name, column in columns(one).items()
        if name == "requests"
    }

    shown = {"overview-requests": False, "overview-traffic": True, "overview-balancers": False}
    assert shown == empty
    assert isinstance(DASHBOARDS[0].panels[0].metrics[0], Count)
