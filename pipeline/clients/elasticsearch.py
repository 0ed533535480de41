"""
Make the clients that the settings ask for: Elasticsearch, its secret fetched where it is kept; AWS.

Made once per process (in Lambda: once per cold start) by the front doors; rooms are handed them.
"""

import socket
import ssl
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError
from elastic_transport import ConnectionError as ElasticsearchConnectionError
from elastic_transport import Urllib3HttpNode
from elasticsearch import Elasticsearch, OrjsonSerializer

from pipeline.config import Config, variable_of
from pipeline.errors import ConfigError

SECRET_SECONDS = 300
"""How long a fetched secret is kept: after a rotation the new one is in use by then."""

_BAD_REQUEST = 400
_PRODUCT = "x-elastic-product"
_PROBE_SECONDS = 2.0

_PERMISSION = {
    "es_api_key_parameter": "ssm:GetParameter (and kms:Decrypt on a key of your own)",
    "es_api_key_secret": "secretsmanager:GetSecretValue (and kms:Decrypt on a key of your own)",
}


def make_elasticsearch(config: Config) -> Elasticsearch:
    """Give a client whose own retries are off, for `sink` does them with a deadline."""
    config.require_elasticsearch()
    options: dict[str, Any] = {
        "max_retries": 0,
        "retry_on_timeout": False,
        "http_compress": config.es_compress,
        "connections_per_node": config.es_connections + 1,
        "node_class": _Node,
        "serializer": OrjsonSerializer(),  # a bulk reply has a line for each document
        **_address(config),
        **_authentication(config),
    }
    if config.es_ca_cert:
        options["ca_certs"] = _existing(config.es_ca_cert)
    try:
        return Elasticsearch(**options)
    except ValueError as error:
        variable = variable_of("es_cloud_id" if config.es_cloud_id else "es_url")
        raise ConfigError(f"{variable}: {error}") from error


class _Node(Urllib3HttpNode):
    """
    Tell an address that says http, where TLS is spoken, from a server that is down.

    Elasticsearch hangs up on plain http without a word, and proxies answer 400 in their own.
    """

    def perform_request(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  as it is there
        """Send a request; ConfigError where the address is of the wrong scheme."""
        try:
            answer = super().perform_request(*args, **options)
        except ElasticsearchConnectionError:
            self._refuse_tls()
            raise
        if answer.meta.status == _BAD_REQUEST and _PRODUCT not in answer.meta.headers:
            self._refuse_tls()
        return answer

    def _refuse_tls(self) -> None:
        if self.scheme == "http" and _speaks_tls(self.host, self.port):
            raise ConfigError("ALB_LOGS_ES_URL says http, but TLS is spoken there: write https")


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
    """Add the port that elasticsearch-py insists on: the scheme's own."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    if ":" not in host.rpartition("]")[2]:
        host += ":443" if scheme == "https" else ":80"
    return f"{scheme}://{host}{slash}{path}"


def _authentication(config: Config) -> dict[str, Any]:
    if config.es_username:
        return {"basic_auth": (config.es_username, config.es_password)}
    key = config.es_api_key or _fetched_key(config)
    return {"api_key": key} if key else {}


def _fetched_key(config: Config) -> str | None:
    for setting in _PERMISSION:
        if name := getattr(config, setting):
            return _fetch(setting, name)
    return None


def _fetch(setting: str, name: str) -> str:
    # Only where a secret is kept in AWS: the import costs a cold start a tenth of a second.
    from aws_lambda_powertools.utilities import parameters  # noqa: PLC0415

    value: Any  # bytes, where the secret is stored as binary
    try:
        if setting == "es_api_key_parameter":
            value = parameters.get_parameter(name, decrypt=True, max_age=SECRET_SECONDS)
        else:
            value = parameters.get_secret(name, max_age=SECRET_SECONDS)
        return (value.decode() if isinstance(value, bytes) else str(value)).strip()
    except (parameters.GetParameterError, BotoCoreError, ValueError) as error:
        raise ConfigError(
            f"{variable_of(setting)}: {name} can not be read: {error}. It must exist, and the role "
            f"that runs this needs {_PERMISSION[setting]}"
        ) from error


def _existing(path: str) -> str:
    try:
        with Path(path).open("rb"):
            return path
    except OSError as error:
        raise ConfigError(
            f"ALB_LOGS_ES_CA_CERT: there is no file {path} to read: {error.strerror}"
        ) from error
