"""ALB log monitor: one load balancer, from what is wrong to who and where."""

from dataclasses import replace

from pipeline.dashboards.columns import Count, Look, Percentile, Ratio
from pipeline.dashboards.conditions import Condition, Has, one_of
from pipeline.dashboards.layout import Dashboard, row, wide
from pipeline.dashboards.palette import CLIENT_ERROR_SHARE, SERIES
from pipeline.dashboards.panels import (
    Limit,
    Lines,
    Note,
    Topic,
    areas,
    bars,
    donut,
    heatmap,
    leading_to,
    lines,
    ranks,
    table,
    tile,
)
from pipeline.dashboards.views import ACCESS, Format
from pipeline.dashboards.vocabulary import (
    AFTER_TARGET,
    BEFORE_TARGET,
    BYTES_RECEIVED,
    BYTES_SENT,
    CLASSES,
    CLIENT,
    CLIENT_ERROR,
    CLIENT_ERROR_RATIO,
    ERROR_RATIO,
    ERRORS,
    HOST,
    LOAD_BALANCER,
    METHOD,
    ORIGIN,
    ORIGINS,
    PROTOCOL,
    REACHED_TARGET,
    REASON,
    REQUESTS,
    ROUTE,
    SERVER_ERROR,
    SLOW,
    TARGET,
    TARGET_ERROR_RATIO,
    TARGET_GROUP,
    TARGET_TIME,
    TIME_BANDS,
    TLS_VERSIONS,
    USER_AGENT,
    WEEK_BEFORE,
    by,
    labelled,
    plain,
    target_time,
)

_NOTE = """\
**Reading order.** 1. Choose the load balancer above. 2. Are the tiles yellow or red? \
3. *5xx by origin*: **target** is your application, **elb** the load balancer could not reach it \
(its reason is in the table), **client** left too early. 4. *Where the time goes*: target time is \
your application. 5. Click a target, route or client to keep only it, then \
**Show its lines**."""


def _part(name: str, label: str, field: str, color: str) -> Percentile:
    return Percentile(name, label, 95, field, look=Look(Format.SECONDS, color))


def _topic(name: str, title: str, question: str, where: Condition | None = None) -> Topic:
    return Topic(name, title, question, ACCESS, where)


_SLOW = Ratio(
    "slow",
    "Slower than 1 s",
    SLOW,
    Has(TARGET_TIME),
    look=Look(Format.PERCENT, None, CLIENT_ERROR_SHARE),
)
_CLIENT_ERRORS = Count("refused", "4xx", CLIENT_ERROR)

