"""
Name the groups of access log fields whose cost `fields` measures, and what is asked of each.

Fields that are asked for together, or that say the same, are one group. `@timestamp` is in none: an
index is sorted by it.
"""

from typing import NamedTuple


class Group(NamedTuple):
    """Fields that are left out together, and what is asked of them."""

    name: str
    fields: tuple[str, ...]
    asked: str


# The table is laid out by hand: a group's name and what is asked of it, and below it its fields.
# fmt: off

def _group(name: str, asked: str, *fields: str) -> Group:
    return Group(name, fields, asked)


GROUPS = (
    _group("load balancer", "filter",
           "aws.elb.name", "observer.name"),
    _group("account and region", "filter",
           "cloud.account.id", "cloud.region"),
    _group("load balancer node", "top values",
           "observer.ip"),
    _group("client", "filter, top values, distinct count, enrichment, erasure",
           "source.ip"),
    _group("client's port", "read in single documents",
           "source.port"),
    _group("target", "filter, top values",
           "aws.elb.backend.ip", "aws.elb.backend.port"),
    _group("target group's name", "filter",
           "aws.elb.target_group.name"),
    _group("target group's ARN", "read in single documents",
           "aws.elb.target_group.arn"),
    _group("statuses", "filter, counts",
           "http.response.status_code", "aws.elb.backend.http.response.status_code"),
    _group("outcome, error origin and reason", "filter, counts",
           "event.outcome", "aws.elb.error_origin", "aws.elb.error.reason"),
    _group("target's time", "percentiles, filter (slow requests)",
           "aws.elb.backend_processing_time.sec"),
    _group("other two times", "percentiles",
           "aws.elb.request_processing_time.sec", "aws.elb.response_processing_time.sec"),
    _group("duration and start", "percentiles",
           "event.duration", "event.start"),
    _group("bytes in and out", "sums",
           "http.request.bytes", "http.response.bytes"),
    _group("method", "filter",
           "http.request.method"),
    _group("host", "filter",
           "url.domain"),
    _group("template", "filter, group by",
           "url.template"),
    _group("path", "filter (exact, prefix), top values",
           "url.path"),
    _group("query", "read, rarely searched",
           "url.query"),
    _group("URL as logged", "read, rarely searched",
           "url.original"),
    _group("type, scheme, port, HTTP version", "counts",
           "aws.elb.type", "url.scheme", "url.port", "http.version"),
    _group("user agent", "top values, enrichment",
           "user_agent.original"),
    _group("TLS version and cipher", "filter, counts",
           "tls.version", "tls.version_protocol", "tls.cipher", "aws.elb.ssl_protocol"),
    _group("SNI host and certificate", "counts, filter",
           "tls.client.server_name", "aws.elb.chosen_cert.arn", "tls.resumed"),
    _group("trace ids", "search by one id",
           "trace.id", "aws.elb.trace_id"),
    _group("connection's trace id", "search by one id, joins both logs",
           "aws.elb.conn_trace_id"),
    _group("actions and rule", "filter, counts",
           "aws.elb.action_executed", "aws.elb.matched_rule_priority"),
    _group("what few lines have", "filter, counts",
           "aws.elb.redirect_url", "aws.elb.target_port", "aws.elb.target_status_code",
           "aws.elb.classification", "aws.elb.classification_reason", "aws.elb.transformed_host",
           "aws.elb.transformed_uri", "aws.elb.request_transform_status", "aws.elb.extra_fields"),
)

# fmt: on
