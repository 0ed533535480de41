"""
Make documents and an index as they were before documents became lean: a baseline to compare with.

`landed.json` holds the settings and the mapping of then. A document of then is today's and what it
no longer says: constants, where it comes from, lists that repeat the target, the TLS protocol as
logged.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from bench.cluster import remove_index
from pipeline.alb.fields import CONSTANTS, Kind
from pipeline.alb.parsing import Record, parse_line
from pipeline.sink.encoding import Action

_ARRAYS = {"event.category", "event.type"}
_LATEST = "9999-12-31T00:00:00Z"
_ORIGIN = {
    "event.ingested": "2026-11-20T10:05:12.345Z",
    "aws.s3.bucket.name": "example-alb-logs",
    "aws.s3.object.key": "AWSLogs/123456789012/elasticloadbalancing/eu-central-1/2026/11/20/"
    "123456789012_elasticloadbalancing_eu-central-1_app.frontend-alb.50dc6c495c0c9188_"
    "20261120T1005Z_10.0.0.1_3q2xk9fz.log.gz",
}


@contextmanager
def landed_index(es: Elasticsearch, index: str) -> Iterator[str]:
    """Make an index of then, and remove it."""
    body = json.loads(Path(__file__).with_name("landed.json").read_text(encoding="utf-8"))
    es.indices.create(index=index, **body)
    yield index
    remove_index(es, index)


def landed_document(action: Action) -> bytes:
    """Return the document of then of an access log line, as JSON."""
    document: dict[str, Any] = orjson.loads(action.source)
    record = parse_line(action.line, Kind.ACCESS, latest=_LATEST)
    if not isinstance(record, Record):
        raise TypeError(action.line)
    for name, value in _said_again(record).items():
        *path, leaf = name.split(".")
        inner = document
        for step in path:
            inner = inner.setdefault(step, {})
        inner[leaf] = value
    return orjson.dumps(document)


def _said_again(record: Record) -> dict[str, Any]:
    constants = {
        name: [value] if name in _ARRAYS else value
        for name, value in CONSTANTS[record.kind].items()
    }
    columns = {
        "aws.elb.ssl_protocol": record.values.get("ssl_protocol"),
        "aws.elb.target_port": _listed(record, "target_port_list"),
        "aws.elb.target_status_code": _listed(record, "target_status_code_list"),
    }
    repeats = {name: value for name, value in columns.items() if value}
    return constants | _ORIGIN | repeats


def _listed(record: Record, column: str) -> list[str]:
    return str(record.values.get(column, "")).split()
