"""The clients that the settings ask for: their address, credentials and error messages."""

import json
from base64 import b64encode
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
KEY, NEW_KEY = "aWQ6a2V5", "aWQ6bmV3LWtleQ=="
HEADERS = {"accept": "application/json", "content-type": "application/json"}


@dataclass
class Server:
    """A server that answers everything with one status and remembers the requests."""

    url: str
    status: int = 200
    body: bytes = b"{}"
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    """Run a server instead of Elasticsearch."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            seen.paths.append(self.path)
            seen.headers.append({name.lower(): text for name, text in self.headers.items()})
            self.send_response(seen.status)
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(seen.body)))
            self.end_headers()
            self.wfile.write(seen.body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as http:
        seen = Server(f"http://127.0.0.1:{http.server_port}")
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield seen
        http.shutdown()
        thread.join()


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Emulate an empty AWS, for a process that has fetched no secret yet."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    for variable in ("AWS_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(variable, raising=False)
    parameters.clear_caches()  # type: ignore[no-untyped-call]
    with mock_aws():
        yield
    parameters.clear_caches()  # type: ignore[no-untyped-call]


def call(es: Elasticsearch, body: object = None) -> ApiResponse[object]:
    """Make one request, as the stages do."""
    with es:
        return es.perform_request("POST", "/_bulk", headers=HEADERS, body=body or {})


def authorization(config: Config, server: Server) -> str | None:
    """Return the header by which a client with these settings authenticates."""
    call(make_elasticsearch(config))
    return server.headers[-1].get("authorization")


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
    """A cloud ID leads to its deployment, over TLS."""
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
            "ALB_LOGS_ES_CA_CERT: the file /no/such/file cannot be read",
            id="ca",
        ),
    ],
)
def test_a_setting_that_makes_no_client_is_named(config: Config, variable: str) -> None:
    """A setting of which no client can be made is a ConfigError with the variable's name."""
    with pytest.raises(ConfigError, match=variable):
        make_elasticsearch(config)


def test_the_client_trusts_the_authority(tmp_path: Path) -> None:
    """Certificates are verified with the file of the authority."""
    authority = tmp_path / "ca.pem"
    authority.write_text("")

    es = make_elasticsearch(Config(es_url=("https://a",), es_ca_cert=str(authority)))

    (node,) = es.transport.node_pool.all()
    assert str(authority) == node.config.ca_certs
    assert node.config.verify_certs


def test_a_path_is_before_every_request(server: Server) -> None:
    """Behind a proxy Elasticsearch may be below a path: requests go there."""
    call(make_elasticsearch(Config(es_url=(f"{server.url}/logs/es",))))

    assert ["/logs/es/_bulk"] == server.paths


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"error":"no handler found for uri [/es/_bulk] and method [POST]"}'),
        (405, b'{"error":"Incorrect HTTP method for uri [/es/_bulk] and method [POST]"}'),
    ],
)
def test_a_path_that_nobody_takes_off_is_named(server: Server, status: int, body: bytes) -> None:
    """Where Elasticsearch itself gets the path, the address is what is wrong."""
    server.status, server.body = status, body

    with pytest.raises(ConfigError, match="ALB_LOGS_ES_URL has a path"):
        call(make_elasticsearch(Config(es_url=(f"{server.url}/es",))))
    with pytest.raises(ApiError):
        call(make_elasticsearch(Config(es_url=(server.url,))))


# --- how -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_the_client_retries_nothing(server: Server, status: int) -> None:
    """A request is sent once: `sink` decides what is sent again, and when."""
    server.status = status

    with pytest.raises(ApiError):
        call(make_elasticsearch(Config(es_url=(server.url,))))

    assert ["/_bulk"] == server.paths


