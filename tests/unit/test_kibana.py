"""Importing into Kibana: what is sent, what is believed, and the sentence for each failure."""

import json
import ssl
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devstack.process import HOST, free_port
from pipeline.clients.kibana import Imported, Kibana
from pipeline.config import Config, variable_of
from pipeline.dashboards.catalog import dashboards_file, monitor_file
from pipeline.dashboards.saved import Writer
from pipeline.errors import ClusterRefusedError, ConfigError, PipelineError, SinkUnavailableError
from tests.support.kibana_server import FakeKibana, kibana_server
from tests.support.secure import Authority, new_key, private
from tests.support.web import web_server

KEY = b64encode(b"id:key").decode()
OBJECTS = dashboards_file(Writer())
COUNT = len(OBJECTS.splitlines())


@pytest.fixture
def kibana() -> Iterator[FakeKibana]:
    """Yield a Kibana that takes everything from everybody."""
    with kibana_server(FakeKibana(spaces=("default", "ops"))) as server:
        yield server


def import_into(kibana: FakeKibana, space: str = "default", **settings: str) -> Imported:
    """Import all objects with these settings."""
    config = Config.from_env({variable_of(name): text for name, text in settings.items()})
    return Kibana(kibana.url, space, config).import_objects(OBJECTS)


def sentence(kind: type[PipelineError], kibana: FakeKibana, space: str = "default") -> str:
    """Return why an import fails."""
    with pytest.raises(kind) as failure:
        import_into(kibana, space)
    return str(failure.value)


def test_everything_is_imported(kibana: FakeKibana) -> None:
    """One request brings every object into the default space, under its own id."""
    assert Imported(COUNT) == import_into(kibana)

    assert 1 == kibana.imports
    sent = {("default", each["type"], each["id"]): each for each in map(json.loads, lines())}
    assert sent == kibana.saved


def lines() -> list[str]:
    """Return the lines of the file."""
    return OBJECTS.splitlines()


def test_importing_again_changes_nothing(kibana: FakeKibana) -> None:
    """Ids stay, so the second import replaces each object by an equal one."""
    import_into(kibana)
    before = dict(kibana.saved)

    assert Imported(COUNT) == import_into(kibana)
    assert before == kibana.saved


def test_what_users_made_is_left_alone(kibana: FakeKibana) -> None:
    """A copy under another id is neither replaced nor counted."""
    mine = ("default", "dashboard", "my-copy-of-the-overview")
    kibana.saved[mine] = {"attributes": {"title": "Mine"}}

    import_into(kibana)

    assert {"attributes": {"title": "Mine"}} == kibana.saved[mine]


def test_a_space_gets_its_own_objects(kibana: FakeKibana) -> None:
    """With a space, all is there and nothing in the default one."""
    import_into(kibana, "ops")

    assert {"ops"} == {space for space, _, _ in kibana.saved}
    url = Kibana(kibana.url, "ops", Config()).dashboard_url("x")
    assert f"{kibana.url}/s/ops/app/dashboards#/view/x" == url


@pytest.mark.parametrize("space", ["nope", "../api", "No Space"])
def test_a_space_that_is_absent(kibana: FakeKibana, space: str) -> None:
    """Kibana would import into nowhere: nothing is sent, and the space is named."""
    said = sentence(ConfigError, kibana, space)

    assert said.startswith(f"Kibana has no space {space!r}: create it there, or correct")
    assert 0 == kibana.imports


def test_a_monitor_needs_the_data_views(kibana: FakeKibana) -> None:
    """HTTP 200 is no success: what is missing is named."""
    objects = monitor_file(Writer(), "Shop", "shop-alb")

    with pytest.raises(ClusterRefusedError) as failure:
        Kibana(kibana.url, "default", Config()).import_objects(objects)

    said = str(failure.value)
    assert said.startswith("Kibana imported 0 objects and refused 1: dashboard alb-logs-log-monit")
    assert "which Kibana lacks: run setup again" in said


def test_a_conflict(kibana: FakeKibana) -> None:
    """An id that Kibana cannot decide about is named, with what to do."""
    kibana.conflicts = ("alb-logs-overview",)

    said = sentence(ClusterRefusedError, kibana)

    assert said == (
        f"Kibana imported {COUNT - 1} objects and refused 1: dashboard alb-logs-overview: another "
        "object has this id: delete or rename it in Kibana, and run setup again"
    )


