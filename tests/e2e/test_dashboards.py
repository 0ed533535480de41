"""Every panel asks the real Elasticsearch what it asks in Kibana, and gets the right figures."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from elasticsearch import Elasticsearch
from moto import mock_aws

from devstack.traffic import WrittenObject, gz, hour_of_objects, ordinary_lines
from devstack.traffic.access import fields_of
from pipeline.alb.keys import ObjectName, classify_key
from pipeline.dashboards.catalog import DASHBOARDS
from pipeline.dashboards.columns import Count
from pipeline.dashboards.conditions import Condition, one_of, query
from pipeline.dashboards.monitor import MONITOR
from pipeline.dashboards.panels import Panel, Topic, tile
from pipeline.dashboards.queries import Period, asks_of, rows_of
from pipeline.dashboards.views import VIEWS, View
from pipeline.ingest import Options, ingest_object
from pipeline.sink.store import Store
from pipeline.source.objects import ObjectRef
from tests.support.cluster import ingest, prepared

BUCKET = "alb-log-bucket"
HOUR = timedelta(hours=1)
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - 2 * HOUR
ALL_KINDS = Period(START - 4 * HOUR, datetime.now(UTC) + HOUR)
PLAIN = Period(START, START + HOUR)
"""The hour of plain lines, in which figures are counted by hand."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was written, and where it went."""

    store: Store
    plain: tuple[WrittenObject, ...]
    odd: tuple[WrittenObject, ...]
    week_before: tuple[bytes, ...]

    def lines(self, kind: str) -> list[list[str]]:
        """Return the fields of every good line of the plain hour, without quotes."""
        return [
            [field.decode().strip('"') for field in fields_of(line)]
            for each in self.plain
            if each.kind == kind
            for line in each.lines
        ]

    @property
    def requests(self) -> list[list[str]]:
        """Return the access log lines of the plain hour."""
        return self.lines("access")

    def rows(self, dashboard: str, panel: str, period: Period = PLAIN) -> list[Row]:
        """Return what the first search of a panel finds."""
        return first_rows(self.store, panel_named(dashboard, panel), period)

    def tile(self, dashboard: str, panel: str, period: Period = PLAIN) -> Row:
        """Return what a panel of one number shows."""
        shown: Row = {}
        found = panel_named(dashboard, panel)
        for each in all_rows(self.store, found, period):
            shown |= each
        return shown


def panel_named(dashboard: str, panel: str) -> Panel:
    """Return a panel by its name and that of its dashboard."""
    (page,) = (each for each in DASHBOARDS if each.name == dashboard)
    (found,) = (each for each in page.panels if each.id == panel)
    return found


def all_rows(
    store: Store, panel: Panel, period: Period, only: Condition | None = None
) -> Iterator[Row]:
    """Yield the rows of all searches of a panel."""
    for ask in asks_of(panel, period, store.prefix, only):
        answer = store.es.search(index=ask.indices, **ask.body).body
        yield from rows_of(panel, ask, answer)


def first_rows(store: Store, panel: Panel, period: Period) -> list[Row]:
    """Return the rows of the first search of a panel."""
    ask = next(asks_of(panel, period, store.prefix))
    return list(rows_of(panel, ask, store.es.search(index=ask.indices, **ask.body).body))


@pytest.fixture(scope="module")
def traffic(es: Elasticsearch) -> Iterator[Traffic]:
    """Yield a cluster with documents of every kind, made by the pipeline itself."""
    plain = tuple(hour_of_objects(7, start=START, lines_per_object=60, odd_share=0, bad_share=0))
    odd = tuple(
        hour_of_objects(
            8, start=START - 3 * HOUR, lines_per_object=60, odd_share=0.4, bad_share=0.02
        )
    )
    before = tuple(ordinary_lines(9, 150, start=START - timedelta(weeks=1)))
    with pytest.MonkeyPatch.context() as patch, prepared(es) as store, mock_aws():
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        ingest_objects(store, [*plain, *odd])
        ingest(store, gz(before))
        enrich(store)
        es.indices.refresh(index=f"{store.prefix}-*")
        yield Traffic(store, plain, odd, before)