@pytest.mark.parametrize(("compress", "encoding"), [(True, "gzip"), (False, None)])
def test_bodies_are_compressed_on_demand(
    server: Server,
    compress: bool,  # noqa: FBT001  the setting's value
    encoding: str | None,
) -> None:
    """Request bodies are gzipped if the setting says so, and only then."""
    es = make_elasticsearch(Config(es_url=(server.url,), es_compress=compress))

    call(es, {"text": "a" * 10_000})

    assert encoding == server.headers[0].get("content-encoding")


def test_every_bulk_request_has_its_connection() -> None:
    """There is a connection for each concurrent bulk request and one for all else."""
    es = make_elasticsearch(Config(es_url=("http://a",), es_connections=7))

    (node,) = es.transport.node_pool.all()
    assert 8 == node.config.connections_per_node


# --- as whom -------------------------------------------------------------------------------------


def test_nothing_is_sent_where_nothing_is_set(server: Server) -> None:
    """Without a key or a user requests carry no authorization."""
    assert authorization(Config(es_url=(server.url,)), server) is None


def test_an_api_key_is_sent(server: Server) -> None:
    """The API key is sent as it is written."""
    config = Config(es_url=(server.url,), es_api_key=KEY)

    assert f"ApiKey {KEY}" == authorization(config, server)


def test_user_and_password_are_sent(server: Server) -> None:
    """User and password are sent by basic authentication."""
    config = Config(es_url=(server.url,), es_username="user", es_password="pa:ss")  # noqa: S106

    assert "Basic dXNlcjpwYTpzcw==" == authorization(config, server)


def test_a_password_may_have_any_letter(server: Server) -> None:
    """Letters beyond ASCII are sent as UTF-8, as Elasticsearch reads them."""
    config = Config(es_url=(server.url,), es_username="ü", es_password="€😀")  # noqa: S106

    assert f"Basic {b64encode('ü:€😀'.encode()).decode()}" == authorization(config, server)


@pytest.mark.usefixtures("cloud")
def test_the_key_is_fetched_from_ssm(server: Server) -> None:
    """The key is read from an encrypted SSM parameter; a line end after it is removed."""
    put_parameter(f"{KEY}\n")
    config = Config(es_url=(server.url,), es_api_key_parameter=PARAMETER)

    assert f"ApiKey {KEY}" == authorization(config, server)


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    "stored",
    [
        pytest.param({"SecretString": f" {KEY} "}, id="text"),
        pytest.param({"SecretBinary": f"{KEY}\n".encode()}, id="binary"),
    ],
)
def test_the_key_is_fetched_from_secrets_manager(server: Server, stored: dict[str, str]) -> None:
    """The key is read from a Secrets Manager secret, stored as text or as binary."""
    boto3.client("secretsmanager").create_secret(Name=SECRET, **stored)
    config = Config(es_url=(server.url,), es_api_key_secret=SECRET)

    assert f"ApiKey {KEY}" == authorization(config, server)


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("layout", [None, 2], ids=["one-line", "pretty"])
def test_the_key_may_be_a_field_of_json(server: Server, layout: int | None) -> None:
    """With #FIELD after its name a parameter or secret is JSON, and the field is the key."""
    answer = json.dumps({"id": "id", "name": "n", "api_key": "key", "encoded": KEY}, indent=layout)
    put_parameter(answer)
    boto3.client("secretsmanager").create_secret(Name=SECRET, SecretString=answer)
    ssm = Config(es_url=(server.url,), es_api_key_parameter=f"{PARAMETER}#encoded")
    secret = Config(es_url=(server.url,), es_api_key_secret=f"{SECRET}#encoded")

    assert [f"ApiKey {KEY}"] * 2 == [authorization(each, server) for each in (ssm, secret)]


@pytest.mark.usefixtures("cloud")
def test_a_fetched_parameter_is_kept(server: Server) -> None:
    """A second client within five minutes does not ask SSM again."""
    put_parameter(KEY)
    config = Config(es_url=(server.url,), es_api_key_parameter=PARAMETER)
    first = authorization(config, server)
    boto3.client("ssm").delete_parameter(Name=PARAMETER)

    assert first == authorization(config, server)
    assert 300 == clients.SECRET_SECONDS


