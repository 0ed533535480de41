"""
Write dashboards as Kibana's saved objects, with ids that stay: importing again replaces them.

Kibana takes these objects from 8.9 on. Versions before 8.11 do not have the panel of links, and
would show no dashboard at all: they get the same menu as a text.

https://www.elastic.co/guide/en/kibana/8.19/saved-objects-api-import.html
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.dashboards.conditions import Condition, Is, Json
from pipeline.dashboards.layout import (
    MENU_HEIGHT,
    WIDTH,
    Dashboard,
    Place,
    Search,
    places,
    stands_alone,
)
from pipeline.dashboards.lens import kql_of, lens_panel
from pipeline.dashboards.panels import Chart, Lines, Note, Panel, Shown
from pipeline.dashboards.views import LABELS, VIEWS, Format, View, formats_of, labels_of

CORE_VERSION = "8.8.0"
_SOURCE_INDEX = "kibanaSavedObjectMeta.searchSourceJSON.index"
_PILL_INDEX = "kibanaSavedObjectMeta.searchSourceJSON.filter[0].meta.index"
_TRACES = "https://console.aws.amazon.com/xray/home#/traces/{{rawValue}}"
_TAG_COLOR = "#6092c0"
_DISCOVER = "Show its lines"


@dataclass(frozen=True, slots=True)
class Writer:
    """What all objects share: the indices, the first part of their ids, what this Kibana knows."""

    prefix: str = "alb-logs"
    links: bool = True
    """Whether it has the panel of links."""
    space: str = ""
    """The space, if not the default one: an id that another space has would become a random one."""

    def objects(
        self, dashboards: Iterable[Dashboard], searches: Iterable[Search]
    ) -> Iterator[Json]:
        """Yield every object: what is referred to comes first."""
        pages = tuple(dashboards)
        yield self._saved("tag", self.ids, "8.0.0", self._tag())
        for view in VIEWS:
            yield self._saved("index-pattern", self.view_id(view), "8.0.0", self._view(view))
        for search in searches:
            yield self._search(search)
        for page in pages:
            yield self.dashboard(page, [each for each in pages if each.pinned is None])

    def view_id(self, view: View) -> str:
        """Return the id of a data view."""
        return self.id_of(view.name)

    def id_of(self, name: str) -> str:
        """Return the id of a dashboard or a saved search."""
        return f"{self.ids}-{name}"

    @property
    def ids(self) -> str:
        """Return the first part of every id."""
        return f"{self.prefix}-{self.space}" if self.space else self.prefix

    def _saved(
        self, kind: str, id_: str, version: str, attributes: Json, references: Iterable[Json] = ()
    ) -> Json:
        return {
            "type": kind,
            "id": id_,
            "attributes": attributes,
            "references": list(references),
            "coreMigrationVersion": CORE_VERSION,
            "typeMigrationVersion": version,
            "managed": False,
        }

    def _tag(self) -> Json:
        return {"name": "ALB logs", "description": "Load balancer logs", "color": _TAG_COLOR}

    def _tag_reference(self) -> Json:
        return {"type": "tag", "id": self.ids, "name": f"tag-ref-{self.ids}"}

    def _view_reference(self, view: View, name: str) -> Json:
        return {"type": "index-pattern", "id": self.view_id(view), "name": name}

    def _view(self, view: View) -> Json:
        labels = {name: {"customLabel": label} for name, label in labels_of(view).items()}
        formats = {name: _view_format(shape) for name, shape in formats_of(view).items()}
        return {
            "title": view.pattern(self.prefix),
            "name": view.title,
            "timeFieldName": "@timestamp",
            "allowHidden": False,
            "fields": "[]",
            "fieldAttrs": _text(labels),
            "fieldFormatMap": _text(formats),
            "runtimeFieldMap": "{}",
            "sourceFilters": "[]",
            "typeMeta": "{}",
        }

    def _search(self, search: Search) -> Json:
        source = {
            "query": kql_of(search.where),
            "filter": [],
            "indexRefName": _SOURCE_INDEX,
            "highlightAll": False,
        }
        widths = {name: {"width": 130} for name in search.columns if not _is_long(name)}
        attributes = {
            "title": search.title,
            "description": "",
            "columns": list(search.columns),
            "sort": [["@timestamp", "desc"]],
            "hideChart": False,
            "rowHeight": 1,
            "isTextBasedQuery": False,
            "timeRestore": False,
            "grid": {"columns": widths},
            "kibanaSavedObjectMeta": {"searchSourceJSON": _text(source)},
        }
        references = [self._view_reference(search.view, _SOURCE_INDEX), self._tag_reference()]
        return self._saved("search", self.id_of(search.name), "7.9.3", attributes, references)

    # --- dashboards ------------------------------------------------------------------------------

    def dashboard(self, page: Dashboard, others: Iterable[Dashboard]) -> Json:
        """Return a dashboard; its menu leads to the others."""
        drawn = [self._menu(page, others)]
        drawn += [self._drawn(shown, place, page) for shown, place in places(page)]
        references = [reference for each in drawn for reference in each.pop("references")]
        attributes = {
            "title": page.title,
            "description": page.description,
            "version": 1,
            "panelsJSON": _text(drawn),
            "optionsJSON": _text(_OPTIONS),
            "timeRestore": True,
            "timeFrom": "now-4h",
            "timeTo": "now",
            "refreshInterval": {"pause": True, "value": 60_000},
            "controlGroupInput": _controls(page),
            "kibanaSavedObjectMeta": {"searchSourceJSON": _text(_source(page.pinned))},
        }
        references.append(self._tag_reference())
        if page.pinned:
            references.append(self._view_reference(page.view, _PILL_INDEX))
        references += [
            self._view_reference(
                page.view, f"controlGroup_{_control_id(page, field)}:{_OPTIONS_VIEW}"
            )
            for field in page.controls
        ]
        return self._saved("dashboard", self.id_of(page.name), "8.9.0", attributes, references)

    def _drawn(self, shown: Shown, place: Place, page: Dashboard) -> Json:
        id_ = _panel_id(page, shown.id)
        match shown:
            case Panel():
                return self._chart(shown, place, page)
            case Note(text=text):
                return _placed(id_, place, _markdown(text.format(prefix=self.ids)))
            case Lines(search=search):
                reference = {"type": "search", "id": self.id_of(search)}
                panel = {
                    "type": "search",
                    "panelRefName": f"panel_{id_}",
                    "embeddableConfig": {"enhancements": {}},
                    "references": [{**reference, "name": f"{id_}:panel_{id_}"}],
                }
                return _placed(id_, place, panel)

    def _chart(self, panel: Panel, place: Place, page: Dashboard) -> Json:
        id_, view_id = _panel_id(page, panel.id), self.view_id(panel.view)
        attributes = lens_panel(panel, view_id, alone=stands_alone(panel, page))
        hoisted = [{**each, "name": f"{id_}:{each['name']}"} for each in attributes["references"]]
        events = list(self._events(panel))
        config: Json = {
            "attributes": attributes,
            "enhancements": {"dynamicActions": {"events": events}} if events else {},
        }
        if panel.leads_to:
            name = f"{id_}:drilldown:{_TO_DASHBOARD}:{_event_id(panel.leads_to)}:dashboardId"
            hoisted.append({"type": "dashboard", "id": self.id_of(panel.leads_to), "name": name})
        drawn = {"type": "lens", "embeddableConfig": config, "references": hoisted}
        title = "" if panel.chart is Chart.TILE else panel.topic.title
        return _placed(id_, place, drawn, title)

    def _events(self, panel: Panel) -> Iterator[Json]:
        if panel.leads_to:
            config = {"useCurrentFilters": True, "useCurrentDateRange": True, "openInNewTab": False}
            action = {"factoryId": _TO_DASHBOARD, "name": _opens(panel.leads_to), "config": config}
            yield _event(_event_id(panel.leads_to), action)
        if panel.buckets:
            to_lines = {"openInNewTab": False}
            yield _event(
                "discover", {"factoryId": _TO_DISCOVER, "name": _DISCOVER, "config": to_lines}
            )

    # --- the menu --------------------------------------------------------------------------------

    def _menu(self, page: Dashboard, others: Iterable[Dashboard]) -> Json:
        id_, place = _panel_id(page, "menu"), Place(0, 0, WIDTH, MENU_HEIGHT)
        pages = [(each.menu, self.id_of(each.name)) for each in others]
        if not self.links:
            here = self.id_of(page.name)
            text = " · ".join(
                f"**{label}**" if id_ == here else f"[{label}](dashboards#/view/{id_})"
                for label, id_ in pages
            )
            return _placed(id_, place, _markdown(text))
        return _placed(id_, place, _links(id_, pages))


_OPTIONS = {
    "useMargins": True,
    "syncColors": True,
    "syncCursor": True,
    "syncTooltips": False,
    "hidePanelTitles": False,
}
_OPTIONS_VIEW = "optionsListDataView"
_TO_DASHBOARD, _TO_DISCOVER = "DASHBOARD_TO_DASHBOARD_DRILLDOWN", "OPEN_IN_DISCOVER_DRILLDOWN"


def lines_of(objects: Iterable[Json]) -> str:
    """Return objects as the file that Kibana imports."""
    return "".join(json.dumps(each, sort_keys=True) + "\n" for each in objects)


def _text(value: object) -> str:
    """Return JSON as Kibana keeps it within JSON."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _is_long(field: str) -> bool:
    return field.startswith(("url.", "event.original", "error.message", "aws.s3."))


