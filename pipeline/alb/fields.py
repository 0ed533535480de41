"""
Hold the one field table: column of a log line -> field of the document.

The reference parser, the encoder, the index mappings and `docs/fields.md` are all made from this
table or checked against it. It holds no rules: `parsing` decides how a column is typed, `document`
how it is split into its fields.

Columns have AWS's names (`client:port` becomes `client_port`, because names in grok patterns are
words). Fields have ECS 8.11's names and, where ECS has none, those of Elastic's AWS ELB
integration.

- access: docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
- connection: …/load-balancer-connection-logs.html
- health check: …/load-balancer-health-check-logs.html
"""

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import Literal

FieldType = Literal[
    "keyword", "constant_keyword", "long", "float", "date", "ip", "boolean", "geo_point"
]


class Kind(StrEnum):
    """The three logs that an Application Load Balancer writes."""

    ACCESS = "access"
    CONNECTION = "connection"
    HEALTH_CHECK = "health-check"


class Form(StrEnum):
    """What a column holds: decides how it is typed and which parts it is split into."""

    TEXT = "text"
    INTEGER = "integer"
    SECONDS = "seconds"  # a decimal number; -1 means absent
    INSTANT = "instant"  # YYYY-MM-DDTHH:MM:SS[.1-6 digits]Z
    IP = "ip"
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
    DOMAIN = "domain name"
    CERTIFICATE = "certificate ARN or session-reused"
    VALIDITY = "NotBefore=…;NotAfter=…"
    VERIFY_STATUS = "Success or Failed:CODE"


