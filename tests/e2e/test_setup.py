"""`alb-logs setup` on the real Elasticsearch: what it installs, changes, refuses and leaves out."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from elastic_transport import Transport, TransportApiResponse
from elasticsearch import Elasticsearch

from devstack.process import HOST, free_port
from pipeline.alb.document import Period
from pipeline.alb.fields import Kind
from pipeline.cli.group import alb_logs
from pipeline.clients.elasticsearch import make_elasticsearch
from pipeline.cluster.templates import (
    LETTER_RETENTION_DAYS,
    RETENTION_DAYS,
    Change,
    Layout,
    Plan,
    all_parts,
    apply_setup,
    plan_setup,
    recorded_layout,
)
from pipeline.config import Config
from pipeline.errors import ConfigError, SinkUnavailableError
from pipeline.sink.store import SCHEMA, Store, open_store
from tests.support.cluster import documents_in, ingest, prepared
from tests.support.factories import ids_of, lines_of, text_of
from tests.support.faults import Faults, answer
from tests.support.web import web_server

Json = dict[str, Any]
LACKS = ("lifecycle", "enrichment", "constants")
"""What the minimal distribution, on which these tests run, lacks."""

FIRST_LETTERS = "-dead-letter-000001"
"""How the name of the first index of dead letters ends."""


def changes(plan: Plan) -> dict[str, Change]:
    """Return what a plan does, by path."""
    return {part.path: part.change for part in plan.parts}


def changed(plan: Plan, change: Change) -> set[str]:
    """Return the paths of the parts that a plan creates, updates or leaves."""
    return {path for path, each in changes(plan).items() if each is change}


def settings_of(es: Elasticsearch, index: str) -> Json:
    """Return the settings of an index."""
    found: Json = es.indices.get_settings(index=index)[index]["settings"]["index"]
    return found


@pytest.fixture
def wanted(prefix: str) -> Layout:
    """Return a layout under this test's prefix."""
    return Layout(prefix=prefix, replicas=0)


# --- install -------------------------------------------------------------------------------------


def test_an_empty_cluster_is_prepared(es: Elasticsearch, wanted: Layout) -> None:
    """Every part is created, in the order of `all_parts`, and is there afterwards."""
    plan = plan_setup(es, wanted)

    assert {Change.CREATE} == set(changes(plan).values())
    assert [part.path for part in all_parts(wanted, LACKS)] == list(changes(plan))
    apply_setup(es, plan)
    for path in changes(plan):
        assert es.perform_request("GET", path, headers={"accept": "application/json"}).body
    assert Store(es, wanted.prefix, Period.DAY) == open_store(es, wanted.prefix)


def test_setting_up_again_changes_nothing(es: Elasticsearch, wanted: Layout) -> None:
    """The second plan leaves every part, and applying it sends no request at all."""
    apply_setup(es, plan_setup(es, wanted))

    again = plan_setup(es, wanted)

    assert {Change.UNCHANGED} == set(changes(again).values())
    faults = Faults(es)
    apply_setup(faults.es, again)
    assert [] == faults.requests


def test_a_plan_only_looks(es: Elasticsearch, wanted: Layout) -> None:
    """Planning reads, and tries processors and types on simulations; nothing is made."""
    faults = Faults(es)

    plan = plan_setup(faults.es, wanted)

    simulations = {"/_ingest/pipeline/_simulate", "/_index_template/_simulate"}
    assert {("POST", path) for path in simulations} == {
        request for request in faults.requests if request[0] != "GET"
    }
    assert {Change.CREATE} == set(changes(plan_setup(es, wanted)).values())
    assert not es.indices.exists(index=f"{wanted.prefix}-*", allow_no_indices=False)
    assert plan.parts


@pytest.mark.parametrize("dry", [True, False], ids=["dry run", "for good"])
def test_the_command_changes_nothing_in_a_dry_run(
    elasticsearch_url: str, es: Elasticsearch, prefix: str, *, dry: bool
) -> None:
    """`setup --dry-run` says what it would do and does not do it; without it, it is done."""
    environment = {"ALB_LOGS_ES_URL": elasticsearch_url, "ALB_LOGS_INDEX_PREFIX": prefix}
    arguments = ["setup", "--replicas", "0", *(["--dry-run"] if dry else [])]

    result = CliRunner().invoke(alb_logs, arguments, env=environment, catch_exceptions=False)

    assert 0 == result.exit_code
    assert 12 == result.output.count("create ")
    assert ("nothing was changed" in result.output) == dry
    assert dry != es.indices.exists(index=f"{prefix}-dead-letter")
    assert dry != es.indices.exists_index_template(name=f"{prefix}-access")
    assert dry != es.cluster.exists_component_template(name=f"{prefix}-settings")


