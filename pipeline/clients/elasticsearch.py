"""
Make the client of Elasticsearch that the settings ask for, with its secret fetched from AWS if set.

It is made once per process (in Lambda: once per cold start) and passed to the stages. No error has
a secret or the name of one in its message, nor an exception that may quote one as its context.
"""

import base64
import json
import re
import socket
import ssl
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, NoCredentialsError, NoRegionError
from elastic_transport import ConnectionError as ElasticsearchConnectionError
from elastic_transport import Urllib3HttpNode
from elasticsearch import Elasticsearch, OrjsonSerializer

from pipeline.config import Config, api_key, variable_of
from pipeline.errors import ConfigError

SECRET_SECONDS = 300
"""How long a fetched secret is kept, so how long after a rotation the old one may be used."""

_OK = 200
_BAD_REQUEST = 400
_NO_SUCH_PATH = {400, 404, 405}
_PRODUCT = "x-elastic-product"
_PROBE_SECONDS = 2.0

_PERMISSION = {
    "es_api_key_parameter": "ssm:GetParameter",
    "es_api_key_secret": "secretsmanager:GetSecretValue",
}


def make_elasticsearch(config: Config) -> Elasticsearch:
    """
    Return a client that tries each address once where no connection can be made.

    All other retries are off: `sink` retries, within a deadline.
    """
    config.require_elasticsearch()
    options: dict[str, Any] = {
        "max_retries": max(0, len(config.es_url) - 1),
        "retry_on_status": (),
        "retry_on_timeout": False,
        "http_compress": config.es_compress,
        "connections_per_node": config.es_connections + 1,
        "node_class": _Node,
        "serializer": _Json(),
        **_address(config),
        **_authentication(config),
    }
    if config.es_ca_cert:
        options["ca_certs"] = _existing(config.es_ca_cert)
    es = _made(options)
    if es is None and config.es_cloud_id:
        raise ConfigError(
            "ALB_LOGS_ES_CLOUD_ID is not a cloud ID: copy it from the page of the deployment"
        )
    if es is None:
        raise ConfigError("ALB_LOGS_ES_URL is not an address: write https://es.example.org:9200")
    return es


def _made(options: dict[str, Any]) -> Elasticsearch | None:
    try:
        return Elasticsearch(**options)
    except ValueError:
        return None


class _Json(OrjsonSerializer):
    """
    Read answers fast, as a bulk reply has a line for each document; and those that are odd, too.

    Elasticsearch stores half of a surrogate pair as it comes, which orjson refuses: one such
    document would make a whole page of them unreadable.
    """

    def json_loads(self, data: bytes) -> Any:  # noqa: ANN401  JSON as it comes
        """Read an answer; ValueError if it is no JSON."""
        try:
            return super().json_loads(data)
        except ValueError:
            return super().json_loads(_ESCAPE.sub(_whole, data))


_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""An escape in JSON; the group is half of a surrogate pair."""


def _whole(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if escape[1] else escape[0]


class _Node(Urllib3HttpNode):
    """
    Distinguish an http address of a server that speaks TLS from a server that is down.

    Elasticsearch closes plain http connections without a reply; proxies answer 400. An answer
    without a body is a lost one: only HEAD requests have such answers.
    """

    def perform_request(self, method: str, *args: Any, **options: Any) -> Any:  # noqa: ANN401  as in the base class
        """Send a request; raise ConfigError where the address has the wrong scheme."""
        try:
            answer = super().perform_request(method, *args, **options)
        except ElasticsearchConnectionError:
            self._refuse_tls()
            raise
        if answer.meta.status == _BAD_REQUEST and _PRODUCT not in answer.meta.headers:
            self._refuse_tls()
        if answer.meta.status == _OK and not answer.body and method != "HEAD":
            raise ElasticsearchConnectionError("the answer is empty")
        if self.path_prefix and answer.meta.status in _NO_SUCH_PATH:
            _refuse_path(answer.body or b"")
        return answer

    def _refuse_tls(self) -> None:
        if self.scheme == "http" and _speaks_tls(self.host, self.port):
            raise ConfigError("ALB_LOGS_ES_URL says http, but TLS is spoken there: write https")


def _refuse_path(answer: bytes) -> None:
    """Raise ConfigError where Elasticsearch itself got the path of its address with a request."""
    if b"no handler found for uri" in answer or b"Incorrect HTTP method for uri" in answer:
        raise ConfigError(
            "ALB_LOGS_ES_URL has a path under which there is no Elasticsearch: leave the path out"
        )


def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent over it
    try:
        with (
            socket.create_connection((host, port), _PROBE_SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return True
    except OSError:
        return False


def _address(config: Config) -> dict[str, Any]:
    if config.es_cloud_id:
        return {"cloud_id": config.es_cloud_id}
    return {"hosts": [_with_port(url) for url in config.es_url]}


def _with_port(url: str) -> str:
    """Add the default port of the scheme, because elasticsearch-py insists on one."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    if ":" not in host.rpartition("]")[2]:
        host += ":443" if scheme == "https" else ":80"
    return f"{scheme}://{host}{slash}{path}"