@dataclass(frozen=True, slots=True)
class Field:
    """
    One field of a document, and how it is mapped.

    Without an index it is found through its doc values, only slower: for details that other fields
    say in part, for what nearly all documents share, and for numbers that people aggregate far more
    often than they filter by. Without doc values it is found but cannot be aggregated or sorted by.
    """

    name: str
    type: FieldType
    _: KW_ONLY
    about: str
    aliases: tuple[str, ...] = ()
    array: bool = False
    index: bool = True
    doc_values: bool = True


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a log line, and the fields that may come from it."""

    name: str
    form: Form
    fields: tuple[Field, ...]


def _column(name: str, form: Form, *fields: Field) -> Column:
    return Column(name, form, fields)


# The tables are laid out by hand: a column's name and form, and below it a field to a line.
# fmt: off

# --- columns and fields that several logs share --------------------------------------------------

_TIMESTAMP = Field("@timestamp", "date", about="when the load balancer logged the event",
                   aliases=("event.end",))
_SOURCE_IP = Field("source.ip", "ip", about="the client", aliases=("client.ip",))
_SOURCE_PORT = Field("source.port", "long", about="the client's port", aliases=("client.port",),
                     index=False)
_BACKEND_IP = Field("aws.elb.backend.ip", "ip", about="the target")
_BACKEND_PORT = Field("aws.elb.backend.port", "long", about="the target's port", index=False)
_TLS_CIPHER = Field("tls.cipher", "keyword", about="the cipher suite",
                    aliases=("aws.elb.ssl_cipher",))
_TLS_PROTOCOL = (
    Field("aws.elb.ssl_protocol", "keyword", about="the TLS protocol as logged, if unknown",
          index=False),
    Field("tls.version", "keyword", about="the version of the protocol: 1.2"),
    Field("tls.version_protocol", "keyword", about="tls or ssl", index=False),
)
_TARGET_GROUP_NAME = Field("aws.elb.target_group.name", "keyword", about="the target group's NAME")
_ERROR_REASON = Field("aws.elb.error.reason", "keyword", about="why the load balancer answered so",
                      aliases=("error.code",))

_CONNECTION_TRACE = _column("conn_trace_id", Form.TEXT,
    Field("aws.elb.conn_trace_id", "keyword",
          about="the connection, in both access and connection log", doc_values=False))
_LOAD_BALANCER = _column("elb", Form.LOAD_BALANCER,
    Field("aws.elb.name", "keyword", about="the load balancer as logged: app/NAME/ID"),
    Field("observer.name", "keyword", about="the load balancer's NAME, which people filter by"))
_NODE = _column("ip_address", Form.IP,
    Field("observer.ip", "ip", about="the load balancer node that handled it", index=False))

# --- the columns of each log, in their order -----------------------------------------------------

_ACCESS = (
    _column("type", Form.TEXT,
        Field("aws.elb.type", "keyword",
              about="the kind of request: http, https, h2, grpcs, ws, wss")),
    _column("time", Form.INSTANT, _TIMESTAMP),
    _LOAD_BALANCER,
    _column("client_port", Form.ADDRESS, _SOURCE_IP, _SOURCE_PORT),
    _column("target_port", Form.ADDRESS, _BACKEND_IP, _BACKEND_PORT),
    _column("request_processing_time", Form.SECONDS,
        Field("aws.elb.request_processing_time.sec", "float",
              about="seconds until the request was sent to a target", index=False)),
    _column("target_processing_time", Form.SECONDS,
        Field("aws.elb.backend_processing_time.sec", "float",
              about="seconds until the target began its answer",
              aliases=("aws.elb.target_processing_time.sec",))),
    _column("response_processing_time", Form.SECONDS,
        Field("aws.elb.response_processing_time.sec", "float",
              about="seconds until the answer was sent to the client", index=False)),
    _column("elb_status_code", Form.INTEGER,
        Field("http.response.status_code", "long", about="the status the client saw")),
    _column("target_status_code", Form.INTEGER,
        Field("aws.elb.backend.http.response.status_code", "long",
              about="the status the target gave")),
    _column("received_bytes", Form.INTEGER,
        Field("http.request.bytes", "long", about="bytes from the client, headers included",
              aliases=("http.request.body.bytes", "source.bytes"), index=False)),
    _column("sent_bytes", Form.INTEGER,
        Field("http.response.bytes", "long", about="bytes to the client, headers included",
              aliases=("http.response.body.bytes", "destination.bytes"), index=False)),
    _column("request_line", Form.REQUEST_LINE,
        Field("http.request.method", "keyword", about="the method"),
        Field("url.original", "keyword", about="the URL, or the whole odd request line",
              aliases=("url.full",), index=False),
        Field("url.scheme", "keyword", about="the URL's scheme", index=False),
        Field("url.domain", "keyword", about="the URL's host"),
        Field("url.port", "long", about="the URL's port", index=False),
        Field("url.path", "keyword", about="the URL's path"),
        Field("url.query", "keyword", about="the URL's query, without its question mark",
              index=False),
        Field("url.template", "keyword",
              about="the path with id-like segments as {id}: group by this"),
        Field("http.version", "keyword", about="the HTTP version: 1.1, 2.0", index=False)),
    _column("user_agent", Form.TEXT,
        Field("user_agent.original", "keyword", about="the User-Agent header", index=False)),
    _column("ssl_cipher", Form.TEXT, _TLS_CIPHER),
    _column("ssl_protocol", Form.TLS_PROTOCOL, *_TLS_PROTOCOL),
    _column("target_group_arn", Form.TARGET_GROUP_ARN,
        Field("aws.elb.target_group.arn", "keyword", about="the target group", index=False),
        _TARGET_GROUP_NAME),
    _column("trace_id", Form.TRACE_ID,
        Field("trace.id", "keyword", about="the bare Root id of the trace", doc_values=False),
        Field("aws.elb.trace_id", "keyword",
              about="the trace header as logged, where it says more than the Root id",
              doc_values=False)),
    _column("domain_name", Form.DOMAIN,
        Field("tls.client.server_name", "keyword", about="the SNI domain",
              aliases=("destination.domain",))),
    _column("chosen_cert_arn", Form.CERTIFICATE,
        Field("aws.elb.chosen_cert.arn", "keyword",
              about="the certificate presented to the client", index=False),
        Field("tls.resumed", "boolean", about="true where the TLS session was reused")),
    _column("matched_rule_priority", Form.INTEGER,
        Field("aws.elb.matched_rule_priority", "long",
              about="the listener rule that matched; 0 the default, -1 an error", index=False)),
    _column("request_creation_time", Form.INSTANT,
        Field("event.start", "date", about="when the request was received", index=False)),
    _column("actions_executed", Form.COMMA_LIST,
        Field("aws.elb.action_executed", "keyword",
              about="what the load balancer did: forward, redirect, waf, …",
              aliases=("event.action",), array=True)),
    _column("redirect_url", Form.TEXT,
        Field("aws.elb.redirect_url", "keyword", about="where the client was sent")),
    _column("error_reason", Form.TEXT, _ERROR_REASON),
    _column("target_port_list", Form.SPACE_LIST,
        Field("aws.elb.target_port", "keyword", about="the targets, each ip:port",
              array=True, index=False)),
    _column("target_status_code_list", Form.SPACE_LIST,
        Field("aws.elb.target_status_code", "keyword", about="the targets' statuses",
              array=True, index=False)),
    _column("classification", Form.TEXT,
        Field("aws.elb.classification", "keyword",
              about="desync mitigation: Acceptable, Ambiguous, …")),
    _column("classification_reason", Form.TEXT,
        Field("aws.elb.classification_reason", "keyword", about="why it was classified so")),
    _CONNECTION_TRACE,
    _column("transformed_host", Form.TEXT,
        Field("aws.elb.transformed_host", "keyword", about="the host header after a transform")),
    _column("transformed_uri", Form.TEXT,
        Field("aws.elb.transformed_uri", "keyword", about="the URI after a transform")),
    _column("request_transform_status", Form.TEXT,
        Field("aws.elb.request_transform_status", "keyword", about="how the transform went")),
    _NODE,
)

_CONNECTION = (
    _column("timestamp", Form.INSTANT, _TIMESTAMP),
    _column("client_ip", Form.IP, _SOURCE_IP),
    _column("client_port", Form.INTEGER, _SOURCE_PORT),
    _column("listener_port", Form.INTEGER,
        Field("destination.port", "long", about="the listener's port", index=False)),
    _column("tls_protocol", Form.TLS_PROTOCOL, *_TLS_PROTOCOL),
    _column("tls_cipher", Form.TEXT, _TLS_CIPHER),
    _column("tls_handshake_latency", Form.SECONDS,
        Field("aws.elb.tls_handshake_latency.sec", "float",
              about="seconds that the handshake took", index=False)),
    _column("leaf_client_cert_subject", Form.TEXT,
        Field("tls.client.subject", "keyword", about="the client certificate's subject")),
    _column("leaf_client_cert_validity", Form.VALIDITY,
        Field("tls.client.not_before", "date", about="the client certificate is valid from"),
        Field("tls.client.not_after", "date", about="the client certificate is valid until")),
    _column("leaf_client_cert_serial_number", Form.TEXT,
        Field("tls.client.x509.serial_number", "keyword",
              about="the client certificate's serial number")),
    _column("tls_verify_status", Form.VERIFY_STATUS,
        Field("aws.elb.tls_verify_status", "keyword", about="Success or Failed"),
        Field("aws.elb.tls_error_code", "keyword", about="why the handshake failed")),
    _CONNECTION_TRACE,
    _column("tls_keyexchange", Form.TEXT,
        Field("aws.elb.tls_keyexchange", "keyword", about="the key exchange")),
    _LOAD_BALANCER,
    _NODE,
)

_HEALTH_CHECK = (
    _column("type", Form.TEXT,
        Field("aws.elb.type", "keyword", about="the kind of check: http, https, h2, grpc, lambda")),
    _column("time", Form.INSTANT, _TIMESTAMP),
    _column("latency", Form.SECONDS,
        Field("aws.elb.health_check.latency.sec", "float", about="seconds that the check took")),
    _column("target_addr", Form.TARGET,
        _BACKEND_IP,
        _BACKEND_PORT,
        Field("aws.elb.health_check.target_arn", "keyword",
              about="the target, where it is a Lambda function")),
    _column("target_group_id", Form.TARGET_GROUP_ID,
        Field("aws.elb.target_group.id", "keyword", about="the target group as logged: NAME/ID"),
        _TARGET_GROUP_NAME),
    _column("status", Form.TEXT,
        Field("aws.elb.health_check.status", "keyword", about="PASS or FAIL")),
    _column("status_code", Form.INTEGER,
        Field("http.response.status_code", "long", about="the status the target gave")),
    _column("reason_code", Form.TEXT, _ERROR_REASON),
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
    Kind.CONNECTION: 11,
    Kind.HEALTH_CHECK: 8,
}
"""How many columns the oldest lines of each log have; every line has at least these."""

# --- fields that come from no single column ------------------------------------------------------

TAIL = Field("aws.elb.extra_fields", "keyword",
             about="values of columns that AWS added after the last known one, in order",
             array=True)

OUTCOME = Field("event.outcome", "keyword", about="success, failure or unknown")
DURATION = Field("event.duration", "long", about="nanoseconds from request to answer", index=False)
ERROR_ORIGIN = Field("aws.elb.error_origin", "keyword",
                     about="who made the error: target, client, waf, auth, rule or elb")

DERIVED: dict[Kind, tuple[Field, ...]] = {
    Kind.ACCESS: (OUTCOME, DURATION, ERROR_ORIGIN),
    Kind.CONNECTION: (OUTCOME,),
    Kind.HEALTH_CHECK: (OUTCOME,),
}

COMMON = (
    Field("event.original", "keyword", about="the raw line, only where it is asked for",
          index=False, doc_values=False),
    Field("cloud.account.id", "keyword", about="the account, from the object's key"),
    Field("cloud.region", "keyword", about="the region, from the object's key"),
)

PROVENANCE = (
    Field("event.ingested", "date", about="when the pipeline sent the document"),
    Field("aws.s3.bucket.name", "keyword", about="the bucket of the object that held the line",
          index=False),
    Field("aws.s3.object.key", "keyword", about="the key of the object that held the line"),
)
"""Where a document comes from, only where it is asked for."""

CONSTANT = (
    Field("ecs.version", "constant_keyword", about="the version of ECS that the names follow"),
    Field("event.kind", "constant_keyword", about="event"),
    Field("event.category", "constant_keyword", about="web or network"),
    Field("event.type", "constant_keyword", about="access, connection or info"),
    Field("event.module", "constant_keyword", about="aws"),
    Field("event.dataset", "constant_keyword", about="which of the three logs",
          aliases=("data_stream.dataset",)),
    Field("cloud.provider", "constant_keyword", about="aws"),
)
"""The same on every document of a kind: they stand in the mapping, not in the documents."""

CONSTANTS: dict[Kind, dict[str, str]] = {
    kind: {
        "ecs.version": "8.11.0",
        "event.kind": "event",
        "event.category": category,
        "event.type": type_,
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
"""The values of the constant fields."""

_GEO = (
    Field("source.geo.location", "geo_point", about="where the client's address is registered"),
    Field("source.geo.continent_name", "keyword", about="its continent"),
    Field("source.geo.country_iso_code", "keyword", about="its country's code"),
    Field("source.geo.country_name", "keyword", about="its country"),
    Field("source.geo.region_iso_code", "keyword", about="its region's code"),
    Field("source.geo.region_name", "keyword", about="its region"),
    Field("source.geo.city_name", "keyword", about="its city"),
    Field("source.as.number", "long", about="the client's autonomous system"),
    Field("source.as.organization.name", "keyword", about="who runs it"),
)
_USER_AGENT = (
    Field("user_agent.name", "keyword", about="the browser or program"),
    Field("user_agent.version", "keyword", about="its version"),
    Field("user_agent.device.name", "keyword", about="the device"),
    Field("user_agent.os.name", "keyword", about="the operating system"),
    Field("user_agent.os.version", "keyword", about="its version"),
    Field("user_agent.os.full", "keyword", about="its name and version"),
)

ENRICHED: dict[Kind, tuple[Field, ...]] = {
    Kind.ACCESS: (*_GEO, *_USER_AGENT),
    Kind.CONNECTION: _GEO,
    Kind.HEALTH_CHECK: (),
}
"""Added by the cluster's enrich pipeline, where the cluster has its processors."""

