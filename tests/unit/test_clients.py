"""The clients that settings ask for: where they call, how they authenticate, what they say."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import boto3
import pytest
from aws_lambda_powertools.utilities import parameters
from elastic_transport import ApiResponse
from elasticsearch import ApiError, Elasticsearch
from moto import mock_aws

from pipeline.clients import elasticsearch as clients
from pipeline.clients.aws import make_s3, make_sqs, make_sts
from pipeline.clients.elasticsearch import make_elasticsearch
from pipeline.config import Config
from pipeline.errors import ConfigError

PARAMETER = "/alb-logs/api-key"
SECRET = "alb-logs-api-key"  # noqa: S105  its name
HEADERS = {"accept": "application/json", "content-type": "application/json"}


@dataclass
class Place:
    """A server that answers everything with one status and remembers what it was sent."""

    url: str
    status: int = 200
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def place() -> Iterator[Place]:
    """Give a server that stands where Elasticsearch is thought to be."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            seen.paths.append(self.path)
            seen.headers.append({name.lower(): text for name, text in self.headers.items()})
            self.send_response(seen.status)
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        seen = Place(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield seen
        server.shutdown()
        thread.join()


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Give an empty AWS, and a process that has fetched no secret yet."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    for variable in ("AWS_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(variable, raising=False)
    parameters.clear_caches()  # type: ignore[no-untyped-call]
    with mock_aws():
        yield
    parameters.clear_caches()  # type: ignore[no-untyped-call]


def call(es: Elasticsearch, body: object = None) -> ApiResponse[object]:
    """Make one request, as the rooms make them."""
    with es:
        return es.perform_request("POST", "/_bulk", headers=HEADERS, body=body or {})


def authorization(config: Config, place: Place) -> str | None:
    """Give what a client of these settings authenticates with."""
    call(make_elasticsearch(config))
    return place.headers[-1].get("authorization")


def put_parameter(value: str) -> None:
    """Store a key in SSM, encrypted."""
    boto3.client("ssm").put_parameter(
        Name=PARAMETER, Value=value, Type="SecureString", Overwrite=True
    )


# --- where ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://es.example.org", "es.example.org", 443, ""),
        ("http://es.example.org", "es.example.org", 80, ""),
        ("https://es.example.org:9200", "es.example.org", 9200, ""),
        ("https://es.example.org/logs/es", "es.example.org", 443, "/logs/es"),
        ("http://[::1]", "::1", 80, ""),
        ("http://[::1]:9200/", "::1", 9200, ""),
    ],
)
def test_an_address_may_lack_its_port(url: str, host: str, port: int, path: str) -> None:
    """An address without a port means the port of its scheme."""
    es = make_elasticsearch(Config.from_env({"ALB_LOGS_ES_URL": url}))

    (node,) = es.transport.node_pool.all()
    assert (host, port, path) == (node.config.host, node.config.port, node.config.path_prefix)


def test_several_addresses_are_all_used() -> None:
    """Each address becomes a node of the client."""
    es = make_elasticsearch(Config(es_url=("https://a", "https://b:9200")))

    assert {("a", 443), ("b", 9200)} == {
        (node.config.host, node.config.port) for node in es.transport.node_pool.all()
    }


def test_a_cloud_id_is_an_address() -> None:
    """A cloud id leads to its deployment, over TLS."""
    cloud_id = "logs:ZXhhbXBsZS5vcmckYWJjJGRlZg=="  # example.org, abc, def

    es = make_elasticsearch(Config(es_cloud_id=cloud_id))

    (node,) = es.transport.node_pool.all()
    assert ("https", "abc.example.org", 443) == (
        node.config.scheme,
        node.config.host,
        node.config.port,
    )


