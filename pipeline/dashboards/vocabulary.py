"""Name what several dashboards show: fields, and figures that mean the same on all."""

from dataclasses import replace
from typing import TypeAlias

from pipeline.dashboards.columns import Case, Cases, Count, Look, Percentile, Ratio, Terms, Value
from pipeline.dashboards.conditions import Between, Condition, Has, both, one_of
from pipeline.dashboards.palette import (
    BAD,
    CLIENT_ERROR_SHARE,
    ERROR_SHARE,
    GOOD,
    INFO,
    SERIES,
    TARGET_SECONDS,
    WARN,
)
from pipeline.dashboards.views import LABELS, Format

LOAD_BALANCER = "observer.name"
STATUS = "http.response.status_code"
TARGET_STATUS = "aws.elb.backend.http.response.status_code"
TARGET = "aws.elb.backend.ip"
TARGET_GROUP = "aws.elb.target_group.name"
BEFORE_TARGET = "aws.elb.request_processing_time.sec"
TARGET_TIME = "aws.elb.backend_processing_time.sec"
AFTER_TARGET = "aws.elb.response_processing_time.sec"
REASON = "aws.elb.error.reason"
ORIGIN = "aws.elb.error_origin"
ACTION = "aws.elb.action_executed"
CLASSIFICATION = "aws.elb.classification"
HOST, PATH, ROUTE = "url.domain", "url.path", "url.template"
METHOD, PROTOCOL = "http.request.method", "aws.elb.type"
CLIENT, USER_AGENT = "source.ip", "user_agent.original"
RECEIVED, SENT = "http.request.bytes", "http.response.bytes"

Colors: TypeAlias = tuple[tuple[str, str], ...]

# --- conditions ----------------------------------------------------------------------------------

SERVER_ERROR = Between(STATUS, 500)
CLIENT_ERROR = Between(STATUS, 400, 500)
ANY_ERROR = Between(STATUS, 400)
TARGET_ERROR = Between(TARGET_STATUS, 500)
REACHED_TARGET = Has(TARGET)
OF_TARGET = one_of(ORIGIN, "target")


def status(*codes: int) -> Condition:
    """Return the condition that the client saw one of these statuses."""
    return one_of(STATUS, *codes)


# --- figures -------------------------------------------------------------------------------------

REQUESTS = Count("requests", "Requests", look=Look(color=INFO))
WEEK_BEFORE = Count("before", "a week before", shift="1w", look=Look(color="#98a2b3"))
ERRORS = Count("errors", "5xx", SERVER_ERROR, look=Look(color=BAD))
ERROR_RATIO = Ratio(
    "share", "5xx share", SERVER_ERROR, look=Look(Format.PERCENT, None, ERROR_SHARE)
)
CLIENT_ERROR_RATIO = Ratio(
    "client", "4xx share", CLIENT_ERROR, look=Look(Format.PERCENT, None, CLIENT_ERROR_SHARE)
)
TARGET_ERROR_RATIO = Ratio(
    "share", "5xx share", TARGET_ERROR, look=Look(Format.PERCENT, None, ERROR_SHARE)
)
BYTES_SENT = Value("sent", "Sent", "sum", SENT, look=Look(Format.BYTES, SERIES[0]))
BYTES_RECEIVED = Value("received", "Received", "sum", RECEIVED, look=Look(Format.BYTES, SERIES[1]))
LAST_SEEN = Value("seen", "Last seen", "max", "@timestamp", look=Look(Format.DATE))


def target_time(percent: float) -> Percentile:
    """Return how long so many percent of the requests waited for the target, at most."""
    colors = {50: GOOD, 90: INFO, 95: WARN, 99: BAD}
    look = Look(Format.SECONDS, colors.get(int(percent)), TARGET_SECONDS)
    return Percentile(f"p{percent:g}", f"p{percent:g}", percent, TARGET_TIME, look=look)


def labelled(percentile: Percentile, label: str) -> Percentile:
    """Return a percentile under another name."""
    return replace(percentile, label=label)


def plain(percentile: Percentile) -> Percentile:
    """Return a percentile whose value is not coloured."""
    return replace(percentile, look=replace(percentile.look, levels=None))


# --- divisions -----------------------------------------------------------------------------------

CLASSES = Cases(
    "class",
    "Class",
    (
        Case("2xx", Between(STATUS, 200, 300), GOOD),
        Case("3xx", Between(STATUS, 300, 400), INFO),
        Case("4xx", Between(STATUS, 400, 500), WARN),
        Case("5xx", Between(STATUS, 500), BAD),
    ),
)
TIME_BANDS = Cases(
    "band",
    "Target time",
    (
        Case("< 50 ms", Between(TARGET_TIME, 0, 0.05)),
        Case("50 to 200 ms", Between(TARGET_TIME, 0.05, 0.2)),
        Case("200 ms to 1 s", Between(TARGET_TIME, 0.2, 1)),
        Case("1 to 5 s", Between(TARGET_TIME, 1, 5)),
        Case("5 s and more", Between(TARGET_TIME, 5)),
    ),
)
ORIGINS: Colors = (
    ("target", BAD),
    ("elb", WARN),
    ("client", INFO),
    ("waf", SERIES[2]),
    ("auth", SERIES[3]),
    ("rule", SERIES[5]),
)
TLS_VERSIONS: Colors = (("1.3", GOOD), ("1.2", INFO), ("1.1", WARN), ("1.0", BAD))
SLOW = Between(TARGET_TIME, 1)
OLD_TLS = one_of("tls.version", "1.0", "1.1")
NOT_ACCEPTABLE = both(Has(CLASSIFICATION), one_of(CLASSIFICATION, "Ambiguous", "Severe"))


def by(field: str, size: int = 10, *, metric: str = "requests", colors: Colors = ()) -> Terms:
    """Return the values of a field that are first by a metric of the panel."""
    return Terms(_id_of(field), LABELS.get(field, field), field, size, by=metric, colors=colors)


def by_hidden(field: str, order: Count, size: int = 10) -> Terms:
    """Return the values of a field that are first by a count that the panel does not show."""
    return Terms(_id_of(field), LABELS.get(field, field), field, size, order=order)


def _id_of(field: str) -> str:
    return "by_" + field.replace(".", "_").replace("@", "")