def test_what_is_not_said_stays_as_it_was(
    elasticsearch_url: str, es: Elasticsearch, prefix: str
) -> None:
    """An option that is left out keeps the value of an earlier `setup`."""
    environment = {"ALB_LOGS_ES_URL": elasticsearch_url, "ALB_LOGS_INDEX_PREFIX": prefix}

    for options in (["--period", "month", "--shards", "2", "--replicas", "0"], ["--shards", "3"]):
        result = CliRunner().invoke(alb_logs, ["setup", *options], env=environment)
        assert 0 == result.exit_code, result.output

    expected = Layout(prefix=prefix, period=Period.MONTH, shards=3, replicas=0)
    assert expected == recorded_layout(es, prefix)


def test_what_the_cluster_lacks_is_told_and_left_out(es: Elasticsearch, wanted: Layout) -> None:
    """The minimal server lacks lifecycle, processors and a type: the plan says what follows."""
    plan = plan_setup(es, wanted)

    lifecycle, enrichment, constants = plan.lacks
    assert "no index lifecycle management: nothing deletes old indices" in lifecycle
    assert "no geoip, user_agent or rename processor" in enrichment
    assert "no constant_keyword type" in constants
    assert not [path for path in changes(plan) if path.startswith(("/_ilm", "/_ingest"))]
    apply_setup(es, plan)
    es.indices.create(index=f"{wanted.prefix}-access-2026.11.20")
    settings = settings_of(es, f"{wanted.prefix}-access-2026.11.20")
    assert not {"lifecycle", "default_pipeline"} & settings.keys()
    assert ("best_compression", "10s") == (settings["codec"], settings["refresh_interval"])


def test_an_index_gets_what_the_layout_says(es: Elasticsearch, wanted: Layout) -> None:
    """Shards, replicas, order and mapping of a new index are those of its template."""
    apply_setup(es, plan_setup(es, replace(wanted, shards=2, replicas=1)))
    index = f"{wanted.prefix}-connection-2026.11.20"

    es.indices.create(index=index, wait_for_active_shards=0)

    settings = settings_of(es, index)
    assert ("2", "1") == (settings["number_of_shards"], settings["number_of_replicas"])
    assert {"field": "@timestamp", "order": "desc"} == settings["sort"]
    mapping = es.indices.get_mapping(index=index)[index]["mappings"]
    assert "false" == mapping["dynamic"]
    assert {"schema": SCHEMA, "period": "day"} == {
        name: value for name, value in mapping["_meta"]["alb_logs"].items() if name != "digest"
    }
    assert "1" == settings_of(es, f"{wanted.prefix}{FIRST_LETTERS}")["number_of_replicas"]


@pytest.mark.parametrize("name", [*Kind, "dead-letter"])
def test_each_index_falls_under_its_own_template(store: Store, name: str) -> None:
    """Elasticsearch itself says which template takes an index, and that no other wants it."""
    index = f"{store.prefix}-{name}-" + ("000002" if name == "dead-letter" else "2026.11.20")
    parts = {part.path: part.body for part in all_parts(Layout(store.prefix, replicas=0), LACKS)}
    own = parts[f"/_component_template/{store.prefix}-mappings-{name}"]

    said = store.es.indices.simulate_index_template(name=index)

    assert [] == said["overlapping"]
    mapping = said["template"]["mappings"]
    assert own["template"]["mappings"]["properties"] == mapping["properties"]
    assert "best_compression" == said["template"]["settings"]["index"]["codec"]


@pytest.mark.parametrize("name", ["x-{}-access-2026.11.20", "{}-ledgers", "{}-dead-letters"])
def test_another_index_falls_under_no_template_of_ours(store: Store, name: str) -> None:
    """What only resembles our names is left alone."""
    said = store.es.indices.simulate_index_template(name=name.format(store.prefix))

    assert "template" not in said


# --- update --------------------------------------------------------------------------------------


