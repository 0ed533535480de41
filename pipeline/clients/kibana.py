"""
Import saved objects into Kibana, and say what is wrong where that fails.

Kibana answers 200 to an import that failed: what counts is `success` and `errors`. An API call for
a space that does not exist succeeds too, into a place that nobody sees, so the space is asked for.

https://www.elastic.co/guide/en/kibana/8.19/saved-objects-api-import.html
"""

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from urllib3 import PoolManager, Timeout, encode_multipart_formdata
from urllib3.exceptions import HTTPError, LocationParseError, SSLError
from urllib3.util import Url, parse_url

from pipeline.clients.elasticsearch import authorization
from pipeline.config import Config, leaves_this_machine
from pipeline.errors import ClusterRefusedError, ConfigError, SinkUnavailableError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse  # absent before urllib3 2

OLDEST = (8, 9)
"""Older versions refuse the objects."""

LINKS_SINCE = (8, 11)
"""Older versions do not have the panel of links."""

DEFAULT_SPACE = "default"

_SECONDS = Timeout(connect=10, read=60)
_VERSION = re.compile(r"(\d+)\.(\d+)\.\d+")
_SHOWN_ERRORS = 3
_BUSY = {429, 502, 503, 504}
_SPACE = re.compile(r"[a-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Imported:
    """How many objects were imported, and which have another id in this space."""

    count: int
    renamed: tuple[tuple[str, str], ...] = ()


class Kibana:
    """A Kibana that answered, one of its spaces, and its version."""

    def __init__(self, url: str, space: str, config: Config) -> None:
        """Ask for the version and the space; ConfigError where it is none or too old."""
        self.url, self.space = _checked(url, config), space
        self._headers = {"kbn-xsrf": "true"}
        if header := authorization(config):
            self._headers["authorization"] = header
        self._pool = PoolManager(ca_certs=config.es_ca_cert, timeout=_SECONDS, retries=False)
        self.version = self._ask_version()
        if space != DEFAULT_SPACE:
            self._require_space()

    @property
    def name(self) -> str:
        """Return the version as people write it."""
        return ".".join(map(str, self.version))

    def dashboard_url(self, id_: str) -> str:
        """Return where people see a dashboard."""
        return f"{self.url}{self._in_space}/app/dashboards#/view/{id_}"

    def import_objects(self, objects: str) -> Imported:
        """Import saved objects over those of the same ids; raise an error if any is refused."""
        body, kind = encode_multipart_formdata(
            {"file": ("alb-logs.ndjson", objects, "application/ndjson")}
        )
        path = f"{self._in_space}/api/saved_objects/_import?overwrite=true"
        answer = self._request("POST", path, body=body, kind=kind)
        _refuse_answer(answer)
        return _imported(_json(answer))

    @property
    def _in_space(self) -> str:
        return "" if self.space == DEFAULT_SPACE else f"/s/{quote(self.space)}"

    def _ask_version(self) -> tuple[int, int]:
        answer = self._request("GET", "/api/status")
        _refuse_credentials(answer, "Kibana's status")
        number = _json(answer).get("version", {}).get("number", "")
        found = _VERSION.match(number)
        if not found:
            raise ConfigError(_no_kibana(self.url, answer))
        version = (int(found[1]), int(found[2]))
        if version < OLDEST:
            raise ConfigError(
                f"Kibana {number} is too old: the dashboards need "
                f"{'.'.join(map(str, OLDEST))} or later"
            )
        return version

    def _require_space(self) -> None:
        answer = None
        if _SPACE.fullmatch(self.space):
            answer = self._request("GET", f"/api/spaces/space/{self.space}")
            _refuse_credentials(answer, f"the space {self.space}")
        if answer is None or answer.status != HTTPStatus.OK:
            raise ConfigError(
                f"Kibana has no space {self.space!r}: create it there, or correct --kibana-space "
                "(it is the part of the address after /s/)"
            )

    def _request(
        self, method: str, path: str, *, body: bytes | None = None, kind: str = "application/json"
    ) -> "BaseHTTPResponse":
        headers = {**self._headers, "content-type": kind}
        address = self.url + path
        try:
            answer = self._pool.request(method, address, body=body, headers=headers, redirect=False)
        except SSLError as error:
            raise ConfigError(
                f"Kibana's certificate at {self.url} is not trusted: set ALB_LOGS_ES_CA_CERT to "
                "the file of the authority that signed it, or correct the address"
            ) from error
        except HTTPError as error:
            raise SinkUnavailableError(
                f"Kibana does not answer at {self.url}: check the address and that it runs"
            ) from error
        if answer.status in _BUSY:
            raise SinkUnavailableError(
                f"Kibana at {self.url} is not ready (HTTP {answer.status}): try again in a minute"
            )
        return answer


# --- the address ---------------------------------------------------------------------------------


def _checked(url: str, config: Config) -> str:
    """Return an address without the slash at its end; ConfigError if it cannot be one."""
    address = _parsed(url)
    if address is None or address.scheme not in {"http", "https"} or not address.host:
        raise ConfigError("--kibana-url is not an address: write https://kibana.example.org:5601")
    if address.auth:
        raise ConfigError(
            "--kibana-url contains a user or a password: leave them out; Kibana takes those of "
            "Elasticsearch, ALB_LOGS_ES_API_KEY or ALB_LOGS_ES_USERNAME and _PASSWORD"
        )
    plain = f"{address.scheme}://{address.netloc}{address.path or ''}".rstrip("/")
    exposed = address.scheme == "http" and leaves_this_machine(f"http://{address.netloc}")
    if exposed and _has_secret(config) and not config.es_insecure_http:
        raise ConfigError(
            "--kibana-url begins with http:, so everyone on the way could read the key or the "
            "password: write https, or set ALB_LOGS_ES_INSECURE_HTTP=on if you trust that network"
        )
    return plain


def _parsed(url: str) -> Url | None:
    try:
        return parse_url(url)
    except LocationParseError:
        return None


def _has_secret(config: Config) -> bool:
    ways = (config.es_api_key, config.es_api_key_parameter, config.es_api_key_secret)
    return any((*ways, config.es_username))


# --- answers -------------------------------------------------------------------------------------


def _json(answer: "BaseHTTPResponse") -> dict[str, Any]:
    """Return an answer's JSON; nothing if it is none."""
    try:
        found = json.loads(answer.data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _no_kibana(url: str, answer: "BaseHTTPResponse") -> str:
    if b"no handler found for uri" in answer.data or "x-elastic-product" in answer.headers:
        return f"Elasticsearch answers at {url}: write Kibana's address (usually port 5601)"
    if where := answer.headers.get("location"):
        return f"{url} leads to {where}: write Kibana's whole address, its base path included"
    if "kbn-name" in answer.headers:
        return (
            f"Kibana at {url} does not tell its version to whom it does not know: set "
            "ALB_LOGS_ES_API_KEY, or ALB_LOGS_ES_USERNAME and ALB_LOGS_ES_PASSWORD"
        )
    return f"no Kibana answers at {url} (HTTP {answer.status}): correct --kibana-url"


def _refuse_credentials(answer: "BaseHTTPResponse", what: str) -> None:
    if answer.status == HTTPStatus.UNAUTHORIZED:
        raise ConfigError(
            "Kibana does not accept who asks: set ALB_LOGS_ES_API_KEY, or ALB_LOGS_ES_USERNAME and "
            "ALB_LOGS_ES_PASSWORD, to those of a user of Kibana"
        )
    if answer.status == HTTPStatus.FORBIDDEN:
        raise ConfigError(
            f"Kibana does not allow access to {what}: its user needs the Kibana privileges All for "
            "Saved Objects Management, Dashboard and Discover in the space"
        )


def _refuse_answer(answer: "BaseHTTPResponse") -> None:
    _refuse_credentials(answer, "saved objects")
    if answer.status == HTTPStatus.OK:
        return
    said = str(_json(answer).get("message", ""))
    if "more recent version" in said:
        raise ConfigError(f"Kibana is too old for these dashboards: update it. It says: {said}")
    if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        raise ConfigError(
            "Kibana refuses a file of this size: raise savedObjects.maxImportPayloadBytes and "
            "server.maxPayload, or the limit of the proxy before it"
        )
    raise ClusterRefusedError(
        f"Kibana refuses the import (HTTP {answer.status}): {said or 'it does not say why'}"
    )


def _imported(answer: dict[str, Any]) -> Imported:
    """Return what was imported; ClusterRefusedError if anything was not."""
    errors = answer.get("errors", [])
    if errors or not answer.get("success"):
        raise ClusterRefusedError(_failure(answer, errors))
    done = answer.get("successResults", [])
    renamed = [(each["id"], each["destinationId"]) for each in done if each.get("destinationId")]
    return Imported(int(answer.get("successCount", 0)), tuple(renamed))


def _failure(answer: dict[str, Any], errors: list[dict[str, Any]]) -> str:
    told = [
        f"{each.get('type')} {each.get('id')}: {_reason(each.get('error', {}))}"
        for each in errors[:_SHOWN_ERRORS]
    ]
    more = f", and {len(errors) - len(told)} more" if len(errors) > len(told) else ""
    done = answer.get("successCount", 0)
    return f"Kibana imported {done} objects and refused {len(errors)}: {'; '.join(told)}{more}"


def _reason(error: dict[str, Any]) -> str:
    match error.get("type"):
        case "conflict" | "ambiguous_conflict":
            return "another object has this id: delete or rename it in Kibana, and run setup again"
        case "missing_references":
            names = [f"{each['type']} {each['id']}" for each in error.get("references", [])]
            return f"it needs {', '.join(names)}, which Kibana lacks: run setup again"
        case "unsupported_type":
            return "this Kibana does not know its type: update Kibana"
        case _:
            return str(error.get("message") or error.get("type") or "it does not say why")