def ingest_objects(store: Store, objects: list[WrittenObject]) -> None:
    """Put the objects into a bucket, the last one cut short, and ingest them as Lambda does."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    cut = [each for each in objects if each.kind == "access"][-1]
    for each in objects:
        name = classify_key(each.key)
        if not isinstance(name, ObjectName):
            continue
        body = each.body[: len(each.body) // 2] if each is cut else each.body
        etag = s3.put_object(Bucket=BUCKET, Key=each.key, Body=body)["ETag"].strip('"')
        created = name.end_time + timedelta(seconds=30)
        ref = ObjectRef(BUCKET, each.key, name, etag=etag, created=created)
        ingest_object(ref, s3=s3, store=store, options=Options(route="lambda"))


def enrich(store: Store) -> None:
    """Add what the enrich pipeline adds, for which this server lacks the processors."""
    store.es.indices.refresh(index=f"{store.prefix}-access-*")
    index, newest = f"{store.prefix}-access-*", {"@timestamp": "desc"}
    found = store.es.search(index=index, size=5, sort=newest)["hits"]["hits"]
    place = {"source": {"geo": {"country_name": "Germany"}}}
    for hit in found:
        store.es.update(index=hit["_index"], id=hit["_id"], doc=place)


PANELS = [
    pytest.param(panel, id=f"{page.name}/{panel.id}")
    for page in DASHBOARDS
    for panel in page.panels
]


@pytest.mark.server
@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_shows_something(traffic: Traffic, panel: Panel) -> None:
    """The query of each panel runs, and over all kinds of traffic its first metric has a value."""
    rows = first_rows(traffic.store, panel, ALL_KINDS)

    assert [row for row in rows if row[panel.metrics[0].id]], rows[:3]


@pytest.mark.server
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_view_counts_its_own_documents(traffic: Traffic, view: View) -> None:
    """With documents of all kinds in the cluster, a data view has those of one kind only."""
    everything = Period(START - timedelta(days=30), START + timedelta(days=30))
    counting = tile(Topic("all", "All", "How many?", view), Count("n", "All"))
    (row,) = first_rows(traffic.store, counting, everything)
    objects = [*traffic.plain, *traffic.odd]
    last = [each for each in objects if each.kind == "access"][-1]
    whole = [each for each in objects if each is not last]
    expected = {
        "access": len(ids(whole, "access")) + len(traffic.week_before),
        "connection": len(ids(whole, "connection")),
        "health-check": len(ids(whole, "health-check")),
        "dead-letter": len(frozenset[str]().union(*(each.rejected_ids for each in whole))),
        "ledger": sum(isinstance(classify_key(each.key), ObjectName) for each in objects),
    }

    of_the_cut_one = len(last.lines) if view.name in {"access", "dead-letter"} else 0
    assert expected[view.name] <= row["n"] <= expected[view.name] + of_the_cut_one


def ids(objects: Iterable[WrittenObject], kind: str) -> frozenset[str]:
    """Return the ids of the good lines of a kind."""
    return frozenset().union(*(each.good_ids for each in objects if each.kind == kind))


# --- figures, counted by hand in the lines that were written -------------------------------------


@pytest.mark.server
def test_requests_and_those_of_a_week_before(traffic: Traffic) -> None:
    """The first tile counts the lines of the period, and those of the same hour last week."""
    shown = traffic.tile("overview", "requests")

    assert {"requests": len(traffic.requests), "before": len(traffic.week_before)} == shown


@pytest.mark.server
def test_the_share_of_errors(traffic: Traffic) -> None:
    """Statuses of 500 and more, of all lines, those of refused connections (000) included."""
    errors = sum(int(line[8]) >= 500 for line in traffic.requests)

    shown = traffic.tile("log-monitor", "error-share")

    assert errors == shown["errors"]
    assert errors / len(traffic.requests) == shown["share"]


@pytest.mark.server
def test_status_classes(traffic: Traffic) -> None:
    """Summed over time, each class has as many requests as lines have such a status."""
    expected = Counter(f"{line[8][0]}xx" for line in traffic.requests if line[8][0] in "2345")

    shown: Counter[str] = Counter()
    for row in traffic.rows("log-monitor", "classes"):
        shown[row["class"]] += row["requests"]

    assert expected == shown


@pytest.mark.server
def test_bytes_sent(traffic: Traffic) -> None:
    """All bytes sent and received are in the tile."""
    shown = traffic.tile("log-monitor", "sent")

    assert sum(int(line[11]) for line in traffic.requests) == shown["sent"]
    assert sum(int(line[10]) for line in traffic.requests) == shown["received"]


@pytest.mark.server
def test_target_time(traffic: Traffic) -> None:
    """The percentiles are those of the times that are not -1, within the digest's error."""
    times = sorted(float(line[6]) for line in traffic.requests if line[6] != "-1")

    shown = traffic.tile("log-monitor", "target-time")

    for percent in (50, 95):
        exact = times[math.ceil(len(times) * percent / 100) - 1]
        assert exact == pytest.approx(shown[f"p{percent}"], rel=0.1)