def test_indices_of_the_first_schema_stay_in_use(
    es: Elasticsearch, wanted: Layout, elasticsearch_url: str
) -> None:
    """`setup` says that they keep their mapping, and documents still go there."""
    apply_setup(es, plan_setup(es, wanted))
    index, day = f"{wanted.prefix}-access-2026.11.20", "2026-11-20"
    old = {"alb_logs": {"schema": 1, "period": "day"}}
    es.indices.create(index=index)
    es.indices.put_mapping(index=index, meta=old)
    template = es.indices.get_index_template(name=f"{wanted.prefix}-access")
    body = template["index_templates"][0]["index_template"]
    mark = {**body["_meta"]["alb_logs"], "schema": 1, "digest": "another"}
    es.perform_request(
        "PUT",
        f"/_index_template/{wanted.prefix}-access",
        headers={"accept": "application/json", "content-type": "application/json"},
        body={**body, "_meta": {"alb_logs": mark}},
    )
    environment = {"ALB_LOGS_ES_URL": elasticsearch_url, "ALB_LOGS_INDEX_PREFIX": wanted.prefix}

    told = CliRunner().invoke(alb_logs, ["setup"], env=environment)
    outcome = ingest(open_store(es, wanted.prefix), text_of(lines_of(day, 3)))

    assert 0 == told.exit_code, told.output
    assert "Indices made with schema 1 keep their mapping" in told.output
    assert (None, 3) == (outcome.error, outcome.tally.indexed)
    assert old == es.indices.get_mapping(index=index)[index]["mappings"]["_meta"]
    assert () == plan_setup(es, wanted).notes


@pytest.mark.parametrize("option", ["replicas", "shards"])
def test_an_update_touches_what_an_option_changes(
    es: Elasticsearch, wanted: Layout, option: str
) -> None:
    """Other replicas or shards update the settings and the templates that record them."""
    apply_setup(es, plan_setup(es, wanted))
    both = {"replicas": replace(wanted, replicas=2), "shards": replace(wanted, shards=2)}
    other = both[option]

    plan = plan_setup(es, other)

    prefix = wanted.prefix
    assert {f"/_component_template/{prefix}-settings"} | {
        f"/_index_template/{prefix}-{name}" for name in (*Kind, "dead-letter", "ledger")
    } == changed(plan, Change.UPDATE)
    assert set() == changed(plan, Change.CREATE)
    apply_setup(es, plan)
    assert {Change.UNCHANGED} == set(changes(plan_setup(es, other)).values())
    assert other == recorded_layout(es, prefix)
    index = f"{prefix}-access-2026.11.20"
    es.indices.create(index=index, wait_for_active_shards=0)
    assert "2" == settings_of(es, index)[f"number_of_{option}"]


@pytest.mark.parametrize(
    "path",
    [
        "/_component_template/{}-mappings-access",
        "/_index_template/{}-access",
        f"/{{}}{FIRST_LETTERS}",
    ],
)
def test_what_is_missing_is_made_again(es: Elasticsearch, wanted: Layout, path: str) -> None:
    """A part that someone removed is the only one that is created, and then all is in place."""
    apply_setup(es, plan_setup(es, wanted))
    path = path.format(wanted.prefix)
    if path.startswith("/_component"):  # those that are in use cannot be removed
        es.indices.delete_index_template(name=f"{wanted.prefix}-access")
    es.perform_request("DELETE", path, headers={"accept": "application/json"})

    plan = plan_setup(es, wanted)

    assert path in changed(plan, Change.CREATE)
    apply_setup(es, plan)
    assert {Change.UNCHANGED} == set(changes(plan_setup(es, wanted)).values())


def test_foreign_dead_letters_become_ours(es: Elasticsearch, wanted: Layout) -> None:
    """An alias by that name that `setup` did not make lets no line in, until `setup` was run."""
    alias, index = f"{wanted.prefix}-dead-letter", f"{wanted.prefix}{FIRST_LETTERS}"
    es.indices.create(index=index, aliases={alias: {"is_write_index": True}})

    with pytest.raises(ConfigError, match="run `alb-logs setup`"):
        open_store(es, wanted.prefix)
    plan = plan_setup(es, wanted)

    assert {f"/{index}"} == changed(plan, Change.UPDATE)
    apply_setup(es, plan)
    assert {Change.UNCHANGED} == set(changes(plan_setup(es, wanted)).values())
    assert Period.DAY is open_store(es, wanted.prefix).period
    mapping = es.indices.get_mapping(index=index)[index]["mappings"]
    assert "false" == mapping["dynamic"]
    assert "long" == mapping["properties"]["log"]["properties"]["offset"]["type"]