_TILES = row(
    6,
    tile(_topic("requests", "Requests", "How much traffic is there?"), REQUESTS, WEEK_BEFORE),
    tile(_topic("error-share", "5xx share", "Which share failed?"), ERROR_RATIO, ERRORS),
    tile(
        _topic("client-error-share", "4xx share", "Which share was refused?"),
        CLIENT_ERROR_RATIO,
        _CLIENT_ERRORS,
    ),
    tile(
        _topic("target-time", "Target p95", "How slow are the targets?"),
        labelled(target_time(95), "Target p95"),
        plain(labelled(target_time(50), "p50")),
    ),
    tile(_topic("slow-share", "Slower than 1 s", "Which share had to wait?"), _SLOW),
    tile(
        _topic("sent", "Sent", "How much was sent and received?"),
        BYTES_SENT,
        replace(BYTES_RECEIVED, label="received"),
    ),
)
_FIRST_LOOK = row(
    12,
    bars(
        _topic("classes", "Requests by status class", "Do requests succeed?"),
        REQUESTS,
        split=CLASSES,
    ),
    lines(
        _topic("latency", "Target time", "How long do requests wait for the target?"),
        *(target_time(percent) for percent in (50, 90, 95, 99)),
        limit=Limit(2, "2 s"),
    ),
)
_WHO_AND_WHERE = row(
    12,
    bars(
        _topic(
            "origins",
            "5xx by origin",
            "Is it the target, or the load balancer itself?",
            SERVER_ERROR,
        ),
        REQUESTS,
        split=by(ORIGIN, 6, colors=ORIGINS),
    ),
    areas(
        _topic("where-time-goes", "Where the time goes, p95", "Before, in or after the target?"),
        _part("before", "before the target", BEFORE_TARGET, SERIES[0]),
        _part("in", "in the target", TARGET_TIME, SERIES[2]),
        _part("after", "after the target", AFTER_TARGET, SERIES[1]),
    ),
)
_REASONS_AND_TIMES = row(
    12,
    table(
        _topic("reasons", "Reasons of errors", "What does the load balancer say?", Has(REASON)),
        (by(REASON, 15), by(ORIGIN, 3)),
        REQUESTS,
    ),
    heatmap(
        _topic("distribution", "Requests by target time", "Are all slow, or only some?"),
        TIME_BANDS,
        REQUESTS,
    ),
)
_TARGETS = row(
    17,
    leading_to(
        table(
            _topic("groups", "Target groups", "Which target group fails or is slow?"),
            by(TARGET_GROUP, 30),
            REQUESTS,
            ERRORS,
            ERROR_RATIO,
            target_time(95),
        ),
        "targets",
    ),
    leading_to(
        table(
            _topic("targets", "Targets", "Is it one target, or all of them?", REACHED_TARGET),
            by(TARGET, 50),
            REQUESTS,
            TARGET_ERROR_RATIO,
            plain(target_time(50)),
            target_time(95),
        ),
        "targets",
    ),
)
_ROUTES = row(
    17,
    table(
        _topic("slowest", "Slow routes", "On which paths do people wait?", Has(TARGET_TIME)),
        by(ROUTE, 50, metric="late"),
        Count("late", "over 1 s", SLOW),
        target_time(95),
        plain(target_time(50)),
        REQUESTS,
    ),
    leading_to(
        table(
            _topic("failing", "Most failing routes", "Which paths fail?", SERVER_ERROR),
            (by(ROUTE, 50), by(ORIGIN, 3)),
            replace(REQUESTS, label="5xx"),
        ),
        "errors",
    ),
)
_CLIENTS = row(
    17,
    table(
        _topic("clients", "Clients", "Is it one client?"),
        by(CLIENT, 50),
        REQUESTS,
        CLIENT_ERROR_RATIO,
        ERRORS,
        BYTES_SENT,
    ),
    table(
        _topic("agents", "User agents", "Which programs ask?"),
        by(USER_AGENT, 50),
        REQUESTS,
        CLIENT_ERROR_RATIO,
    ),
)
_KINDS = row(
    11,
    ranks(
        _topic("hosts", "Hosts", "Which hosts are asked for?"),
        by(HOST, 8),
        REQUESTS,
    ),
    donut(
        _topic("tls", "TLS versions", "How old are the clients' protocols?"),
        by("tls.version", 5, colors=TLS_VERSIONS),
        REQUESTS,
    ),
    donut(_topic("protocols", "Protocols", "HTTP/2, gRPC, WebSocket?"), by(PROTOCOL, 7), REQUESTS),
    ranks(
        _topic("countries", "Countries", "Where from? (Needs the enrich pipeline.)"),
        by("source.geo.country_name", 8),
        REQUESTS,
    ),
)
_TRAFFIC = row(
    11,
    areas(_topic("bytes", "Bytes", "How much is sent and received?"), BYTES_SENT, BYTES_RECEIVED),
    lines(
        _topic("week", "Requests, now and a week before", "Is this traffic usual?"),
        replace(REQUESTS, label="now"),
        WEEK_BEFORE,
    ),
)

MONITOR = Dashboard(
    name="log-monitor",
    title="ALB log monitor",
    menu="Log monitor",
    description="One load balancer: errors by origin, latency, targets, paths, clients.",
    controls=(LOAD_BALANCER, TARGET_GROUP, HOST, METHOD),
    rows=(
        _TILES,
        _FIRST_LOOK,
        row(4, Note("reading-order", _NOTE)),
        _WHO_AND_WHERE,
        _REASONS_AND_TIMES,
        _TARGETS,
        _ROUTES,
        _CLIENTS,
        _KINDS,
        _TRAFFIC,
        wide(20, (48, Lines("lines", "lines"))),
    ),
)


def pinned_monitor(title: str, load_balancer: str) -> Dashboard:
    """Return the log monitor of one load balancer, which needs no choice."""
    return replace(
        MONITOR,
        name=f"{MONITOR.name}-{load_balancer}",
        title=title,
        description=f"{MONITOR.description} Only {load_balancer}.",
        controls=tuple(field for field in MONITOR.controls if field != LOAD_BALANCER),
        pinned=one_of(LOAD_BALANCER, load_balancer),
    )
