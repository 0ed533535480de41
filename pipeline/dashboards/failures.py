"""ALB errors: the view for an incident."""

from pipeline.dashboards.columns import Case, Cases, Count, Look
from pipeline.dashboards.conditions import Condition, Has, both, either
from pipeline.dashboards.layout import Dashboard, Row, row, wide
from pipeline.dashboards.palette import ANY_IS_SEEN, BAD, INFO, OTHER, SERIES, WARN
from pipeline.dashboards.panels import (
    Lines,
    Note,
    Topic,
    bars,
    donut,
    heatmap,
    leading_to,
    ranks,
    table,
    tile,
)
from pipeline.dashboards.views import ACCESS
from pipeline.dashboards.vocabulary import (
    ANY_ERROR,
    CLIENT,
    HOST,
    LOAD_BALANCER,
    ORIGIN,
    ORIGINS,
    REASON,
    REQUESTS,
    ROUTE,
    SERVER_ERROR,
    STATUS,
    TARGET,
    TARGET_ERROR,
    TARGET_GROUP,
    by,
    status,
)

INCIDENT = either(SERVER_ERROR, status(460, 463, 464))
"""What the load balancer or a target could not do; other 4xx are the client's."""

_CODES = (
    (502, "502 bad answer", "Did the target close, reset or answer nonsense?", BAD),
    (503, "503 no target", "Was there no healthy target?", SERIES[2]),
    (504, "504 too slow", "Did the target not answer in time?", WARN),
    (460, "460 client left", "Did the client give up before the answer?", INFO),
    (463, "463 too many hops", "Did X-Forwarded-For have over 30 addresses?", SERIES[3]),
    (561, "561 identity provider", "Did the identity provider fail?", SERIES[5]),
)
_NOTE = """\
**Reading order.** 1. Which status grows? **502**: the target closed the connection or answered \
nonsense. **503**: no healthy target. **504**: the target is too slow. **460**: the client gave \
up, often before a slow target. **561**: the identity provider. 2. One target or all? \
[Targets](dashboards#/view/{prefix}-targets) has its health checks. 3. One path? 4. The lines \
below have the trace of each request."""


def _topic(name: str, title: str, question: str, where: Condition = INCIDENT) -> Topic:
    return Topic(name, title, question, ACCESS, where)


def _tiles() -> Row:
    return row(
        6,
        *(
            tile(
                Topic(f"status-{code}", label, question, ACCESS),
                Count("errors", label, status(code), look=Look(levels=ANY_IS_SEEN)),
            )
            for code, label, question, _ in _CODES
        ),
    )


_BY_CODE = Cases(
    "code",
    "Status",
    (
        Case("500", status(500), OTHER),
        *(Case(str(code), status(code), color) for code, _, _, color in _CODES),
    ),
)
_ERRORS = Count("requests", "Errors", look=Look(color=BAD))

FAILURES = Dashboard(
    name="errors",
    title="ALB errors",
    menu="Errors",
    description="An incident: which error, whose fault, which targets, paths, clients and lines.",
    controls=(LOAD_BALANCER, TARGET_GROUP, HOST, STATUS),
    rows=(
        _tiles(),
        row(
            12,
            bars(
                _topic("codes", "Errors by status", "Which error, since when?"),
                _ERRORS,
                split=_BY_CODE,
            ),
            bars(
                _topic("origins", "Errors by origin", "Whose fault is it?"),
                _ERRORS,
                split=by(ORIGIN, 6, colors=ORIGINS),
            ),
        ),
        row(4, Note("reading-order", _NOTE)),
        wide(
            12,
            (
                32,
                table(
                    _topic("reasons", "Reasons", "What does the load balancer say?"),
                    (by(STATUS, 10), by(ORIGIN, 3), by(REASON, 10)),
                    _ERRORS,
                ),
            ),
            (
                16,
                donut(
                    _topic("shares", "All errors by origin", "Who makes errors?", ANY_ERROR),
                    by(ORIGIN, 6, colors=ORIGINS),
                    REQUESTS,
                ),
            ),
        ),
        row(
            17,
            leading_to(
                table(
                    _topic(
                        "targets",
                        "Failing targets",
                        "One target or all?",
                        both(INCIDENT, Has(TARGET)),
                    ),
                    by(TARGET, 50),
                    _ERRORS,
                    Count("answered", "of target", TARGET_ERROR),
                    Count("late", "504", status(504)),
                    Count("broken", "502", status(502)),
                ),
                "targets",
            ),
            heatmap(
                _topic("groups", "Errors by target group", "Which target group, since when?"),
                by(TARGET_GROUP, 12),
                _ERRORS,
            ),
        ),
        row(
            17,
            table(
                _topic("routes", "Failing routes", "Which paths fail?"),
                by(ROUTE, 100),
                _ERRORS,
                Count("targets", "of target", TARGET_ERROR),
                Count("left", "client left", status(460)),
            ),
            table(
                _topic("clients", "Clients with errors", "Is it one client?"),
                by(CLIENT, 100),
                _ERRORS,
            ),
        ),
        row(
            11,
            ranks(_topic("hosts", "Hosts with errors", "Which hosts fail?"), by(HOST, 8), _ERRORS),
            ranks(
                _topic("balancers", "Load balancers with errors", "One load balancer or all?"),
                by(LOAD_BALANCER, 8),
                _ERRORS,
            ),
        ),
        wide(20, (48, Lines("lines", "error-lines"))),
    ),
)
