"""ALB targets and health checks: which target, and what its health checks say."""

from dataclasses import replace

from pipeline.dashboards.columns import Count, Look, Percentile, Ratio, Value
from pipeline.dashboards.conditions import Condition, Has, Not, both, one_of
from pipeline.dashboards.layout import Dashboard, row, wide
from pipeline.dashboards.palette import ANY_IS_BAD, ANY_IS_SEEN, BAD, ERROR_SHARE, GOOD, WARN
from pipeline.dashboards.panels import (
    Lines,
    Note,
    Topic,
    areas,
    bars,
    heatmap,
    lines,
    table,
    tile,
)
from pipeline.dashboards.views import ACCESS, HEALTH_CHECK, Format
from pipeline.dashboards.vocabulary import (
    LOAD_BALANCER,
    REACHED_TARGET,
    REASON,
    REQUESTS,
    SERVER_ERROR,
    TARGET,
    TARGET_ERROR,
    TARGET_ERROR_RATIO,
    TARGET_GROUP,
    TARGET_STATUS,
    by,
    by_hidden,
    labelled,
    plain,
    target_time,
)

_CHECK = "aws.elb.health_check.status"
_CHECK_TIME = "aws.elb.health_check.latency.sec"
_FAILED = one_of(_CHECK, "FAIL")
_CHECKS = Count("requests", "Checks")
_FAILED_CHECKS = Count("failures", "Failed", _FAILED, look=Look(levels=ANY_IS_BAD))
_FAILED_SHARE = Ratio(
    "share", "Failed checks", _FAILED, look=Look(Format.PERCENT, None, ERROR_SHARE)
)
_NO_ANSWER = both(SERVER_ERROR, Has(TARGET_GROUP), Not(Has(TARGET_STATUS)))

_NOTE = """\
**Reading order.** 1. *Failed checks*: which target, since when, and for which reason? 2. Do its \
requests fail too? *5xx of target* is what it answered; *no answer* is what it did not. 3. A \
target with few requests was out of service; one with many may be overloaded. Health checks need \
the health check log, which is turned on apart from the access log."""


def _topic(name: str, title: str, question: str, where: Condition | None = None) -> Topic:
    return Topic(name, title, question, ACCESS, where)


def _checks(name: str, title: str, question: str, where: Condition | None = None) -> Topic:
    return Topic(name, title, question, HEALTH_CHECK, where)


def _check_time(percent: float, color: str) -> Percentile:
    look = Look(Format.SECONDS, color)
    return Percentile(f"p{percent:g}", f"p{percent:g}", percent, _CHECK_TIME, look=look)


_TILES = row(
    6,
    tile(
        _topic("requests", "To targets", "How much do targets do?", REACHED_TARGET),
        replace(REQUESTS, label="Requests to targets"),
    ),
    tile(
        _topic("error-share", "5xx of targets", "Which share fails?", REACHED_TARGET),
        replace(TARGET_ERROR_RATIO, label="5xx of targets"),
        Count("errors", "5xx", TARGET_ERROR),
    ),
    tile(
        _topic("no-answer", "No answer", "Which requests had no answer of a target?"),
        Count("silent", "No answer of a target", _NO_ANSWER, look=Look(levels=ANY_IS_SEEN)),
    ),
    tile(
        _topic("target-time", "Target p95", "How slow are they?"),
        labelled(target_time(95), "Target p95"),
        plain(labelled(target_time(50), "p50")),
    ),
    tile(
        _checks("failed-share", "Failed checks", "Which share of health checks fails?"),
        _FAILED_SHARE,
        replace(_FAILED_CHECKS, label="failed"),
    ),
    tile(
        _checks("failing-targets", "Failing targets", "How many targets fail checks?"),
        Value(
            "targets",
            "Targets that fail checks",
            "unique_count",
            TARGET,
            where=_FAILED,
            look=Look(levels=ANY_IS_BAD),
        ),
    ),
)

TARGETS = Dashboard(
    name="targets",
    title="ALB targets and health checks",
    menu="Targets",
    description="Targets and target groups: load, errors, latency, health checks and reasons.",
    controls=(LOAD_BALANCER, TARGET_GROUP, TARGET),
    rows=(
        _TILES,
        row(
            12,
            heatmap(
                _checks("health", "Failed checks by target", "Which target, since when?", _FAILED),
                by(TARGET, 20, metric="failures"),
                replace(_FAILED_CHECKS, where=None),
            ),
            bars(
                _checks("reasons", "Failed checks by reason", "Why do checks fail?", _FAILED),
                _CHECKS,
                split=by(REASON, 6),
            ),
        ),
        row(4, Note("reading-order", _NOTE)),
        row(
            17,
            table(
                _topic("targets", "Targets", "Which target fails or is slow?", REACHED_TARGET),
                (by(TARGET_GROUP, 20), by(TARGET, 50)),
                REQUESTS,
                Count("errors", "5xx", TARGET_ERROR),
                TARGET_ERROR_RATIO,
                plain(target_time(50)),
                target_time(95),
            ),
        ),
        row(
            11,
            lines(
                _topic("group-errors", "5xx share by target group", "Which group fails?"),
                Ratio("share", "5xx share", TARGET_ERROR, look=Look(Format.PERCENT)),
                split=by_hidden(TARGET_GROUP, Count("errors", "5xx", TARGET_ERROR), 8),
            ),
            lines(
                _topic("group-times", "Target p95 by target group", "Which group is slow?"),
                target_time(95),
                split=by(TARGET_GROUP, 8, metric="p95"),
            ),
        ),
        row(
            11,
            areas(
                _topic("load", "Requests by target", "Is the load even?", REACHED_TARGET),
                REQUESTS,
                split=by(TARGET, 12),
            ),
            lines(
                _checks("check-times", "Check time", "Do checks become slow?"),
                _check_time(50, GOOD),
                _check_time(95, WARN),
                _check_time(99, BAD),
            ),
        ),
        row(
            17,
            table(
                _checks("checked", "Health by target", "How is each target?"),
                (by(TARGET_GROUP, 20), by(TARGET, 50)),
                _CHECKS,
                _FAILED_CHECKS,
                replace(_FAILED_SHARE, label="share"),
                _check_time(95, WARN),
            ),
            table(
                _topic(
                    "unanswered",
                    "Requests without an answer of a target",
                    "Which group did not answer, and why?",
                    _NO_ANSWER,
                ),
                (by(TARGET_GROUP, 20), by(REASON, 5)),
                REQUESTS,
            ),
        ),
        wide(18, (48, Lines("lines", "failed-checks"))),
    ),
)
