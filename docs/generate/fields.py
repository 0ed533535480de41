"""Write `docs/fields.md` from the field table."""

import json
from collections.abc import Iterator

from pipeline.alb.fields import (
    COLUMNS,
    COMMON,
    CONSTANT,
    CONSTANTS,
    DEAD_LETTER,
    DERIVED,
    ENRICHED,
    ERASED,
    FIRST_GENERATION,
    LEDGER,
    PROVENANCE,
    TAIL,
    Field,
    Kind,
)
from pipeline.alb.parsing import ABOUT
from pipeline.cluster.mapping import IGNORE_ABOVE

_INTRODUCTION = """\
# Fields

Every column of an ALB log line and the document fields that it becomes, from the field table in
`pipeline/alb/fields.py` (`make docs` writes this page). Names follow ECS 8.11, then Elastic's AWS
ELB integration. An alias is another name for the same stored value: search and aggregate by either.

A column that is absent, `-` or empty makes no field, and neither does a time of -1. A document
holds what the line says, once: the lists of targets and statuses only where they say more than the
target's own address and status, the TLS protocol as logged only where its version is unknown.

Types are those of Elasticsearch; `[]` marks an array. Fields marked *not indexed* can be searched,
more slowly, through their doc values; those marked *no aggregation* can be searched but not
aggregated or sorted by.

A keyword longer than {longest} characters stays in the document, but Elasticsearch does not index
it. Such a line is found by its other fields (`trace.id`, `source.ip`, its time), and all lines with
such a path by `_ignored: "url.path"`.
"""

_CONSTANT = """\
### Constants

The same on every document of a kind. They stand in the mapping (`constant_keyword`), in no
document: searches, aggregations and the fields API see them, `_source` does not. A cluster without
that type does not have them; `alb-logs setup` says so.
"""

_LEDGER = """\
One entry for every version of an object that was read. A later run overwrites it only if it came
further, so the times and the state are those of the first run that completed the object.
"""

_REASONS = """\
### Why a line is rejected (`error.type`)

Only what cannot be stored rejects a line. An odd address, request line, list or enumeration never
does. A line of a Network or Classic Load Balancer, or of AWS's test file, is rejected as well; its
`error.message` says what it is. Messages can quote a value of the line, so they are written to the
dead letters only, never to a log.

| reason | meaning |
|--|--|
"""

_REFUSED = """\
The oldest lines of each log have so many fields: {fewest}.

If Elasticsearch refuses a document for what it holds, the reason is Elasticsearch's own error type,
such as `document_parsing_exception`.
"""


def fields_page() -> str:
    """Return `docs/fields.md`."""
    titles = {
        Kind.ACCESS: "Access log",
        Kind.CONNECTION: "Connection log",
        Kind.HEALTH_CHECK: "Health check log",
    }
    parts = [_INTRODUCTION.format(longest=f"{IGNORE_ABOVE:,}")]
    for kind, title in titles.items():
        parts.append(f"## {title} (`alb-logs-{kind}-*`)\n")
        parts.append(_table(_column_rows(kind)))
    parts.append("## On every document\n")
    parts.append(_table(("", each) for each in COMMON))
    parts.append("### With `ALB_LOGS_PROVENANCE=on`\n")
    parts.append(_table(("", each) for each in PROVENANCE))
    parts.append("### After `alb-logs erase`\n")
    parts.append(_table(iter([("", ERASED)])))
    parts.append(_CONSTANT)
    parts.append(_table(("", each) for each in CONSTANT))
    parts.append(_constants())
    parts.append("## Added by the enrich pipeline, where the cluster has its processors\n")
    parts.append(_table(("", each) for each in ENRICHED[Kind.ACCESS]))
    parts.append("## Dead letters (`alb-logs-dead-letter`)\n")
    parts.append(_table(("", each) for each in DEAD_LETTER))
    parts.append("## Ledger (`alb-logs-ledger`)\n")
    parts.append(_LEDGER)
    parts.append(_table(("", each) for each in LEDGER))
    parts.append(_reasons())
    return "\n".join(parts)


def _column_rows(kind: Kind) -> Iterator[tuple[str, Field]]:
    for number, column in enumerate(COLUMNS[kind], start=1):
        for each in column.fields:
            yield f"{number} {column.name}", each
    yield f"{len(COLUMNS[kind]) + 1}…", TAIL
    for each in DERIVED[kind]:
        yield "(derived)", each


def _table(rows: Iterator[tuple[str, Field]]) -> str:
    lines = ["| column | field | type | aliases | what it says |", "|--|--|--|--|--|"]
    lines += [_row(column, each) for column, each in rows]
    return "\n".join(lines) + "\n"


def _row(column: str, each: Field) -> str:
    type_ = each.type + ("[]" if each.array else "")
    marks = ["not indexed"] * (not each.index) + ["no aggregation"] * (not each.doc_values)
    about = each.about + (f" ({', '.join(marks)})" if marks else "")
    aliases = ", ".join(f"`{alias}`" for alias in each.aliases)
    return f"| {column} | `{each.name}` | {type_} | {aliases} | {about} |"


def _constants() -> str:
    lines = ["| field | " + " | ".join(Kind) + " |", "|--|" + "--|" * len(Kind)]
    for name in CONSTANTS[Kind.ACCESS]:
        values = (json.dumps(CONSTANTS[kind][name]) for kind in Kind)
        lines.append(f"| `{name}` | " + " | ".join(values) + " |")
    return "\n".join(lines) + "\n"


def _reasons() -> str:
    rows = "".join(f"| `{reason}` | {about} |\n" for reason, about in ABOUT.items())
    fewest = ", ".join(f"{kind} {count}" for kind, count in FIRST_GENERATION.items())
    return f"{_REASONS}{rows}\n{_REFUSED.format(fewest=fewest)}"