# --- the dead letters ----------------------------------------------------------------------------


def test_an_index_by_the_name_of_the_alias_is_refused(es: Elasticsearch, wanted: Layout) -> None:
    """A single index is deleted as a whole or not at all: `setup` says what to do instead."""
    es.indices.create(index=f"{wanted.prefix}-dead-letter")

    with pytest.raises(
        ConfigError, match=r"must be an alias .*delete it, and run `alb-logs setup`"
    ):
        plan_setup(es, wanted)


def test_the_lifecycle_may_roll_the_dead_letters_over(es: Elasticsearch, store: Store) -> None:
    """
    After the lifecycle's work the same alias takes dead letters, and reads those before.

    A line that is rejected again is the same dead letter within an index, and again one behind it.
    """
    lines = [b"no log line 1", b"no log line 2"]
    ingest(store, text_of(lines))

    rolled = es.indices.rollover(alias=store.dead_letters)
    again = ingest(open_store(es, store.prefix), text_of(lines))

    assert f"{store.prefix}-dead-letter-000002" == rolled["new_index"]
    assert 2 == again.tally.rejected
    assert ids_of(lines) == documents_in(es, store.dead_letters).keys()
    assert 4 == es.count(index=store.dead_letters)["count"]
    assert 12 == len(changed(plan_setup(es, Layout(store.prefix, replicas=0)), Change.UNCHANGED))
    es.indices.delete(index=f"{store.prefix}{FIRST_LETTERS}")
    assert ids_of(lines) == documents_in(es, store.dead_letters).keys()
    assert 12 == len(changed(plan_setup(es, Layout(store.prefix, replicas=0)), Change.UNCHANGED))


def test_no_dead_letter_makes_an_index(es: Elasticsearch, wanted: Layout) -> None:
    """If the dead letters are gone, an object with a bad line fails; the error says to set up."""
    apply_setup(es, plan_setup(es, wanted))
    store = open_store(es, wanted.prefix)
    es.indices.delete(index=f"{wanted.prefix}{FIRST_LETTERS}")

    failed = ingest(store, text_of([b"no log line"]))

    assert "The dead letters are gone: run `alb-logs setup`" in str(failed.error)
    assert not es.indices.exists(index=store.dead_letters)
    apply_setup(es, plan_setup(es, wanted))
    assert 1 == ingest(store, text_of([b"no log line"])).tally.rejected


# --- the period ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("now", "then"), [("day", "month"), ("month", "day")])
def test_another_period_is_refused(es: Elasticsearch, wanted: Layout, now: str, then: str) -> None:
    """Cutting indices otherwise would index replayed lines twice: nothing changes without force."""
    apply_setup(es, plan_setup(es, replace(wanted, period=Period(now))))

    with pytest.raises(ConfigError, match=f"index of this cluster covers a {now};.* add --force"):
        plan_setup(es, replace(wanted, period=Period(then)))

    assert now == open_store(es, wanted.prefix).period


def test_another_period_can_be_forced(es: Elasticsearch, wanted: Layout) -> None:
    """With force the other period applies to every later line and every later `setup`."""
    apply_setup(es, plan_setup(es, wanted))
    other = replace(wanted, period=Period.MONTH)

    apply_setup(es, plan_setup(es, other, force=True))

    assert Period.MONTH is open_store(es, wanted.prefix).period
    assert other == recorded_layout(es, wanted.prefix)
    assert {Change.UNCHANGED} == set(changes(plan_setup(es, other)).values())


def test_a_month_holds_its_days_in_one_index(es: Elasticsearch) -> None:
    """With the period month, lines of many days go to the first's index, each once."""
    days = [date(2026, 2, 1) + timedelta(number) for number in (0, 13, 27, 28, 58)]
    lines = [line for day in days for line in lines_of(day.isoformat(), 2)]

    with prepared(es, Layout(period=Period.MONTH, replicas=0)) as store:
        first, second = [ingest(store, text_of(lines)) for _ in range(2)]

        assert (10, 10) == (first.tally.lines, first.tally.indexed)
        assert (10, 10) == (second.tally.lines, second.tally.duplicates)
        for month, own in (("02", lines[:6]), ("03", lines[6:])):
            found = documents_in(es, f"{store.prefix}-access-2026.{month}.01")
            assert ids_of(own) == found.keys()
        assert 2 == len(es.indices.get(index=f"{store.prefix}-access-*"))


