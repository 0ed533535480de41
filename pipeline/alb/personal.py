"""
Judge every field: what of a document says something of a person, and is erased on their behalf.

The settings of `privacy` conceal what an operator chooses, before a document is made. This is for a
document that is there: what is personal goes, and every figure that is not stays as it is.
"""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipeline.alb.privacy import SOURCE_IP, Bits, Privacy


class Judgement(StrEnum):
    """What becomes of a field."""

    KEEP = "keep"
    ERASE = "erase"
    URL = "url"  # loses its query, its fragment, a user and a password
    HOST = "host"  # loses a user and a password


JUDGED: dict[Judgement, tuple[str, ...]] = {
    Judgement.ERASE: (
        "source.ip",
        "source.port",
        "source.geo.location",
        "source.geo.continent_name",
        "source.geo.country_iso_code",
        "source.geo.country_name",
        "source.geo.region_iso_code",
        "source.geo.region_name",
        "source.geo.city_name",
        "source.as.number",
        "source.as.organization.name",
        "user_agent.original",
        "user_agent.name",
        "user_agent.version",
        "user_agent.device.name",
        "user_agent.os.name",
        "user_agent.os.version",
        "user_agent.os.full",
        "url.query",
        # They lead to the same person's other requests, here and in other systems.
        "trace.id",
        "aws.elb.trace_id",
        "aws.elb.conn_trace_id",
        "tls.client.subject",
        "tls.client.x509.serial_number",
        "tls.client.not_before",
        "tls.client.not_after",
        # Nobody knows what AWS will write there.
        "aws.elb.extra_fields",
        "event.original",
        "event.original_base64",
        # It may quote the line: whoever erases it writes a general one.
        "error.message",
    ),
    Judgement.URL: ("url.original", "aws.elb.redirect_url", "aws.elb.transformed_uri"),
    Judgement.HOST: ("url.domain", "tls.client.server_name", "aws.elb.transformed_host"),
    Judgement.KEEP: (
        "@timestamp",
        "event.start",
        "event.duration",
        "event.outcome",
        "event.ingested",
        "http.request.method",
        "http.request.bytes",
        "http.response.bytes",
        "http.response.status_code",
        "http.version",
        "url.scheme",
        "url.port",
        "url.path",
        "url.template",
        "tls.cipher",
        "tls.version",
        "tls.version_protocol",
        "tls.resumed",
        "observer.name",
        "observer.ip",
        "destination.port",
        "aws.elb.action_executed",
        "aws.elb.backend.http.response.status_code",
        "aws.elb.backend.ip",
        "aws.elb.backend.port",
        "aws.elb.backend_processing_time.sec",
        "aws.elb.chosen_cert.arn",
        "aws.elb.classification",
        "aws.elb.classification_reason",
        "aws.elb.error.reason",
        "aws.elb.error_origin",
        "aws.elb.health_check.latency.sec",
        "aws.elb.health_check.status",
        "aws.elb.health_check.target_arn",
        "aws.elb.matched_rule_priority",
        "aws.elb.name",
        "aws.elb.request_processing_time.sec",
        "aws.elb.request_transform_status",
        "aws.elb.response_processing_time.sec",
        "aws.elb.ssl_protocol",
        "aws.elb.target_group.arn",
        "aws.elb.target_group.id",
        "aws.elb.target_group.name",
        "aws.elb.target_port",
        "aws.elb.target_status_code",
        "aws.elb.tls_error_code",
        "aws.elb.tls_handshake_latency.sec",
        "aws.elb.tls_keyexchange",
        "aws.elb.tls_verify_status",
        "aws.elb.type",
        "aws.s3.bucket.name",
        "aws.s3.object.key",
        "cloud.account.id",
        "cloud.provider",
        "cloud.region",
        "ecs.version",
        "event.category",
        "event.dataset",
        "event.kind",
        "event.module",
        "event.type",
        "error.type",
        "labels.erased",
        "labels.pipeline_version",
        "log.length",
        "log.offset",
    ),
}
"""Every field of documents and dead letters, by what becomes of it; a test sees to *every*."""

_OF_FIELD = {name: judgement for judgement, names in JUDGED.items() for name in names}
_ALL_OF = ("source.", "user_agent.")
"""Whatever the cluster or somebody else adds here is personal, too."""

_QUERY = re.compile(r"[?#]")
_USER = re.compile(r"(?<=//)[^/?#]*@")
_DEEPEST = 20  # no field of ours lies deeper; nobody can judge what strangers put there
_NO_ADDRESS = Privacy(bits=Bits(0, 0))
_NO_FIELDS: frozenset[str] = frozenset()


def judge(name: str, also: AbstractSet[str] = _NO_FIELDS) -> Judgement:
    """Return what becomes of a field; `also` names fields that are erased besides."""
    if name in also or name.startswith(_ALL_OF):
        return Judgement.ERASE
    return _OF_FIELD.get(name, Judgement.KEEP)


def without_personal(source: dict[str, Any], also: AbstractSet[str] = _NO_FIELDS) -> dict[str, Any]:
    """
    Return a document without what is personal; the client's address nowhere in it.

    Where another text holds that address it is replaced as `ALB_LOGS_ANONYMIZE_IP=0,0` does.
    """
    of_client = source.get("source")
    nested = of_client.get("ip") if isinstance(of_client, dict) else None
    found = source.get(SOURCE_IP, nested)
    addresses = found if isinstance(found, list) else [found]
    return _Eraser([each for each in addresses if isinstance(each, str)], also).kept(source)


_NOTHING = object()


@dataclass(frozen=True, slots=True)
class _Eraser:
    """What is erased from one document: the client's address, and fields besides the usual."""

    addresses: Sequence[str]
    also: AbstractSet[str]

    def kept(self, node: dict[str, Any], above: str = "", depth: int = 0) -> dict[str, Any]:
        """Return what is left of an object; names may be nested or written with dots."""
        named = ((step, f"{above}{step}", value) for step, value in node.items())
        left = {
            step: self._left(name, value, depth)
            for step, name, value in named
            if judge(name, self.also) is not Judgement.ERASE
        }
        return {step: value for step, value in left.items() if value is not _NOTHING}

    def _left(self, name: str, value: object, depth: int) -> object:
        """Return what is left of a value."""
        match value:
            case dict() | list() if depth >= _DEEPEST:
                return _NOTHING
            case dict():
                below = self.kept(value, f"{name}.", depth + 1)
                return below if below or not value else _NOTHING
            case list():
                items = [self._left(name, each, depth + 1) for each in value]
                items = [item for item in items if item is not _NOTHING]
                return items if items or not value else _NOTHING
            case str():
                return self._text(name, value)
            case _:
                return value

    def _text(self, name: str, text: str) -> object:
        match judge(name):
            case Judgement.URL:
                text = _without_query(text)
            case Judgement.HOST:
                text = text.rpartition("@")[2]
            case _ if not text:
                return text
            case _:
                pass
        for address in self.addresses:
            text = _NO_ADDRESS.masked({SOURCE_IP: address, name: text})[name]
        return text or _NOTHING


def _without_query(url: str) -> str:
    found = _QUERY.search(url)
    return _USER.sub("", url[: found.start()] if found else url)
