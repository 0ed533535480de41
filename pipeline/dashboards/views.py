"""The data views: one for each kind of document, its fields, and how they are named and written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.alb.fields import DEAD_LETTER, LEDGER, Field, Kind, fields_of


class Format(StrEnum):
    """How a value is written."""

    NUMBER = "number"
    PERCENT = "percent"  # of 0 to 1
    BYTES = "bytes"
    SECONDS = "seconds"
    NANOSECONDS = "nanoseconds"
    CODE = "code"  # a number that is a name: no thousands separator
    TRACE = "trace"  # a link to the trace
    DATE = "date"


@dataclass(frozen=True, slots=True)
class View:
    """One kind of document: the pattern of its indices is PREFIX-`indices`."""

    name: str
    indices: str
    title: str
    fields: Mapping[str, Field] = field(compare=False, repr=False)

    def pattern(self, prefix: str) -> str:
        """Return the indices below a prefix."""
        return f"{prefix}-{self.indices}"


def _by_name(fields: Iterable[Field]) -> dict[str, Field]:
    """Return fields by their names and aliases."""
    return {name: each for each in fields for name in (each.name, *each.aliases)}


ACCESS = View("access", "access-*", "ALB access logs", _by_name(fields_of(Kind.ACCESS)))
CONNECTION = View(
    "connection", "connection-*", "ALB connection logs", _by_name(fields_of(Kind.CONNECTION))
)
HEALTH_CHECK = View(
    "health-check",
    "health-check-*",
    "ALB health check logs",
    _by_name(fields_of(Kind.HEALTH_CHECK)),
)
DEAD_LETTERS = View("dead-letter", "dead-letter", "ALB rejected lines", _by_name(DEAD_LETTER))
OBJECTS = View("ledger", "ledger", "ALB log objects", _by_name(LEDGER))

VIEWS = (ACCESS, CONNECTION, HEALTH_CHECK, DEAD_LETTERS, OBJECTS)

LABELS: Mapping[str, str] = {
    "observer.name": "Load balancer",
    "cloud.account.id": "Account",
    "cloud.region": "Region",
    "http.response.status_code": "Status",
    "aws.elb.backend.http.response.status_code": "Target status",
    "aws.elb.backend.ip": "Target",
    "aws.elb.target_group.name": "Target group",
    "aws.elb.request_processing_time.sec": "Time before target",
    "aws.elb.backend_processing_time.sec": "Target time",
    "aws.elb.response_processing_time.sec": "Time after target",
    "aws.elb.error.reason": "Reason",
    "aws.elb.error_origin": "Error origin",
    "aws.elb.action_executed": "Action",
    "aws.elb.classification": "Desync class",
    "aws.elb.classification_reason": "Desync reason",
    "aws.elb.type": "Protocol",
    "aws.elb.tls_handshake_latency.sec": "Handshake time",
    "aws.elb.tls_verify_status": "Handshake",
    "aws.elb.tls_error_code": "Handshake error",
    "aws.elb.health_check.status": "Check",
    "aws.elb.health_check.latency.sec": "Check time",
    "aws.elb.extra_fields": "Unknown fields",
    "http.request.method": "Method",
    "http.request.bytes": "Received",
    "http.response.bytes": "Sent",
    "event.duration": "Duration",
    "source.ip": "Client",
    "url.domain": "Host",
    "url.path": "Path",
    "url.template": "Route",
    "user_agent.original": "User agent",
    "trace.id": "Trace",
    "tls.version": "TLS version",
    "tls.cipher": "Cipher",
    "aws.s3.object.key": "Object",
    "error.type": "Error",
    "event.original": "Line",
    "error.message": "Why",
    "log.offset": "Offset",
    "kind": "Log",
    "state": "State",
    "route": "Read by",
    "aws.elb.tls_keyexchange": "Key exchange",
    "source.geo.country_name": "Country",
    "lag.delivery.sec": "Delivery lag",
    "lag.ingest.sec": "Ingest lag",
}
"""What people call a field; it is on columns, filters and in Discover."""

_FORMATS: Mapping[str, Format] = {
    "http.request.bytes": Format.BYTES,
    "http.response.bytes": Format.BYTES,
    "bytes": Format.BYTES,
    "event.duration": Format.NANOSECONDS,
    "http.response.status_code": Format.CODE,
    "aws.elb.backend.http.response.status_code": Format.CODE,
    "source.port": Format.CODE,
    "aws.elb.backend.port": Format.CODE,
    "trace.id": Format.TRACE,
}


def formats_of(view: View) -> dict[str, Format]:
    """Return how the fields of a view are written, where that is not how Kibana writes them."""
    formats = {name: shape for name, shape in _FORMATS.items() if name in view.fields}
    times = {name: Format.SECONDS for name in view.fields if name.endswith(".sec")}
    return formats | times


def labels_of(view: View) -> dict[str, str]:
    """Return what the fields of a view are called, where that is not their name."""
    return {name: label for name, label in LABELS.items() if name in view.fields}
