"""`alb-logs setup --kibana-url`: the cluster and Kibana in one call, and what people are told."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from docs.generate.files import ROOT
from pipeline.clients.elasticsearch import make_elasticsearch
from pipeline.cluster.firsts import create_first_indices
from pipeline.cluster.templates import Layout
from pipeline.config import Config
from pipeline.dashboards.views import VIEWS
from tests.support.commands import Run
from tests.support.kibana_server import FakeKibana, kibana_server
from tests.support.secure import run
from tests.support.web import web_server

DASHBOARDS = ("overview", "log-monitor", "errors", "security", "targets", "pipeline")


@pytest.fixture
def kibana() -> Iterator[FakeKibana]:
    """Yield a Kibana that takes everything from everybody."""
    with kibana_server(FakeKibana(spaces=("default", "ops"))) as server:
        yield server


@pytest.fixture
def settings(elasticsearch_url: str, prefix: str) -> dict[str, str]:
    """Return the settings of this test's own indices."""
    return {"ALB_LOGS_ES_URL": elasticsearch_url, "ALB_LOGS_INDEX_PREFIX": prefix}


def setup(settings: dict[str, str], *arguments: str) -> Run:
    """Run the command, with no replica."""
    return run(settings, "setup", "--replicas", "0", *arguments)


def dashboards_in(kibana: FakeKibana, space: str = "default") -> set[str]:
    """Return the ids of a space's dashboards."""
    return {id_ for where, kind, id_ in kibana.saved if (where, kind) == (space, "dashboard")}


@pytest.mark.server
def test_everything_is_there_after_one_call(
    es: Elasticsearch, settings: dict[str, str], prefix: str, kibana: FakeKibana
) -> None:
    """Templates and dashboards are installed; where to look is said."""
    result = setup(settings, "--kibana-url", kibana.url)

    assert (0, "") == (result.code, result.err)
    assert {f"{prefix}-{name}" for name in DASHBOARDS} == dashboards_in(kibana)
    assert es.indices.exists_index_template(name=f"{prefix}-access")
    *_, said, where = result.out.splitlines()
    assert f"{len(kibana.saved)} saved objects imported into Kibana 8.12." == said
    assert f"Open {kibana.url}/app/dashboards#/view/{prefix}-overview" == where


@pytest.mark.server
def test_there_is_an_index_of_each_kind(
    es: Elasticsearch, settings: dict[str, str], prefix: str, kibana: FakeKibana
) -> None:
    """Before the first line no panel lacks its fields: each kind has an index, empty and mapped."""
    for _ in range(2):
        assert 0 == setup(settings, "--kibana-url", kibana.url).code

    for view in VIEWS:
        (index,) = es.indices.get(index=view.pattern(prefix)).values()
        assert index["mappings"]["properties"]["@timestamp"] == {"type": "date"}
        assert 0 == es.count(index=view.pattern(prefix))["count"]


@pytest.mark.server
def test_without_the_right_to_create_indices(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], kibana: FakeKibana
) -> None:
    """The dashboards are imported all the same, and it is said what they show until then."""
    headers = {"x-elastic-product": "Elasticsearch", "content-type": "application/json"}
    with web_server(403, b'{"error":{"type":"security_exception"},"status":403}', headers) as url:
        refusing = make_elasticsearch(Config(es_url=(url,)))
        assert not create_first_indices(refusing, Layout(prefix="any"))
    monkeypatch.setattr("pipeline.cli.setup.create_first_indices", lambda *_: False)

    result = setup(settings, "--kibana-url", kibana.url)

    assert 0 == result.code
    assert result.said.startswith("this user may not create indices: panels show errors until")


@pytest.mark.server
def test_monitors_are_pinned_in_a_space(
    settings: dict[str, str], prefix: str, kibana: FakeKibana
) -> None:
    """Each --monitor adds a dashboard of one load balancer, with its title or a title of ours."""
    monitors = ("--monitor", "Shop=frontend-alb", "--monitor", "backend-alb")

    result = setup(settings, "--kibana-url", kibana.url, "--kibana-space", "ops", *monitors)

    assert (0, "") == (result.code, result.err)
    titles = {
        id_: each["attributes"]["title"]
        for (space, kind, id_), each in kibana.saved.items()
        if (space, kind) == ("ops", "dashboard") and id_.endswith("-alb")
    }
    assert {
        f"{prefix}-ops-log-monitor-frontend-alb": "Shop",
        f"{prefix}-ops-log-monitor-backend-alb": "ALB log monitor: backend-alb",
    } == titles


