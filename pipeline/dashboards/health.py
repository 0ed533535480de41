"""Pipeline health: whether every object arrives, in time, and every line is understood."""

from dataclasses import replace

from pipeline.dashboards.columns import Count, Look, Percentile, Value
from pipeline.dashboards.conditions import Condition, Has, one_of
from pipeline.dashboards.layout import Dashboard, row, wide
from pipeline.dashboards.palette import (
    ANY_IS_BAD,
    ANY_IS_ODD,
    BAD,
    GOOD,
    INFO,
    LAG_SECONDS,
    OTHER,
    SERIES,
    WARN,
)
from pipeline.dashboards.panels import (
    Lines,
    Note,
    Topic,
    bars,
    donut,
    lines,
    table,
    tile,
)
from pipeline.dashboards.views import ACCESS, DEAD_LETTERS, OBJECTS, Format
from pipeline.dashboards.vocabulary import LOAD_BALANCER, REQUESTS, by

_FAILED = one_of("state", "failed")
_NOTE = """\
**Reading order.** 1. *Failed objects*: their error is in the table; fix it, then ingest them \
again, which is harmless. 2. *Lag*: **delivery** is AWS's, usually below five minutes; **ingest** \
is ours. 3. *Last object* of each load balancer: one that is old has stopped logging, or its \
bucket has stopped announcing. 4. *Rejected lines* are kept, with the reason. 5. *Unknown fields*: \
AWS added a column; nothing is lost. Times are those of the objects: each holds five minutes."""


def _topic(name: str, title: str, question: str, where: Condition | None = None) -> Topic:
    return Topic(name, title, question, OBJECTS, where)


def _letters(name: str, title: str, question: str) -> Topic:
    return Topic(name, title, question, DEAD_LETTERS)


def _sum(field: str, label: str, color: str) -> Value:
    return Value(field, label, "sum", field, look=Look(color=color))


def _lag(stage: str, percent: float, label: str, color: str | None = None) -> Percentile:
    look = Look(Format.SECONDS, color, LAG_SECONDS)
    return Percentile(f"{stage}{percent:g}", label, percent, f"lag.{stage}.sec", look=look)


_OBJECTS = Count("requests", "Objects", look=Look(color=INFO))
_LETTERS = Count("requests", "Rejected lines", look=Look(levels=ANY_IS_ODD))
_FAILURES = Count("failures", "Failed objects", _FAILED, look=Look(levels=ANY_IS_BAD))
_INDEXED = _sum("indexed", "Indexed", GOOD)
_REJECTED = _sum("rejected", "Rejected", BAD)
_LAST_OBJECT = Value("last", "Last object", "max", "@timestamp", look=Look(Format.DATE))

_TILES = row(
    6,
    tile(_topic("objects", "Objects", "How many objects came?"), _OBJECTS),
    tile(
        _topic("lines", "Lines", "How many lines were read?"),
        Value("lines", "Lines", "sum", "lines"),
        Value("filtered", "left out on purpose", "sum", "filtered"),
    ),
    tile(_topic("failed", "Failed objects", "Did objects fail?"), _FAILURES),
    tile(
        _topic("delivery", "Delivery lag p95", "How late does AWS deliver?"),
        _lag("delivery", 95, "Delivery lag p95"),
    ),
    tile(
        _topic("ingest", "Ingest lag p95", "How late are we?"),
        _lag("ingest", 95, "Ingest lag p95"),
    ),
    tile(_letters("rejected", "Rejected lines", "Were lines not understood?"), _LETTERS),
)

HEALTH = Dashboard(
    name="pipeline",
    title="ALB pipeline health",
    menu="Pipeline",
    description="Objects, lag, rejected lines, unknown fields, last object of a load balancer.",
    controls=(LOAD_BALANCER, "kind", "route"),
    rows=(
        _TILES,
        row(
            12,
            bars(
                _topic("arrivals", "Objects by state", "Do objects come, and complete?"),
                _OBJECTS,
                split=by(
                    "state",
                    3,
                    colors=(("complete", GOOD), ("partial", WARN), ("failed", BAD)),
                ),
            ),
            lines(
                _topic("lag", "Lag", "How late are the documents, and whose lag is it?"),
                _lag("delivery", 50, "delivery p50", SERIES[0]),
                _lag("delivery", 95, "delivery p95", SERIES[2]),
                _lag("ingest", 50, "ingest p50", SERIES[1]),
                _lag("ingest", 95, "ingest p95", SERIES[3]),
            ),
        ),
        row(
            12,
            bars(
                _topic("outcomes", "Lines by outcome", "What became of the lines?"),
                _INDEXED,
                _sum("duplicates", "Duplicates", INFO),
                _sum("filtered", "Filtered", OTHER),
                _REJECTED,
                _sum("truncated", "Truncated", WARN),
            ),
            bars(
                _letters("reasons", "Rejected lines by reason", "Why are lines rejected?"),
                _LETTERS,
                split=by("error.type", 8),
            ),
        ),
        row(5, Note("reading-order", _NOTE)),
        row(
            17,
            table(
                _topic("balancers", "Load balancers", "When did each last log?"),
                (by(LOAD_BALANCER, 100), by("kind", 3)),
                _OBJECTS,
                Value("lines", "Lines", "sum", "lines"),
                _REJECTED,
                replace(_FAILURES, label="Failed"),
                _lag("ingest", 95, "Lag p95"),
                _LAST_OBJECT,
            ),
        ),
        row(
            12,
            table(
                _topic("failures", "Why objects failed", "What must be fixed?", _FAILED),
                (by("error.type", 10), by("error.message", 5)),
                _OBJECTS,
                _LAST_OBJECT,
            ),
            table(
                _letters("sources", "Objects with rejected lines", "Which objects hold them?"),
                (by("aws.s3.object.key", 50), by("error.type", 3)),
                _LETTERS,
            ),
        ),
        row(
            11,
            table(
                Topic(
                    "unknown",
                    "Lines with unknown fields",
                    "Did AWS add a field to the lines?",
                    ACCESS,
                    Has("aws.elb.extra_fields"),
                ),
                (by("aws.elb.extra_fields", 20), by(LOAD_BALANCER, 3)),
                REQUESTS,
            ),
            donut(
                _topic("routes", "Objects by route", "Who reads the objects?"),
                by("route", 4),
                _OBJECTS,
            ),
            donut(_letters("kinds", "Reasons", "Why, in total?"), by("error.type", 8), _LETTERS),
        ),
        wide(18, (48, Lines("letters", "rejected-lines"))),
        wide(14, (48, Lines("objects-read", "objects"))),
    ),
)