def _placed(id_: str, place: Place, panel: Json, title: str = "") -> Json:
    config = {**panel["embeddableConfig"], **({} if title else {"hidePanelTitles": True})}
    grid = {"x": place.x, "y": place.y, "w": place.w, "h": place.h, "i": id_}
    return {
        "references": [],
        **panel,
        "embeddableConfig": config,
        "panelIndex": id_,
        "title": title,
        "gridData": grid,
    }


def _markdown(text: str) -> Json:
    nothing = {"query": {"query": "", "language": "kuery"}, "filter": []}
    shown = {
        "id": "",
        "title": "",
        "description": "",
        "type": "markdown",
        "uiState": {},
        "params": {"fontSize": 12, "openLinksInNewTab": False, "markdown": text},
        "data": {"aggs": [], "searchSource": nothing},
    }
    return {"type": "visualization", "embeddableConfig": {"enhancements": {}, "savedVis": shown}}


def _links(id_: str, pages: list[tuple[str, str]]) -> Json:
    options = {"openInNewTab": False, "useCurrentDateRange": True, "useCurrentFilters": True}
    links: list[Json] = [
        {
            "id": f"link{order}",
            "order": order,
            "label": label,
            "type": "dashboardLink",
            "destinationRefName": f"link_link{order}_dashboard",
            "options": options,
        }
        for order, (label, _) in enumerate(pages)
    ]
    inner = [
        {"type": "dashboard", "id": dashboard, "name": link["destinationRefName"]}
        for link, (_, dashboard) in zip(links, pages, strict=True)
    ]
    attributes = {"layout": "horizontal", "links": links, "references": inner}
    return {
        "type": "links",
        "embeddableConfig": {"enhancements": {}, "attributes": attributes},
        "references": [{**each, "name": f"{id_}:{each['name']}"} for each in inner],
    }


