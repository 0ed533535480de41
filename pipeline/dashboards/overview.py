"""ALB overview: all load balancers beside each other, and which one to look at."""

from pipeline.dashboards.columns import Count, Look
from pipeline.dashboards.layout import Dashboard, row, wide
from pipeline.dashboards.palette import ANY_IS_ODD
from pipeline.dashboards.panels import (
    Note,
    Topic,
    areas,
    bars,
    leading_to,
    lines,
    ranks,
    table,
    tile,
)
from pipeline.dashboards.views import ACCESS, DEAD_LETTERS
from pipeline.dashboards.vocabulary import (
    BYTES_SENT,
    CLIENT_ERROR_RATIO,
    ERROR_RATIO,
    ERRORS,
    LAST_SEEN,
    LOAD_BALANCER,
    REQUESTS,
    WEEK_BEFORE,
    by,
    by_hidden,
    labelled,
    plain,
    target_time,
)

_NOTE = """\
**Reading order.** A tile that is yellow or red says *what*; the table says *which* load balancer. \
Click its name: **Open the log monitor** shows that one. Then \
[errors](dashboards#/view/{prefix}-errors), [targets](dashboards#/view/{prefix}-targets) or \
[security](dashboards#/view/{prefix}-security); \
[all lines](discover#/view/{prefix}-lines). Rejected lines are not in the other figures: \
[pipeline health](dashboards#/view/{prefix}-pipeline) has them."""

_TILES = row(
    6,
    tile(
        Topic("requests", "Requests", "How many requests were there?", ACCESS),
        REQUESTS,
        WEEK_BEFORE,
    ),
    tile(
        Topic("error-share", "5xx share", "Which share of requests failed?", ACCESS),
        ERROR_RATIO,
        ERRORS,
    ),
    tile(
        Topic("client-error-share", "4xx share", "Which share was refused?", ACCESS),
        CLIENT_ERROR_RATIO,
    ),
    tile(
        Topic("target-time", "Target p95", "How slow are the targets?", ACCESS),
        labelled(target_time(95), "Target p95"),
        plain(labelled(target_time(50), "p50")),
    ),
    tile(Topic("sent", "Sent", "How much was sent to clients?", ACCESS), BYTES_SENT),
    tile(
        Topic("rejected", "Rejected lines", "Were lines not understood?", DEAD_LETTERS),
        Count("rejected", "Rejected lines", look=Look(levels=ANY_IS_ODD)),
    ),
)
_OVER_TIME = row(
    12,
    bars(
        Topic("traffic", "Requests by load balancer", "Which load balancer has traffic?", ACCESS),
        REQUESTS,
        split=by(LOAD_BALANCER, 6),
    ),
    lines(
        Topic("failing", "5xx share by load balancer", "Which load balancer fails?", ACCESS),
        ERROR_RATIO,
        split=by_hidden(LOAD_BALANCER, ERRORS, 6),
    ),
)
_BALANCERS = leading_to(
    table(
        Topic("balancers", "Load balancers", "How is each, and when was it last seen?", ACCESS),
        by(LOAD_BALANCER, 100),
        REQUESTS,
        ERRORS,
        ERROR_RATIO,
        CLIENT_ERROR_RATIO,
        target_time(95),
        BYTES_SENT,
        LAST_SEEN,
    ),
    "log-monitor",
)
_BUSIEST = leading_to(
    ranks(
        Topic("busiest", "Most failing", "Which load balancers fail most?", ACCESS),
        by(LOAD_BALANCER, 6, metric="errors"),
        ERRORS,
    ),
    "log-monitor",
)
_MORE = row(
    11,
    lines(
        Topic("slow", "Target p95 by load balancer", "Which load balancer is slow?", ACCESS),
        target_time(95),
        split=by(LOAD_BALANCER, 6, metric="p95"),
    ),
    areas(
        Topic("bytes", "Sent by load balancer", "Which load balancer sends most?", ACCESS),
        BYTES_SENT,
        split=by(LOAD_BALANCER, 6, metric="sent"),
    ),
)

OVERVIEW = Dashboard(
    name="overview",
    title="ALB overview",
    menu="Overview",
    description="All load balancers: traffic, errors, latency, bytes. Click one to open it.",
    controls=(LOAD_BALANCER, "cloud.account.id", "cloud.region"),
    rows=(
        _TILES,
        _OVER_TIME,
        row(4, Note("reading-order", _NOTE)),
        wide(14, (34, _BALANCERS), (14, _BUSIEST)),
        _MORE,
    ),
)