ERASED = Field("labels.erased", "date", about="when what is personal in it was erased")
"""The mark of a document or dead letter that `alb-logs erase` has changed."""

DEAD_LETTER = (
    Field("@timestamp", "date", about="when the line was rejected"),
    Field("event.original", "keyword", about="the raw line", index=False, doc_values=False),
    Field("event.original_base64", "keyword",
          about="the raw line in base64, where it is not UTF-8", index=False, doc_values=False),
    Field("error.type", "keyword", about="why the line was rejected"),
    Field("error.message", "keyword", about="the reason, for people to read"),
    Field("aws.s3.bucket.name", "keyword", about="the bucket of the object that held the line"),
    Field("aws.s3.object.key", "keyword", about="the key of the object that held the line"),
    Field("log.offset", "long",
          about="where in the decompressed object the line begins, in bytes"),
    Field("log.length", "long",
          about="bytes of the line, where it was too long to be kept whole"),
    Field("labels.pipeline_version", "keyword",
          about="the version of this package that rejected it"),
    ERASED,
)

LEDGER = (
    Field("@timestamp", "date", about="when the object's five minutes end"),
    Field("event.ingested", "date", about="when the entry was written"),
    Field("event.start", "date", about="the time of the first event that was indexed"),
    Field("event.end", "date", about="the time of the last event that was indexed"),
    Field("aws.s3.bucket.name", "keyword", about="the object's bucket"),
    Field("aws.s3.object.key", "keyword", about="the object's key"),
    Field("aws.s3.object.etag", "keyword", about="its version, by the ETag without quotes"),
    Field("kind", "keyword", about="access, connection or health-check"),
    Field("cloud.account.id", "keyword", about="the account, from the object's key"),
    Field("cloud.region", "keyword", about="the region, from the object's key"),
    Field("aws.elb.name", "keyword", about="the load balancer: app/NAME/ID"),
    Field("observer.name", "keyword", about="the load balancer's NAME"),
    Field("state", "keyword", about="complete, partial (it goes on) or failed"),
    Field("route", "keyword", about="who read it: lambda, ingest or backfill"),
    Field("lines", "long", about="lines read; the terms from here to truncated sum up to it"),
    Field("indexed", "long", about="documents that were new in the run that wrote the entry"),
    Field("duplicates", "long", about="documents that were there already"),
    Field("rejected", "long", about="lines that became dead letters"),
    Field("filtered", "long", about="lines left out on purpose"),
    Field("blank", "long", about="lines of nothing but spaces and tabs"),
    Field("truncated", "long", about="an unfinished last line of an object that is cut"),
    Field("repeated", "long", about="lines equal to another of the same part, among duplicates"),
    Field("bytes", "long", about="decompressed bytes of the lines read"),
    Field("offset", "long", about="the end of the decompressed text that is accounted for"),
    Field("duration.sec", "float", about="seconds that the work took"),
    Field("lag.delivery.sec", "float",
          about="seconds from the end of the object's five minutes to its arrival"),
    Field("lag.ingest.sec", "float",
          about="seconds from its arrival to its last line's being indexed; not of a backfill"),
    Field("error.type", "keyword", about="the kind of error that stopped it"),
    Field("error.message", "keyword", about="the error, for people to read"),
    Field("labels.pipeline_version", "keyword", about="the version of this package that read it"),
)
"""One entry per object and version: how far it came, and what became of its lines."""

# fmt: on


def fields_of(kind: Kind) -> Iterator[Field]:
    """Yield every field that a document of this kind may have."""
    yield from COMMON
    yield from PROVENANCE
    yield from CONSTANT
    for column in COLUMNS[kind]:
        yield from column.fields
    yield TAIL
    yield from DERIVED[kind]
    yield from ENRICHED[kind]
    yield ERASED