def test_many_errors_are_not_all_told(kibana: FakeKibana) -> None:
    """The first three are, and how many more there are."""
    kibana.conflicts = tuple(json.loads(line)["id"] for line in lines()[:7])

    said = sentence(ClusterRefusedError, kibana)

    assert said.endswith("and run setup again, and 4 more")


def test_an_id_that_another_space_has(kibana: FakeKibana) -> None:
    """Kibana gives an object another id where another space has its own: that is told."""
    kibana.saved["other", "dashboard", "alb-logs-overview"] = {}

    renamed = (("alb-logs-overview", "random-alb-logs-overview"),)
    assert Imported(COUNT, renamed) == import_into(kibana)


@pytest.mark.parametrize("key", [{"es_api_key": KEY}, {"es_username": "u", "es_password": "ä"}])
def test_credentials_are_those_of_elasticsearch(kibana: FakeKibana, key: dict[str, str]) -> None:
    """The API key or the user of Elasticsearch is who asks Kibana."""
    basic = "Basic " + b64encode("u:ä".encode()).decode()
    kibana.authorization = f"ApiKey {KEY}" if "es_api_key" in key else basic

    assert COUNT == import_into(kibana, **key).count


def test_wrong_credentials(kibana: FakeKibana) -> None:
    """401 names the settings."""
    kibana.authorization = "ApiKey another"

    said = sentence(ConfigError, kibana)

    assert said.startswith("Kibana does not accept who asks: set ALB_LOGS_ES_API_KEY, or")


def test_missing_privileges(kibana: FakeKibana) -> None:
    """403 names what the user needs."""
    kibana.privileged = False

    assert "needs the Kibana privileges All for Saved Objects Management" in sentence(
        ConfigError, kibana
    )


@pytest.mark.parametrize("version", ["7.17.20", "8.0.1", "8.8.2"])
def test_a_version_that_is_too_old(kibana: FakeKibana, version: str) -> None:
    """It is refused before anything is sent."""
    kibana.version = version

    said = sentence(ConfigError, kibana)

    assert said == f"Kibana {version} is too old: the dashboards need 8.9 or later"
    assert 0 == kibana.imports


@pytest.mark.parametrize("version", ["8.9.0", "8.12.2", "8.19.8", "9.1.0", "10.0.0-SNAPSHOT"])
def test_versions_that_are_new_enough(kibana: FakeKibana, version: str) -> None:
    """Newer versions bring the objects up to date themselves."""
    kibana.version = version

    assert COUNT == import_into(kibana).count


def test_objects_that_are_too_new(kibana: FakeKibana) -> None:
    """A Kibana that knows only older dashboards says so, and its words are told."""
    kibana.last_dashboard = (8, 7, 0)

    said = sentence(ConfigError, kibana)

    assert said.startswith("Kibana is too old for these dashboards: update it. It says: Document")


def test_a_file_that_is_too_large(kibana: FakeKibana) -> None:
    """The settings that limit it are named."""
    kibana.most_bytes = 1_000

    assert "raise savedObjects.maxImportPayloadBytes" in sentence(ConfigError, kibana)


def test_a_kibana_that_starts(kibana: FakeKibana) -> None:
    """It may be ready later: that is no wrong setting."""
    kibana.not_ready = True

    assert "is not ready (HTTP 503): try again" in sentence(SinkUnavailableError, kibana)


def test_nobody_answers() -> None:
    """The address is named."""
    url = f"http://{HOST}:{free_port()}"

    with pytest.raises(SinkUnavailableError, match=f"Kibana does not answer at {url}: check"):
        Kibana(url, "default", Config())


