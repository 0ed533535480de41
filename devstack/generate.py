"""
Write the files that are made of the code's own tables: index mappings and pages of `docs/`.

Run by `make docs`; a contract test fails while a written file and its table differ.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from devstack.pages import commands_page, metrics_page, settings_page
from pipeline.alb.fields import (
    COLUMNS,
    COMMON,
    CONSTANTS,
    DEAD_LETTER,
    DERIVED,
    ENRICHED,
    TAIL,
    Field,
    Kind,
    fields_of,
)
from pipeline.cluster.mapping import mapping_of

ROOT = Path(__file__).resolve().parent.parent
META = {"alb_logs": {"schema": 1}}
"""By this an index shows that `alb-logs setup` prepared it (pipeline/cluster/templates.py)."""


def generated_files() -> Iterator[tuple[Path, str]]:
    """Give every generated file: its path below the repository's root, and its text."""
    for kind in Kind:
        yield Path(f"index_templates/mappings-{kind}.json"), _component(tuple(fields_of(kind)))
    yield Path("index_templates/mappings-dead-letter.json"), _component(DEAD_LETTER)
    yield Path("docs/fields.md"), _fields_page()
    yield Path("docs/cli.md"), commands_page()
    yield Path("docs/settings.md"), settings_page()
    yield Path("docs/metrics.md"), metrics_page()


def _component(fields: tuple[Field, ...]) -> str:
    mapping = {"_meta": META, **mapping_of(fields)}
    return json.dumps({"template": {"mappings": mapping}}, indent=2) + "\n"


_INTRODUCTION = """\
# Fields

Every column of an ALB log line and the document fields that come of it, from the field table in
`pipeline/alb/fields.py` (`make docs` writes this page). Names follow ECS 8.11, then Elastic's AWS
ELB integration. An alias is another name for the same stored value: search and aggregate by either.

What is absent from a line, `-` or empty has no field; nor has a time of -1. Types are
Elasticsearch's; `[]` marks an array. Fields marked *not indexed* can be searched through their doc
values, only slower; those marked *no aggregation* can be searched but not aggregated or sorted by.
"""


def _fields_page() -> str:
    titles = {
        Kind.ACCESS: "Access log",
        Kind.CONNECTION: "Connection log",
        Kind.HEALTH_CHECK: "Health check log",
    }
    parts = [_INTRODUCTION]
    for kind, title in titles.items():
        parts.append(f"## {title} (`alb-logs-{kind}-*`)\n")
        parts.append(_table(_column_rows(kind)))
    parts.append("## On every document\n")
    parts.append(_table(("", each) for each in COMMON))
    parts.append(_constants())
    parts.append("## Added by the enrich pipeline, where the cluster has its processors\n")
    parts.append(_table(("", each) for each in ENRICHED[Kind.ACCESS]))
    parts.append("## Dead letters (`alb-logs-dead-letter`)\n")
    parts.append(_table(("", each) for each in DEAD_LETTER))
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


def main() -> None:
    """Write every generated file."""
    for path, text in generated_files():
        (ROOT / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