@pytest.mark.parametrize(
    ("config", "variable"),
    [
        pytest.param(Config(), "ALB_LOGS_ES_URL", id="nowhere"),
        pytest.param(Config(es_cloud_id="nonsense"), "ALB_LOGS_ES_CLOUD_ID", id="cloud-id"),
        pytest.param(Config(es_url=("http://a:99999",)), "ALB_LOGS_ES_URL", id="port"),
        pytest.param(
            Config(es_url=("https://a",), es_ca_cert="/no/such/file"),
            "ALB_LOGS_ES_CA_CERT: there is no file /no/such/file",
            id="ca",
        ),
    ],
)
def test_a_client_that_can_not_be_made_names_its_setting(config: Config, variable: str) -> None:
    """What makes no client is a ConfigError with the variable's name."""
    with pytest.raises(ConfigError, match=variable):
        make_elasticsearch(config)


def test_the_authority_is_handed_to_the_client(tmp_path: Path) -> None:
    """The file of the authority is the one that connections are checked with."""
    authority = tmp_path / "ca.pem"
    authority.write_text("")

    es = make_elasticsearch(Config(es_url=("https://a",), es_ca_cert=str(authority)))

    (node,) = es.transport.node_pool.all()
    assert str(authority) == node.config.ca_certs
    assert node.config.verify_certs


# --- how -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_the_client_retries_nothing(place: Place, status: int) -> None:
    """One request is sent once: what to send again, and when, is `sink`'s to decide."""
    place.status = status

    with pytest.raises(ApiError):
        call(make_elasticsearch(Config(es_url=(place.url,))))

    assert ["/_bulk"] == place.paths


@pytest.mark.parametrize(("compress", "encoding"), [(True, "gzip"), (False, None)])
def test_bodies_are_compressed_on_demand(
    place: Place,
    compress: bool,  # noqa: FBT001  the setting's value
    encoding: str | None,
) -> None:
    """Request bodies are gzipped if the setting says so, and only then."""
    es = make_elasticsearch(Config(es_url=(place.url,), es_compress=compress))

    call(es, {"text": "a" * 10_000})

    assert encoding == place.headers[0].get("content-encoding")


def test_every_bulk_request_has_its_connection() -> None:
    """There is a connection for each bulk request under way and one for all else."""
    es = make_elasticsearch(Config(es_url=("http://a",), es_connections=7))

    (node,) = es.transport.node_pool.all()
    assert 8 == node.config.connections_per_node


# --- as whom -------------------------------------------------------------------------------------


def test_nothing_is_sent_where_nothing_is_set(place: Place) -> None:
    """Without a key or a user requests carry no authorization."""
    assert authorization(Config(es_url=(place.url,)), place) is None


def test_an_api_key_is_sent(place: Place) -> None:
    """The API key goes as it is written."""
    config = Config(es_url=(place.url,), es_api_key="a2V5")

    assert "ApiKey a2V5" == authorization(config, place)


def test_user_and_password_are_sent(place: Place) -> None:
    """A user's password goes by basic authentication."""
    config = Config(es_url=(place.url,), es_username="user", es_password="pa:ss")  # noqa: S106

    assert "Basic dXNlcjpwYTpzcw==" == authorization(config, place)


@pytest.mark.usefixtures("cloud")
def test_the_key_is_fetched_from_ssm(place: Place) -> None:
    """The key is read from an encrypted SSM parameter; a line end after it is left out."""
    put_parameter("a2V5\n")
    config = Config(es_url=(place.url,), es_api_key_parameter=PARAMETER)

    assert "ApiKey a2V5" == authorization(config, place)


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    "stored",
    [
        pytest.param({"SecretString": " a2V5 "}, id="text"),
        pytest.param({"SecretBinary": b"a2V5\n"}, id="binary"),
    ],
)
def test_the_key_is_fetched_from_secrets_manager(place: Place, stored: dict[str, str]) -> None:
    """The key is read from a Secrets Manager secret, stored as text or as binary."""
    boto3.client("secretsmanager").create_secret(Name=SECRET, **stored)
    config = Config(es_url=(place.url,), es_api_key_secret=SECRET)

    assert "ApiKey a2V5" == authorization(config, place)