@pytest.mark.parametrize(
    ("status", "body", "headers", "said"),
    [
        pytest.param(200, b"<html>hello", {}, "no Kibana answers at", id="a website"),
        pytest.param(200, b"[]", {}, "no Kibana answers at", id="another API"),
        pytest.param(404, b"not found", {}, "(HTTP 404): correct --kibana-url", id="no such path"),
        pytest.param(
            *(302, b"", {"location": "/kb/login"}),
            "leads to /kb/login: write Kibana's whole address",
            id="base path",
        ),
        pytest.param(
            *(400, b'{"error":"no handler found for uri [/api/status]"}', {}),
            "Elasticsearch answers at",
            id="Elasticsearch",
        ),
        pytest.param(
            *(200, b'{"status":{"overall":{"level":"available"}}}', {"kbn-name": "kb"}),
            "does not tell its version to whom it does not know: set ALB_LOGS_ES_API_KEY",
            id="anonymous status",
        ),
    ],
)
def test_another_server(status: int, body: bytes, headers: dict[str, str], said: str) -> None:
    """What answers is recognized where possible, and the address is what is wrong."""
    with web_server(status, body, headers) as url, pytest.raises(ConfigError) as failure:
        Kibana(url, "default", Config())

    assert said in str(failure.value)


@pytest.mark.parametrize("path", ["", "/", "/kb", "/kb/"])
def test_a_base_path_is_kept(path: str) -> None:
    """A Kibana below a path is asked there, with and without a slash at the end."""
    with kibana_server(FakeKibana(base_path=path.rstrip("/"))) as kibana:
        address = kibana.url.removesuffix(kibana.base_path) + path

        assert COUNT == Kibana(address, "default", Config()).import_objects(OBJECTS).count


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("kibana.example.org", "is not an address: write https://kibana.example.org:5601"),
        ("ftp://kibana.example.org", "is not an address"),
        ("https://", "is not an address"),
        ("https://kibana.example.org:no", "is not an address"),
        ("https://elastic:secret@kibana.example.org", "contains a user or a password"),
        ("http://kibana.example.org", "everyone on the way could read the key"),
    ],
)
def test_an_address_that_is_not_asked(url: str, said: str) -> None:
    """No request is made, and no secret repeated."""
    with pytest.raises(ConfigError) as failure:
        Kibana(url, "default", Config(es_api_key=KEY))

    assert said in str(failure.value)
    assert "secret" not in str(failure.value)


@pytest.fixture
def trusted(tmp_path: Path) -> Iterator[tuple[FakeKibana, Path]]:
    """Yield a Kibana with TLS, and the file of the authority that signed its certificate."""
    authority, key = Authority(new_key()), new_key()
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    (tmp_path / "server.pem").write_bytes(authority.vouch(key) + private(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    with kibana_server(FakeKibana(), context) as kibana:
        yield kibana, tmp_path / "ca.pem"


def test_tls(trusted: tuple[FakeKibana, Path]) -> None:
    """The authority that is trusted for Elasticsearch is trusted for Kibana."""
    kibana, authority = trusted

    assert COUNT == import_into(kibana, es_ca_cert=str(authority)).count


def test_an_unknown_authority(trusted: tuple[FakeKibana, Path]) -> None:
    """A certificate that nobody trusts names the setting."""
    kibana, _ = trusted

    assert "is not trusted: set ALB_LOGS_ES_CA_CERT" in sentence(ConfigError, kibana)


def test_a_request_that_is_refused(kibana: FakeKibana) -> None:
    """Any other status is told with Kibana's own words."""
    kibana.status, kibana.says = 400, {"message": "imports are closed"}

    said = sentence(ClusterRefusedError, kibana)

    assert said == "Kibana refuses the import (HTTP 400): imports are closed"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param({"success": False}, "refused 0: ", id="no reason"),
        pytest.param(
            {"errors": [{"type": "lens", "id": "x", "error": {"type": "unsupported_type"}}]},
            "lens x: this Kibana does not know its type: update Kibana",
            id="type",
        ),
        pytest.param(
            {"errors": [{"type": "tag", "id": "x", "error": {"type": "unknown", "message": "?!"}}]},
            "tag x: ?!",
            id="unknown",
        ),
        pytest.param(
            {"errors": [{"type": "tag", "id": "x", "error": {}}]},
            "tag x: it does not say why",
            id="nothing",
        ),
    ],
)
def test_other_errors(kibana: FakeKibana, answer: dict[str, Any], said: str) -> None:
    """Whatever Kibana says of an object is told."""
    kibana.says = answer

    assert said in sentence(ClusterRefusedError, kibana)