# --- what is recorded ----------------------------------------------------------------------------


def test_nothing_is_recorded_before(es: Elasticsearch, prefix: str) -> None:
    """Without an earlier `setup` there is no layout, and no store to open."""
    assert recorded_layout(es, prefix) is None
    with pytest.raises(ConfigError, match=f"not prepared for the prefix '{prefix}': run `alb-logs"):
        open_store(es, prefix)


def test_the_layout_is_recorded(es: Elasticsearch, wanted: Layout) -> None:
    """All options of `setup` come back, except a retention that this server cannot keep."""
    told = replace(wanted, period=Period.MONTH, shards=4, replicas=2)

    apply_setup(es, plan_setup(es, replace(told, retention_days=12, letter_retention_days=2)))

    assert told == recorded_layout(es, wanted.prefix)


# --- a cluster with lifecycle and processors -----------------------------------------------------


class Richer(Transport):
    """
    Stand before the real server and answer for what its minimal distribution lacks.

    Lifecycle policies are kept, and given back in the shape that Elastic documents; processors and
    types are known. A `trouble` answers requests for policies instead, where it is given.
    """

    def __init__(self, es: Elasticsearch, trouble: TransportApiResponse | None = None) -> None:
        self._real = es.transport
        self.node_pool = es.transport.node_pool
        self._trouble = trouble
        self._policies: dict[str, Json] = {}
        self.es = Elasticsearch(_transport=self)

    def perform_request(
        self,
        method: str,
        target: str,
        *,
        body: Any = None,  # noqa: ANN401  whatever elasticsearch-py gives
        **options: Any,  # noqa: ANN401
    ) -> TransportApiResponse:
        """Answer for policies and processors, hand on the rest."""
        if target.startswith("/_ilm/policy/"):
            return self._trouble or self._policy(method, target.rpartition("/")[2], body)
        if target in {"/_ingest/pipeline/_simulate", "/_index_template/_simulate"}:
            return answer(200, {"docs": [{"doc": {"_source": {}}}]})
        return self._real.perform_request(method, target, body=body, **options)

    def _policy(self, method: str, name: str, body: Json) -> TransportApiResponse:
        if method == "PUT":
            self._policies[name] = body["policy"]
            return answer(200, {"acknowledged": True})
        if name not in self._policies:
            error = {"type": "resource_not_found_exception", "reason": "Lifecycle policy not found"}
            return answer(404, {"error": error, "status": 404})
        kept = {"version": 1, "modified_date": "2026-11-20", "policy": self._policies[name]}
        return answer(200, {name: {**kept, "in_use_by": {"indices": []}}})


def install(richer: Richer, plan: Plan, what: str) -> None:
    """Install the parts of one sort only: the real server does not take the others."""
    apply_setup(richer.es, replace(plan, parts=tuple(p for p in plan.parts if p.what == what)))


def test_a_richer_cluster_gets_everything(es: Elasticsearch, wanted: Layout) -> None:
    """Where lifecycle and processors are known, nothing is left out."""
    plan = plan_setup(Richer(es).es, wanted)

    assert () == plan.lacks
    assert [(part.path, part.body) for part in all_parts(wanted)] == [
        (part.path, part.body) for part in plan.parts
    ]


@pytest.mark.parametrize(
    ("name", "days"),
    [
        pytest.param("", {"retention_days": 30}, id="of documents"),
        pytest.param("-dead-letter", {"letter_retention_days": 60}, id="of dead letters"),
    ],
)
def test_another_retention_is_an_update_of_its_policy(
    es: Elasticsearch, wanted: Layout, name: str, days: dict[str, Any]
) -> None:
    """The policy is known again; other days update it, and no other part."""
    richer = Richer(es)
    policy = f"/_ilm/policy/{wanted.prefix}{name}"
    install(richer, plan_setup(richer.es, wanted), "lifecycle policy")

    same = plan_setup(richer.es, wanted)
    other = plan_setup(richer.es, replace(wanted, **days))

    assert Change.UNCHANGED is changes(same)[policy]
    assert policy in changed(other, Change.UPDATE)
    others = {path for path in changed(other, Change.UPDATE) if path.startswith("/_ilm")} - {policy}
    assert others <= {f"/_ilm/policy/{wanted.prefix}-ledger"}  # which outlives the documents
    install(richer, other, "lifecycle policy")
    assert Change.UPDATE is changes(plan_setup(richer.es, wanted))[policy]