@pytest.mark.usefixtures("cloud")
def test_a_fetched_parameter_is_kept(place: Place) -> None:
    """A second client within five minutes does not ask SSM again."""
    put_parameter("a2V5")
    config = Config(es_url=(place.url,), es_api_key_parameter=PARAMETER)
    first = authorization(config, place)
    boto3.client("ssm").delete_parameter(Name=PARAMETER)

    assert first == authorization(config, place)
    assert 300 == clients.SECRET_SECONDS


@pytest.mark.usefixtures("cloud")
def test_a_fetched_secret_is_kept(place: Place) -> None:
    """A second client within five minutes does not ask Secrets Manager again."""
    boto3.client("secretsmanager").create_secret(Name=SECRET, SecretString="a2V5")
    config = Config(es_url=(place.url,), es_api_key_secret=SECRET)
    first = authorization(config, place)
    boto3.client("secretsmanager").delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)

    assert first == authorization(config, place)


@pytest.mark.usefixtures("cloud")
def test_a_rotated_key_is_fetched_in_the_end(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was fetched is not kept beyond its time."""
    monkeypatch.setattr(clients, "SECRET_SECONDS", 0)
    config = Config(es_url=(place.url,), es_api_key_parameter=PARAMETER)
    put_parameter("old")
    authorization(config, place)

    put_parameter("new")

    assert "ApiKey new" == authorization(config, place)


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    ("config", "said"),
    [
        pytest.param(
            Config(es_url=("http://a",), es_api_key_parameter=PARAMETER),
            ("ALB_LOGS_ES_API_KEY_PARAMETER: /alb-logs/api-key", "ssm:GetParameter"),
            id="parameter",
        ),
        pytest.param(
            Config(es_url=("http://a",), es_api_key_secret=SECRET),
            ("ALB_LOGS_ES_API_KEY_SECRET: alb-logs-api-key", "secretsmanager:GetSecretValue"),
            id="secret",
        ),
    ],
)
def test_an_unreadable_secret_names_its_setting(config: Config, said: tuple[str, str]) -> None:
    """A secret that can not be fetched is a ConfigError: its variable, its name, the permission."""
    with pytest.raises(ConfigError) as raised:
        make_elasticsearch(config)

    assert all(part in str(raised.value) for part in said)


@pytest.mark.usefixtures("cloud")
def test_a_secret_that_is_no_text_names_its_setting() -> None:
    """Bytes that can not be a key are a ConfigError, and are not shown."""
    boto3.client("secretsmanager").create_secret(Name=SECRET, SecretBinary=b"geheim\xff")

    with pytest.raises(ConfigError, match="ALB_LOGS_ES_API_KEY_SECRET") as raised:
        make_elasticsearch(Config(es_url=("http://a",), es_api_key_secret=SECRET))

    assert "geheim" not in str(raised.value)


@pytest.mark.usefixtures("cloud")
def test_a_secret_without_a_region_names_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where AWS itself is not set up, the setting that needs it is named."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    with pytest.raises(ConfigError, match=r"ALB_LOGS_ES_API_KEY_PARAMETER.*region"):
        make_elasticsearch(Config(es_url=("http://a",), es_api_key_parameter=PARAMETER))


# --- S3 ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("cloud")
def test_s3_is_as_boto3_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Address and region of S3 come from boto3's own variables."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    s3 = make_s3()

    assert ("http://127.0.0.1:1", "eu-central-1") == (s3.meta.endpoint_url, s3.meta.region_name)


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("make", [make_s3, make_sqs, make_sts])
@pytest.mark.parametrize(
    ("variable", "text"), [("AWS_PROFILE", "nobody"), ("AWS_ENDPOINT_URL", "nonsense")]
)
def test_wrong_aws_settings_are_told(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], object], variable: str, text: str
) -> None:
    """AWS settings of which no client can be made are a ConfigError that shows what is wrong."""
    monkeypatch.setenv(variable, text)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    with pytest.raises(ConfigError, match=f"AWS settings are wrong.*{text}"):
        make()
