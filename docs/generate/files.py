"""The generated files: what each is called, and its text."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from docs.generate.fields import fields_page
from docs.generate.usage import commands_page, metrics_page, settings_page
from pipeline.alb.fields import CONSTANTS, DEAD_LETTER, LEDGER, Field, Kind, fields_of
from pipeline.cluster.mapping import mapping_of
from pipeline.dashboards.catalog import READY, dashboards_file, monitor_file
from pipeline.dashboards.saved import Writer
from pipeline.sink.store import SCHEMA

ROOT = Path(__file__).resolve().parent.parent.parent


def generated_files() -> Iterator[tuple[Path, str]]:
    """Yield every generated file: its path below the repository's root, and its text."""
    for kind in Kind:
        yield (
            Path(f"index_templates/mappings-{kind}.json"),
            _component(tuple(fields_of(kind)), CONSTANTS[kind]),
        )
    yield Path("index_templates/mappings-dead-letter.json"), _component(DEAD_LETTER, {})
    yield Path("index_templates/mappings-ledger.json"), _component(LEDGER, {})
    yield from _kibana_files()
    yield Path("docs/fields.md"), fields_page()
    yield Path("docs/cli.md"), commands_page()
    yield Path("docs/settings.md"), settings_page()
    yield Path("docs/metrics.md"), metrics_page()


def _kibana_files() -> Iterator[tuple[Path, str]]:
    folder, writer = Path("index_templates/kibana"), Writer()
    yield folder / "dashboards.ndjson", dashboards_file(writer)
    for name in READY:
        yield folder / f"{name}.ndjson", monitor_file(writer, f"ALB log monitor: {name}", name)


def _component(fields: tuple[Field, ...], constants: Mapping[str, str]) -> str:
    # Ingestion knows an index that `alb-logs setup` prepared by this schema (sink/store.py).
    mapping = {"_meta": {"alb_logs": {"schema": SCHEMA}}, **mapping_of(fields, constants)}
    return json.dumps({"template": {"mappings": mapping}}, indent=2) + "\n"
