"""
Hold the one field table: column of a log line -> field of the document.

The reference parser, the encoder, the index mappings and `docs/fields.md` are all made from this
table or checked against it. It holds no rule: how a column is typed is `parsing`'s business, what
becomes of it `document`'s.

Columns are named as AWS names them (`client:port` becomes `client_port`, for a name in a grok
pattern is a word); fields as ECS 8.11 does, and where it has no name, as Elastic's AWS ELB
integration does.

- access: docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
- connection: …/load-balancer-connection-logs.html
- health check: …/load-balancer-health-check-logs.html
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

FieldType = Literal["keyword", "long", "float", "date", "ip", "boolean", "geo_point"]


class Kind(StrEnum):
    """The three logs that an Application Load Balancer writes."""

    ACCESS = "access"
    CONNECTION = "connection"
    HEALTH_CHECK = "health-check"


class Form(StrEnum):
    """What a column holds, and so how it is typed and into what it is taken apart."""

    TEXT = "text"
    INTEGER = "integer"
    SECONDS = "seconds"  # a decimal number; -1 means absent
    INSTANT = "instant"  # YYYY-MM-DDTHH:MM:SS[.1-6 digits]Z
    ADDRESS = "ip:port"
    COMMA_LIST = "list, by commas"
    SPACE_LIST = "list, by spaces"
    LOAD_BALANCER = "app/NAME/ID"
    REQUEST_LINE = "METHOD URL VERSION"
    TLS_PROTOCOL = "TLS protocol"
    TARGET_GROUP_ARN = "target group ARN"
    TARGET_GROUP_ID = "target group NAME/ID"
    TARGET = "ip:port or Lambda ARN"
    TRACE_ID = "X-Amzn-Trace-Id"
    CERTIFICATE = "certificate ARN or session-reused"
    VALIDITY = "NotBefore=…;NotAfter=…"
    VERIFY_STATUS = "Success or Failed:CODE"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a document, and how it is mapped."""

    name: str
    type: FieldType
    about: str
    aliases: tuple[str, ...] = ()
    array: bool = False
    index: bool = True
    doc_values: bool = True


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a log line, and the fields that may come of it."""

    name: str
    form: Form
    fields: tuple[Field, ...]


def _keyword(name: str, about: str, *aliases: str) -> Field:
    return Field(name, "keyword", about, aliases)


def _detail(name: str, about: str, *aliases: str, array: bool = False) -> Field:
    """Describe a text that other fields tell in part, or that nearly all documents share."""
    return Field(name, "keyword", about, aliases, array=array, index=False)


def _text(column: str, name: str, about: str, *aliases: str) -> Column:
    return Column(column, Form.TEXT, (_keyword(name, about, *aliases),))


def _integer(column: str, name: str, about: str, *aliases: str) -> Column:
    return Column(column, Form.INTEGER, (Field(name, "long", about, aliases),))


def _measure(column: str, name: str, about: str, *aliases: str) -> Column:
    """Describe a number that people aggregate far more often than they filter by it."""
    return Column(column, Form.INTEGER, (Field(name, "long", about, aliases, index=False),))


def _seconds(column: str, name: str, about: str, *aliases: str, index: bool = False) -> Column:
    return Column(column, Form.SECONDS, (Field(name, "float", about, aliases, index=index),))


def _port(name: str, about: str, *aliases: str) -> Field:
    return Field(name, "long", about, aliases, index=False)


# --- columns that several logs share -------------------------------------------------------------

_TIME = Field("@timestamp", "date", "when the load balancer logged the event", ("event.end",))
_LOAD_BALANCER = Column(
    "elb",
    Form.LOAD_BALANCER,
    (
        _keyword("aws.elb.name", "the load balancer as logged: app/NAME/ID"),
        _keyword("observer.name", "the load balancer's NAME, which people filter by"),
    ),
)
_NODE = Column(
    "ip_address",
    Form.TEXT,
    (Field("observer.ip", "ip", "the load balancer node that handled it", index=False),),
)
_SOURCE_IP = Field("source.ip", "ip", "the client", ("client.ip",))
_SOURCE_PORT = _port("source.port", "the client's port", "client.port")
_BACKEND_IP = Field("aws.elb.backend.ip", "ip", "the target")
_BACKEND_PORT = _port("aws.elb.backend.port", "the target's port")
_TARGET_GROUP_NAME = _keyword("aws.elb.target_group.name", "the target group's NAME")
_TLS_PROTOCOL = (
    _detail("aws.elb.ssl_protocol", "the TLS protocol as logged"),
    _keyword("tls.version", "the version of the protocol: 1.2"),
    _detail("tls.version_protocol", "tls or ssl"),
)
_TLS_CIPHER = ("tls.cipher", "the cipher suite", "aws.elb.ssl_cipher")
_ERROR_REASON = (
    "error_reason",
    "aws.elb.error.reason",
    "why the load balancer answered so",
    "error.code",
)
_CONNECTION_TRACE = Column(
    "conn_trace_id",
    Form.TEXT,
    (
        Field(
            "aws.elb.conn_trace_id",
            "keyword",
            "the connection, in both access and connection log",
            doc_values=False,
        ),
    ),
)

TAIL = Field(
    "aws.elb.extra_fields",
    "keyword",
    "values of columns that AWS added after the last known one, in order",
    array=True,
)

# --- the columns of each log, in their order -----------------------------------------------------

_ACCESS = (
    _text("type", "aws.elb.type", "the kind of request: http, https, h2, grpcs, ws, wss"),
    Column("time", Form.INSTANT, (_TIME,)),
    _LOAD_BALANCER,
    Column("client_port", Form.ADDRESS, (_SOURCE_IP, _SOURCE_PORT)),
    Column("target_port", Form.ADDRESS, (_BACKEND_IP, _BACKEND_PORT)),
    _seconds(
        "request_processing_time",
        "aws.elb.request_processing_time.sec",
        "seconds until the request was sent to a target",
    ),
    _seconds(
        "target_processing_time",
        "aws.elb.backend_processing_time.sec",
        "seconds until the target began its answer",
        "aws.elb.target_processing_time.sec",
        index=True,
    ),
    _seconds(
        "response_processing_time",
        "aws.elb.response_processing_time.sec",
        "seconds until the answer was sent to the client",
    ),
    _integer("elb_status_code", "http.response.status_code", "the status the client saw"),
    _integer(
        "target_status_code",
        "aws.elb.backend.http.response.status_code",
        "the status the target gave",
    ),
    _measure(
        "received_bytes",
        "http.request.bytes",
        "bytes from the client, headers included",
        "http.request.body.bytes",
        "source.bytes",
    ),
    _measure(
        "sent_bytes",
        "http.response.bytes",
        "bytes to the client, headers included",
        "http.response.body.bytes",
        "destination.bytes",
    ),
    Column(
        "request_line",
        Form.REQUEST_LINE,
        (
            _keyword("http.request.method", "the method"),
            _detail("url.original", "the URL, or the whole odd request line", "url.full"),
            _detail("url.scheme", "the URL's scheme"),
            _keyword("url.domain", "the URL's host"),
            _port("url.port", "the URL's port"),
            _keyword("url.path", "the URL's path"),
            _detail("url.query", "the URL's query, without its question mark"),
            _keyword("url.template", "the path with id-like segments as {id}: group by this"),
            _detail("http.version", "the HTTP version: 1.1, 2.0"),
        ),
    ),
    Column("user_agent", Form.TEXT, (_detail("user_agent.original", "the User-Agent header"),)),
    _text("ssl_cipher", *_TLS_CIPHER),
    Column("ssl_protocol", Form.TLS_PROTOCOL, _TLS_PROTOCOL),
    Column(
        "target_group_arn",
        Form.TARGET_GROUP_ARN,
        (_detail("aws.elb.target_group.arn", "the target group"), _TARGET_GROUP_NAME),
    ),
    Column(
        "trace_id",
        Form.TRACE_ID,
        (
            Field("trace.id", "keyword", "the bare Root id of the trace", doc_values=False),
            Field(
                "aws.elb.trace_id",
                "keyword",
                "the trace header as logged, where it says more than the Root id",
                doc_values=False,
            ),
        ),
    ),
    _text("domain_name", "tls.client.server_name", "the SNI domain", "destination.domain"),
    Column(
        "chosen_cert_arn",
        Form.CERTIFICATE,
        (
            _detail("aws.elb.chosen_cert.arn", "the certificate presented to the client"),
            Field("tls.resumed", "boolean", "true where the TLS session was reused"),
        ),
    ),
    _measure(
        "matched_rule_priority",
        "aws.elb.matched_rule_priority",
        "the listener rule that matched; 0 the default, -1 an error",
    ),
    Column(
        "request_creation_time",
        Form.INSTANT,
        (Field("event.start", "date", "when the request was received", index=False),),
    ),
    Column(
        "actions_executed",
        Form.COMMA_LIST,
        (
            Field(
                "aws.elb.action_executed",
                "keyword",
                "what the load balancer did: forward, redirect, waf, …",
                ("event.action",),
                array=True,
            ),
        ),
    ),
    _text("redirect_url", "aws.elb.redirect_url", "where the client was sent"),
    _text(*_ERROR_REASON),
    Column(
        "target_port_list",
        Form.SPACE_LIST,
        (_detail("aws.elb.target_port", "the targets, each ip:port", array=True),),
    ),
    Column(
        "target_status_code_list",
        Form.SPACE_LIST,
        (_detail("aws.elb.target_status_code", "the targets' statuses", array=True),),
    ),
    _text(
        "classification", "aws.elb.classification", "desync mitigation: Acceptable, Ambiguous, …"
    ),
    _text("classification_reason", "aws.elb.classification_reason", "why it was classified so"),
    _CONNECTION_TRACE,
    _text("transformed_host", "aws.elb.transformed_host", "the host header after a transform"),
    _text("transformed_uri", "aws.elb.transformed_uri", "the URI after a transform"),
    _text("request_transform_status", "aws.elb.request_transform_status", "how the transform went"),
    _NODE,
)

_CONNECTION = (
    Column("timestamp", Form.INSTANT, (_TIME,)),
    Column("client_ip", Form.TEXT, (_SOURCE_IP,)),
    Column("client_port", Form.INTEGER, (_SOURCE_PORT,)),
    Column(
        "listener_port",
        Form.INTEGER,
        (_port("destination.port", "the listener's port"),),
    ),
    Column("tls_protocol", Form.TLS_PROTOCOL, _TLS_PROTOCOL),
    _text("tls_cipher", *_TLS_CIPHER),
    _seconds(
        "tls_handshake_latency",
        "aws.elb.tls_handshake_latency.sec",
        "seconds that the handshake took",
    ),
    _text("leaf_client_cert_subject", "tls.client.subject", "the client certificate's subject"),
    Column(
        "leaf_client_cert_validity",
        Form.VALIDITY,
        (
            Field("tls.client.not_before", "date", "the client certificate is valid from"),
            Field("tls.client.not_after", "date", "the client certificate is valid until"),
        ),
    ),
    _text(
        "leaf_client_cert_serial_number",
        "tls.client.x509.serial_number",
        "the client certificate's serial number",
    ),
    Column(
        "tls_verify_status",
        Form.VERIFY_STATUS,
        (
            _keyword("aws.elb.tls_verify_status", "Success or Failed"),
            _keyword("aws.elb.tls_error_code", "why the handshake failed"),
        ),
    ),
    _CONNECTION_TRACE,
    _text("tls_keyexchange", "aws.elb.tls_keyexchange", "the key exchange"),
    _LOAD_BALANCER,
    _NODE,
)

_HEALTH_CHECK = (
    _text("type", "aws.elb.type", "the kind of check: http, https, h2, grpc, lambda"),
    Column("time", Form.INSTANT, (_TIME,)),
    _seconds(
        "latency", "aws.elb.health_check.latency.sec", "seconds that the check took", index=True
    ),
    Column(
        "target_addr",
        Form.TARGET,
        (
            _BACKEND_IP,
            _BACKEND_PORT,
            _keyword(
                "aws.elb.health_check.target_arn", "the target, where it is a Lambda function"
            ),
        ),
    ),
    Column(
        "target_group_id",
        Form.TARGET_GROUP_ID,
        (
            _keyword("aws.elb.target_group.id", "the target group as logged: NAME/ID"),
            _TARGET_GROUP_NAME,
        ),
    ),
    _text("status", "aws.elb.health_check.status", "PASS or FAIL"),
    _integer("status_code", "http.response.status_code", "the status the target gave"),
    _text("reason_code", *_ERROR_REASON[1:]),
    _LOAD_BALANCER,
    _NODE,
)

COLUMNS: dict[Kind, tuple[Column, ...]] = {
    Kind.ACCESS: _ACCESS,
    Kind.CONNECTION: _CONNECTION,
    Kind.HEALTH_CHECK: _HEALTH_CHECK,
}

FIRST_GENERATION: dict[Kind, int] = {
    Kind.ACCESS: 18,
    Kind.CONNECTION: 12,
    Kind.HEALTH_CHECK: 8,
}
"""Columns of the oldest line of each log: every line has at least these."""

# --- fields that come of no single column --------------------------------------------------------

OUTCOME = _keyword("event.outcome", "success, failure or unknown")
DURATION = Field("event.duration", "long", "nanoseconds from request to answer", index=False)
ERROR_ORIGIN = _keyword(
    "aws.elb.error_origin", "who made the error: target, client, waf, auth, rule or elb"
)

DERIVED: dict[Kind, tuple[Field, ...]] = {
    Kind.ACCESS: (OUTCOME, DURATION, ERROR_ORIGIN),
    Kind.CONNECTION: (OUTCOME,),
    Kind.HEALTH_CHECK: (OUTCOME,),
}

CONSTANTS: dict[Kind, dict[str, str | list[str]]] = {
    kind: {
        "ecs.version": "8.11.0",
        "event.kind": "event",
        "event.category": [category],
        "event.type": [type_],
        "event.module": "aws",
        "event.dataset": dataset,
        "cloud.provider": "aws",
    }
    for kind, category, type_, dataset in (
        (Kind.ACCESS, "web", "access", "aws.elb_logs"),
        (Kind.CONNECTION, "network", "connection", "aws.elb_connection"),
        (Kind.HEALTH_CHECK, "web", "info", "aws.elb_health_check"),
    )
}
"""The same on every document of a kind."""

COMMON = (
    _detail("ecs.version", "the version of ECS that the names follow"),
    _detail("event.kind", "event"),
    _detail("event.category", "web or network", array=True),
    _detail("event.type", "access, connection or info", array=True),
    _detail("event.module", "aws"),
    _keyword("event.dataset", "which of the three logs", "data_stream.dataset"),
    Field("event.ingested", "date", "when the pipeline sent the document"),
    Field(
        "event.original",
        "keyword",
        "the raw line, only where it is asked for",
        index=False,
        doc_values=False,
    ),
    _detail("cloud.provider", "aws"),
    _keyword("cloud.account.id", "the account, from the object's key"),
    _keyword("cloud.region", "the region, from the object's key"),
    _detail("aws.s3.bucket.name", "the bucket of the object that held the line"),
    _keyword("aws.s3.object.key", "the key of the object that held the line"),
)

_GEO = (
    Field("source.geo.location", "geo_point", "where the client's address is registered"),
    _keyword("source.geo.continent_name", "its continent"),
    _keyword("source.geo.country_iso_code", "its country's code"),
    _keyword("source.geo.country_name", "its country"),
    _keyword("source.geo.region_iso_code", "its region's code"),
    _keyword("source.geo.region_name", "its region"),
    _keyword("source.geo.city_name", "its city"),
    Field("source.as.number", "long", "the client's autonomous system"),
    _keyword("source.as.organization.name", "who runs it"),
)
_USER_AGENT = (
    _keyword("user_agent.name", "the browser or program"),
    _keyword("user_agent.version", "its version"),
    _keyword("user_agent.device.name", "the device"),
    _keyword("user_agent.os.name", "the operating system"),
    _keyword("user_agent.os.version", "its version"),
    _keyword("user_agent.os.full", "both in one"),
)

ENRICHED: dict[Kind, tuple[Field, ...]] = {
    Kind.ACCESS: (*_GEO, *_USER_AGENT),
    Kind.CONNECTION: _GEO,
    Kind.HEALTH_CHECK: (),
}
"""Added by the cluster's enrich pipeline, where the cluster has its processors."""

DEAD_LETTER = (
    Field("@timestamp", "date", "when the line was rejected"),
    Field("event.original", "keyword", "the raw line", index=False, doc_values=False),
    Field(
        "event.original_base64",
        "keyword",
        "the raw line in base64, where it is not UTF-8",
        index=False,
        doc_values=False,
    ),
    _keyword("error.type", "why the line was rejected"),
    Field("error.message", "keyword", "the same for people"),
    _keyword("aws.s3.bucket.name", "the bucket of the object that held the line"),
    _keyword("aws.s3.object.key", "the key of the object that held the line"),
    Field("log.offset", "long", "where in the decompressed object the line begins, in bytes"),
    Field("log.length", "long", "bytes of the line, where it was too long to be kept whole"),
    _keyword("labels.pipeline_version", "the version of this package that rejected it"),
)


def fields_of(kind: Kind) -> Iterator[Field]:
    """Give every field that a document of this kind may have."""
    yield from COMMON
    for column in COLUMNS[kind]:
        yield from column.fields
    yield TAIL
    yield from DERIVED[kind]
    yield from ENRICHED[kind]