def test_retention_is_recorded_in_the_policy(es: Elasticsearch, wanted: Layout) -> None:
    """What was kept before is kept on: the days come back from the policy itself."""
    richer = Richer(es)
    told = replace(wanted, retention_days=400, letter_retention_days=200)
    apply_setup(es, plan_setup(es, told))
    install(richer, plan_setup(richer.es, told), "lifecycle policy")

    assert told == recorded_layout(richer.es, wanted.prefix)


@pytest.mark.parametrize(
    ("delete", "days"),
    [
        pytest.param({"delete": {"min_age": "365d"}}, 365, id="days"),
        pytest.param({"delete": {"min_age": "48h"}}, None, id="not in days"),
        pytest.param({"delete": {}}, None, id="no age"),
        pytest.param({}, None, id="no deletion"),
    ],
)
def test_a_policy_made_by_hand_is_read(
    es: Elasticsearch, wanted: Layout, delete: Json, days: int | None
) -> None:
    """An age in days is taken over; of any other form `setup` knows no days."""
    richer = Richer(es)
    apply_setup(es, plan_setup(es, wanted))
    body = {"policy": {"phases": delete}}
    for name in (wanted.prefix, f"{wanted.prefix}-dead-letter"):
        richer.es.perform_request("PUT", f"/_ilm/policy/{name}", body=body)

    expected = replace(
        wanted,
        retention_days=days or RETENTION_DAYS,
        letter_retention_days=days or LETTER_RETENTION_DAYS,
    )
    assert expected == recorded_layout(richer.es, wanted.prefix)


TROUBLES = {503: SinkUnavailableError, 429: SinkUnavailableError, 403: ConfigError}


@pytest.mark.parametrize("status", TROUBLES)
def test_a_policy_that_cannot_be_read_is_no_missing_policy(
    es: Elasticsearch, wanted: Layout, status: int
) -> None:
    """If it passed for missing, its retention would be set back to 90 days, and data deleted."""
    apply_setup(es, plan_setup(es, wanted))
    why = {"type": "some_exception", "reason": "not now"}
    richer = Richer(es, answer(status, {"error": {**why, "root_cause": [why]}, "status": status}))

    with pytest.raises(TROUBLES[status], match="not now"):
        plan_setup(richer.es, wanted)
    with pytest.raises(TROUBLES[status], match="not now"):
        recorded_layout(richer.es, wanted.prefix)


# --- clusters that cannot be used ---------------------------------------------------------------


def client_of(url: str) -> Elasticsearch:
    """Make a client as the product does."""
    return make_elasticsearch(Config(es_url=(url,)))


@pytest.mark.parametrize(
    "step",
    [
        lambda es: open_store(es, "alb-logs"),
        lambda es: plan_setup(es, Layout()),
        lambda es: recorded_layout(es, "alb-logs"),
    ],
    ids=["open", "plan", "recorded"],
)
def test_where_nobody_listens_the_address_is_in_doubt(step: Callable[..., object]) -> None:
    """No connection: the error says why, and which setting may be wrong."""
    with (
        client_of(f"http://{HOST}:{free_port()}") as es,
        pytest.raises(SinkUnavailableError, match=r"[Cc]onnection refused.* ALB_LOGS_ES_URL"),
    ):
        step(es)


@pytest.mark.parametrize("status", [200, 404, 405])
def test_another_server_is_not_taken_for_elasticsearch(status: int) -> None:
    """What answers and is not Elasticsearch is a wrong setting, also where it says 404."""
    body, headers = json.dumps({"status": "green"}).encode(), {"content-type": "application/json"}
    with (
        web_server(status, body, headers) as url,
        client_of(url) as es,
        pytest.raises(ConfigError, match="ALB_LOGS_ES_URL leads to something that is not"),
    ):
        open_store(es, "alb-logs")


def test_a_proxy_that_is_busy_is_worth_another_try() -> None:
    """A 502 with a page of HTML is the cluster not being ready, and says so."""
    with (
        web_server(502, b"<h1>Bad Gateway</h1>", {"content-type": "text/html"}) as url,
        client_of(url) as es,
        pytest.raises(SinkUnavailableError, match=r"not ready: .*502"),
    ):
        open_store(es, "alb-logs")