def authorization(config: Config) -> str | None:
    """Return the header by which Elasticsearch and Kibana know who asks; None without a secret."""
    match _authentication(config):
        case {"basic_auth": encoded}:
            return f"Basic {encoded}"
        case {"api_key": key}:
            return f"ApiKey {key}"
        case _:
            return None


def _authentication(config: Config) -> dict[str, Any]:
    if config.es_username:
        # elasticsearch-py itself fails on letters beyond ASCII; the server reads UTF-8.
        both = f"{config.es_username}:{config.es_password}".encode()
        return {"basic_auth": base64.b64encode(both).decode()}
    key = config.es_api_key or _fetched_key(config)
    return {"api_key": key} if key else {}


def _fetched_key(config: Config) -> str | None:
    for setting in _PERMISSION:
        if value := getattr(config, setting):
            name, _, field = value.partition("#")
            variable = variable_of(setting)
            text = _fetch(setting, name)
            where = f"{variable}: what it names"
            return api_key(where, _field(where, text, field) if field else text)
    return None


def _fetch(setting: str, name: str) -> str:
    """Return what a parameter or secret holds; ConfigError without its name, for it may be one."""
    # Only where a secret is kept in AWS: the import costs a cold start a tenth of a second.
    from aws_lambda_powertools.utilities import parameters  # noqa: PLC0415

    try:
        value: Any  # bytes, where the secret is stored as binary
        if setting == "es_api_key_parameter":
            value = parameters.get_parameter(name, decrypt=True, max_age=SECRET_SECONDS)
        else:
            value = parameters.get_secret(name, max_age=SECRET_SECONDS)
    except (parameters.GetParameterError, BotoCoreError, ValueError) as error:
        failure = _cannot_be_read(setting, name, error)
    else:
        return (value.decode("latin-1") if isinstance(value, bytes) else str(value)).strip()
    raise ConfigError(failure)


def _cannot_be_read(setting: str, name: str, error: Exception) -> str:
    said = str(error).replace(name, "…")
    return f"{variable_of(setting)}: what it names cannot be read: {said}. {_fix(setting, error)}"


def _fix(setting: str, error: Exception) -> str:
    cause = error.__context__ or error  # Powertools hides it
    if isinstance(cause, NoCredentialsError):
        return "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if isinstance(cause, NoRegionError):
        return "Set AWS_DEFAULT_REGION to the region that it is in"
    return (
        f"It must exist in this region, and the role that runs this needs {_PERMISSION[setting]} "
        "(and kms:Decrypt on a key of your own)"
    )


def _field(where: str, text: str, name: str) -> str:
    """Return a field of a secret that is JSON."""
    match _parsed(text):
        case None:
            raise ConfigError(f"{where} is not JSON: leave out # and what follows it")
        case {**fields} if isinstance(value := fields.get(name), str):
            return value.strip()
        case _:
            raise ConfigError(f"{where} is JSON without the text field after #: correct its name")


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:  # it holds the text
        return None


def _existing(path: str) -> str:
    if "-----BEGIN" in path:
        raise ConfigError(
            "ALB_LOGS_ES_CA_CERT holds a certificate: write it into a file, name that"
        )
    try:
        with Path(path).open("rb"):
            return path
    except OSError as error:
        raise ConfigError(
            f"ALB_LOGS_ES_CA_CERT: the file {path} cannot be read: {error.strerror}"
        ) from error