@pytest.mark.usefixtures("cloud")
def test_a_fetched_secret_is_kept(server: Server) -> None:
    """A second client within five minutes does not ask Secrets Manager again."""
    boto3.client("secretsmanager").create_secret(Name=SECRET, SecretString=KEY)
    config = Config(es_url=(server.url,), es_api_key_secret=SECRET)
    first = authorization(config, server)
    boto3.client("secretsmanager").delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)

    assert first == authorization(config, server)


@pytest.mark.usefixtures("cloud")
def test_a_rotated_key_is_fetched(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetched key is not kept beyond its time."""
    monkeypatch.setattr(clients, "SECRET_SECONDS", 0)
    config = Config(es_url=(server.url,), es_api_key_parameter=PARAMETER)
    put_parameter(KEY)
    authorization(config, server)

    put_parameter(NEW_KEY)

    assert f"ApiKey {NEW_KEY}" == authorization(config, server)


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    ("config", "said"),
    [
        pytest.param(
            Config(es_url=("http://a",), es_api_key_parameter=PARAMETER),
            ("ALB_LOGS_ES_API_KEY_PARAMETER: what it names", "ssm:GetParameter"),
            id="parameter",
        ),
        pytest.param(
            Config(es_url=("http://a",), es_api_key_secret=SECRET),
            ("ALB_LOGS_ES_API_KEY_SECRET: what it names", "secretsmanager:GetSecretValue"),
            id="secret",
        ),
    ],
)
def test_an_unreadable_secret_names_its_setting(config: Config, said: tuple[str, str]) -> None:
    """A secret that cannot be fetched is a ConfigError: its variable, the permission."""
    with pytest.raises(ConfigError) as raised:
        make_elasticsearch(config)

    assert all(part in str(raised.value) for part in said)


@pytest.mark.usefixtures("cloud")
def test_a_secret_that_is_not_text_names_its_setting() -> None:
    """Bytes that cannot be a key are a ConfigError, and are not shown."""
    boto3.client("secretsmanager").create_secret(Name=SECRET, SecretBinary=b"geheim\xff")

    with pytest.raises(ConfigError, match="ALB_LOGS_ES_API_KEY_SECRET") as raised:
        make_elasticsearch(Config(es_url=("http://a",), es_api_key_secret=SECRET))

    assert "geheim" not in str(raised.value)


@pytest.mark.usefixtures("cloud")
def test_a_secret_without_a_region_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no AWS region is set, the setting that needs AWS is named, and the one that is not."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    with pytest.raises(ConfigError, match=r"ALB_LOGS_ES_API_KEY_PARAMETER.*Set AWS_DEFAULT_REGION"):
        make_elasticsearch(Config(es_url=("http://a",), es_api_key_parameter=PARAMETER))


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    "config",
    [
        Config(es_url=("http://a",), es_api_key_parameter=PARAMETER),
        Config(es_url=("http://a",), es_api_key_secret=SECRET),
    ],
)
def test_a_secret_without_credentials_names_the_fix(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, config: Config
) -> None:
    """Where there are no AWS credentials, the message says how to set some."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(variable, "")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    with pytest.raises(ConfigError, match=r"ALB_LOGS_ES_API_KEY_.*Set AWS_PROFILE, or AWS_ACC"):
        make_elasticsearch(config)


@pytest.mark.usefixtures("cloud")
def test_a_missing_region_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that needs a region says which setting it is."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    with pytest.raises(ConfigError, match=r"no region is set: set AWS_DEFAULT_REGION"):
        make_sqs()


# --- S3 ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("cloud")
def test_s3_has_the_settings_of_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_wrong_aws_settings_are_named(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], object], variable: str, text: str
) -> None:
    """AWS settings of which no client can be made are a ConfigError that says what is wrong."""
    monkeypatch.setenv(variable, text)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    with pytest.raises(ConfigError, match=f"AWS settings are wrong.*{text}"):
        make()