def _opens(dashboard: str) -> str:
    return f"Open the {dashboard.replace('-', ' ')}"


def _event_id(dashboard: str) -> str:
    return f"to-{dashboard}"


def _event(id_: str, action: Json) -> Json:
    return {"eventId": id_, "triggers": ["FILTER_TRIGGER"], "action": action}


def _source(pinned: Condition | None) -> Json:
    filters = [_pill(pinned)] if isinstance(pinned, Is) else []
    return {"query": kql_of(None), "filter": filters}


def _pill(pinned: Is) -> Json:
    """Return a filter that stands above the dashboard."""
    (value,) = pinned.values
    meta = {
        "alias": None,
        "disabled": False,
        "negate": False,
        "type": "phrase",
        "key": pinned.field,
        "field": pinned.field,
        "params": {"query": value},
        "indexRefName": _PILL_INDEX,
    }
    phrase = {"match_phrase": {pinned.field: value}}
    return {"meta": meta, "query": phrase, "$state": {"store": "appState"}}


def _panel_id(page: Dashboard, name: str) -> str:
    """Return an id that no other dashboard has: Kibana would go on showing the other's panel."""
    return f"{page.name}-{name}"


def _control_id(page: Dashboard, field: str) -> str:
    return _panel_id(page, "control-" + re.sub(r"\W+", "-", field))


def _controls(page: Dashboard) -> Json:
    controls = {
        _control_id(page, field): _control(page, order, field)
        for order, field in enumerate(page.controls)
    }
    nothing = ("ignoreFilters", "ignoreQuery", "ignoreTimerange", "ignoreValidations")
    return {
        "controlStyle": "oneLine",
        "chainingSystem": "HIERARCHICAL",
        "panelsJSON": _text(controls),
        "ignoreParentSettingsJSON": _text(dict.fromkeys(nothing, False)),
    }


def _control(page: Dashboard, order: int, field: str) -> Json:
    explicit = {
        "id": _control_id(page, field),
        "fieldName": field,
        "title": LABELS.get(field, field.title()),
        "selectedOptions": [],
        "searchTechnique": "prefix",
        "enhancements": {},
    }
    return {
        "type": "optionsListControl",
        "order": order,
        "grow": True,
        "width": "small",
        "explicitInput": explicit,
    }


def _view_format(shape: Format) -> Json:
    match shape:
        case Format.BYTES:
            return {"id": "bytes"}
        case Format.CODE:
            return {"id": "number", "params": {"pattern": "0"}}
        case Format.TRACE:
            params = {"labelTemplate": "{{rawValue}}", "urlTemplate": _TRACES}
            return {"id": "url", "params": params}
        case _:
            duration: Json = {
                "inputFormat": shape.value,
                "outputFormat": "humanizePrecise",
                "outputPrecision": 1,
                "useShortSuffix": True,
                "showSuffix": True,
            }
            return {"id": "duration", "params": duration}