@pytest.mark.server
def test_a_dry_run_only_looks(
    es: Elasticsearch, settings: dict[str, str], prefix: str, kibana: FakeKibana
) -> None:
    """Kibana is asked whether it is one; nothing is imported."""
    result = setup(settings, "--kibana-url", kibana.url, "--dry-run")

    assert result.out.endswith("Kibana 8.12 answers; the dashboards were not imported.\n")
    assert ({}, 0) == (kibana.saved, kibana.imports)
    assert not es.indices.exists_index_template(name=f"{prefix}-access")


@pytest.mark.server
def test_machines_are_told_too(settings: dict[str, str], kibana: FakeKibana) -> None:
    """--json has the version, the address and the number of objects."""
    result = setup(settings, "--kibana-url", kibana.url, "--json")

    told = json.loads(result.out)["kibana"]
    assert ("8.12", len(kibana.saved)) == (told["version"], told["objects"])
    assert told["url"].startswith(kibana.url)


@pytest.mark.server
def test_an_id_that_another_space_has_is_told(
    settings: dict[str, str], prefix: str, kibana: FakeKibana
) -> None:
    """Which object has which id instead is said."""
    kibana.saved["other", "dashboard", f"{prefix}-overview"] = {}

    result = setup(settings, "--kibana-url", kibana.url)

    assert f"In this space {prefix}-overview is random-{prefix}-overview, for" in result.out


@pytest.mark.server
def test_each_space_has_its_own_ids(
    settings: dict[str, str], prefix: str, kibana: FakeKibana
) -> None:
    """Two spaces of one Kibana get the dashboards, and no object a random id."""
    for space in ("default", "ops", "ops"):
        result = setup(settings, "--kibana-url", kibana.url, "--kibana-space", space)
        assert "In this space" not in result.out

    assert {f"{prefix}-{name}" for name in DASHBOARDS} == dashboards_in(kibana)
    assert {f"{prefix}-ops-{name}" for name in DASHBOARDS} == dashboards_in(kibana, "ops")


@pytest.mark.server
@pytest.mark.parametrize(
    ("broken", "code"),
    [
        pytest.param({"version": "8.2.0"}, 2, id="too old"),
        pytest.param({"authorization": "ApiKey x"}, 2, id="401"),
        pytest.param({"not_ready": True}, 1, id="503"),
    ],
)
def test_a_kibana_that_is_not_right_changes_nothing(
    es: Elasticsearch, settings: dict[str, str], broken: dict[str, Any], code: int
) -> None:
    """It is looked at first: the cluster is as it was, and one sentence says why."""
    with kibana_server(FakeKibana(**broken)) as kibana:
        result = setup(settings, "--kibana-url", kibana.url)

    assert (code, "") == (result.code, result.out)
    assert result.said.startswith("Kibana ")
    prefix = settings["ALB_LOGS_INDEX_PREFIX"]
    assert not es.indices.exists_index_template(name=f"{prefix}-access")


@pytest.mark.server
def test_a_refused_import_is_a_failure(settings: dict[str, str], kibana: FakeKibana) -> None:
    """The cluster is prepared, and the command says what Kibana refused."""
    kibana.privileged = False

    result = setup(settings, "--kibana-url", kibana.url)

    assert 2 == result.code
    assert result.said.startswith("Kibana does not allow access to saved objects")


# --- without a server ----------------------------------------------------------------------------


def test_printing_contacts_nothing() -> None:
    """--print-dashboards writes the file that is checked in, without any setting."""
    result = run({}, "setup", "--print-dashboards")

    checked_in = ROOT / "index_templates" / "kibana" / "dashboards.ndjson"
    assert (0, "") == (result.code, result.err)
    assert checked_in.read_text(encoding="utf-8") == result.out


def test_monitors_are_printed_too() -> None:
    """The monitor of one load balancer follows the others."""
    result = run({}, "setup", "--print-dashboards", "--monitor", "frontend-alb")

    checked_in = ROOT / "index_templates" / "kibana" / "frontend-alb.ndjson"
    assert result.out.endswith(checked_in.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "given", ["Shop=", "=", "Shop=my alb", "app/frontend-alb/50dc6c495c0c9188"]
)
def test_a_monitor_is_of_a_load_balancer(given: str) -> None:
    """What is no name of one is refused, with an example."""
    result = run({}, "setup", "--print-dashboards", "--monitor", given)

    assert 2 == result.code
    assert "is no name of a load balancer: write TITLE=frontend-alb" in " ".join(result.err.split())


def test_a_monitor_needs_a_kibana() -> None:
    """Without a place for it, --monitor is a wrong call."""
    result = run({"ALB_LOGS_ES_URL": "http://127.0.0.1:1"}, "setup", "--monitor", "frontend-alb")

    assert 2 == result.code
    assert "--monitor needs --kibana-url or --print-dashboards" in result.err
