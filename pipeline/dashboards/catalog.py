"""List what is imported into Kibana: the dashboards in the order of the menu, and the searches."""

from pipeline.dashboards.conditions import one_of
from pipeline.dashboards.failures import FAILURES, INCIDENT
from pipeline.dashboards.health import HEALTH
from pipeline.dashboards.layout import Dashboard, Search
from pipeline.dashboards.monitor import MONITOR, pinned_monitor
from pipeline.dashboards.overview import OVERVIEW
from pipeline.dashboards.saved import Writer, lines_of
from pipeline.dashboards.security import SECURITY, SUSPECT
from pipeline.dashboards.targets import TARGETS
from pipeline.dashboards.views import ACCESS, CONNECTION, DEAD_LETTERS, HEALTH_CHECK, OBJECTS
from pipeline.dashboards.vocabulary import (
    CLIENT,
    LOAD_BALANCER,
    METHOD,
    ORIGIN,
    PATH,
    REASON,
    SENT,
    STATUS,
    TARGET,
    TARGET_GROUP,
    TARGET_STATUS,
    TARGET_TIME,
    USER_AGENT,
)

DASHBOARDS: tuple[Dashboard, ...] = (OVERVIEW, MONITOR, FAILURES, SECURITY, TARGETS, HEALTH)

SEARCHES: tuple[Search, ...] = (
    Search(
        "lines",
        "ALB lines",
        ACCESS,
        (
            LOAD_BALANCER,
            STATUS,
            METHOD,
            PATH,
            TARGET_TIME,
            "event.duration",
            SENT,
            CLIENT,
            TARGET,
            "trace.id",
        ),
    ),
    Search(
        "error-lines",
        "ALB error lines",
        ACCESS,
        (
            LOAD_BALANCER,
            STATUS,
            TARGET_STATUS,
            ORIGIN,
            REASON,
            METHOD,
            PATH,
            TARGET,
            "event.duration",
            CLIENT,
            "trace.id",
        ),
        INCIDENT,
    ),
    Search(
        "suspect-lines",
        "ALB suspect lines",
        ACCESS,
        (
            LOAD_BALANCER,
            STATUS,
            ORIGIN,
            "aws.elb.classification",
            "aws.elb.classification_reason",
            METHOD,
            PATH,
            CLIENT,
            USER_AGENT,
        ),
        SUSPECT,
    ),
    Search(
        "connections",
        "ALB connections",
        CONNECTION,
        (
            LOAD_BALANCER,
            "aws.elb.tls_verify_status",
            "aws.elb.tls_error_code",
            CLIENT,
            "tls.version",
            "tls.cipher",
            "aws.elb.tls_handshake_latency.sec",
            "tls.client.subject",
            "aws.elb.conn_trace_id",
        ),
    ),
    Search(
        "failed-checks",
        "ALB failed health checks",
        HEALTH_CHECK,
        (
            LOAD_BALANCER,
            TARGET_GROUP,
            TARGET,
            "aws.elb.health_check.status",
            STATUS,
            REASON,
            "aws.elb.health_check.latency.sec",
        ),
        one_of("aws.elb.health_check.status", "FAIL"),
    ),
    Search(
        "rejected-lines",
        "ALB rejected lines",
        DEAD_LETTERS,
        ("error.type", "error.message", "event.original", "aws.s3.object.key", "log.offset"),
    ),
    Search(
        "objects",
        "ALB log objects",
        OBJECTS,
        (
            LOAD_BALANCER,
            "kind",
            "state",
            "route",
            "lines",
            "indexed",
            "rejected",
            "lag.ingest.sec",
            "error.type",
            "aws.s3.object.key",
        ),
    ),
)

READY = ("frontend-alb", "backend-alb")
"""Load balancers whose pinned monitors are among the checked-in files, as examples."""


def dashboards_file(writer: Writer) -> str:
    """Return the file with every object that is not of one load balancer."""
    return lines_of(writer.objects(DASHBOARDS, SEARCHES))


def monitor_file(writer: Writer, title: str, load_balancer: str) -> str:
    """Return the file with the monitor of one load balancer; it needs the objects of the other."""
    return lines_of([writer.dashboard(pinned_monitor(title, load_balancer), DASHBOARDS)])