@pytest.mark.server
def test_clients(traffic: Traffic) -> None:
    """The busiest clients are those with most lines."""
    expected = Counter(line[3].rpartition(":")[0].strip("[]") for line in traffic.requests)

    rows = traffic.rows("log-monitor", "clients")

    assert [count for _, count in expected.most_common(50)] == [row["requests"] for row in rows]
    assert all(expected[row["by_source_ip"]] == row["requests"] for row in rows[:5])


@pytest.mark.server
def test_target_groups(traffic: Traffic) -> None:
    """Each group has the requests and the 5xx of its lines."""
    requests: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for line in traffic.requests:
        if line[16] != "-":
            group = line[16].split("/")[1]
            requests[group] += 1
            errors[group] += int(line[8]) >= 500

    rows = traffic.rows("log-monitor", "groups")

    name = "by_aws_elb_target_group_name"
    assert requests == {row[name]: row["requests"] for row in rows}
    assert +errors == {row[name]: row["errors"] for row in rows if row["errors"]}


@pytest.mark.server
@pytest.mark.parametrize("code", [502, 503, 504, 460, 463, 561])
def test_statuses_of_an_incident(traffic: Traffic, code: int) -> None:
    """Each tile counts one status."""
    expected = sum(line[8] == str(code) for line in traffic.requests)

    assert {"errors": expected} == traffic.tile("errors", f"status-{code}")


@pytest.mark.server
def test_tls_versions(traffic: Traffic) -> None:
    """The donut divides the requests by the version of TLS."""
    names = {"TLSv1.3": "1.3", "TLSv1.2": "1.2", "TLSv1.1": "1.1", "TLSv1": "1.0"}
    expected = Counter(names[line[15]] for line in traffic.requests if line[15] != "-")

    rows = traffic.rows("security", "tls")

    assert expected == {row["by_tls_version"]: row["requests"] for row in rows}


@pytest.mark.server
def test_failed_checks(traffic: Traffic) -> None:
    """The share of health checks that failed is that of the health check log, not of requests."""
    checks = traffic.lines("health-check")
    failed = sum(line[5] == "FAIL" for line in checks)

    shown = traffic.tile("targets", "failed-share")

    assert {"share": failed / len(checks), "failures": failed} == shown


@pytest.mark.server
def test_failed_handshakes(traffic: Traffic) -> None:
    """The share of handshakes that failed is that of the connection log."""
    connections = traffic.lines("connection")
    failed = sum(line[10].startswith("Failed") for line in connections)

    shown = traffic.tile("security", "failed")

    assert {"share": failed / len(connections), "failures": failed} == shown


@pytest.mark.server
def test_objects_and_lines(traffic: Traffic) -> None:
    """The ledger has every object of the period, and their lines."""
    second = timedelta(seconds=1)
    ends = Period(START + second, START + HOUR + second)
    objects = [each for each in traffic.plain if isinstance(classify_key(each.key), ObjectName)]

    assert {"requests": len(objects)} == traffic.tile("pipeline", "objects", ends)
    lines = sum(len(each.lines) for each in objects)
    assert {"lines": lines, "filtered": 0} == traffic.tile("pipeline", "lines", ends)


@pytest.mark.server
def test_one_load_balancer(traffic: Traffic) -> None:
    """A monitor that is pinned shows the requests of its load balancer."""
    (panel,) = (each for each in MONITOR.panels if each.id == "requests")
    expected = sum("frontend-alb" in line[2] for line in traffic.requests)

    row, _ = all_rows(traffic.store, panel, PLAIN, one_of("observer.name", "frontend-alb"))

    assert {"requests": expected} == row


# --- conditions ----------------------------------------------------------------------------------


@pytest.mark.server
def test_conditions_are_valid_queries(traffic: Traffic) -> None:
    """Elasticsearch takes the query of every condition of a saved search and a panel."""
    for page in DASHBOARDS:
        for panel in page.panels:
            body = query(panel.topic.where)
            index = panel.view.pattern(traffic.store.prefix)
            assert traffic.store.es.count(index=index, query=body)["count"] > 0
