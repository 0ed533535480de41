"""Every case under tests/data/alb: raw lines in, the documents that the field rules require out."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.alb.document import Context
from pipeline.alb.fields import Kind
from pipeline.alb.keys import ObjectName, classify_key
from pipeline.sink.encoding import Batch, encode_chunk
from pipeline.source.reading import read_stream
from tests.support.golden import CASES

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def encode(path: Path, expected: dict[str, Any]) -> list[Batch]:
    """Encode a case's lines as its key and kind require."""
    key = expected["key"]
    kind = None if expected["kind"] == "auto" else Kind(expected["kind"])
    name = classify_key(key) if key else None
    context = Context.of(
        NOW, name=name if isinstance(name, ObjectName) else None, kind=kind, key=key
    )
    chunks = read_stream(io.BytesIO(path.read_bytes()), name=path.name)
    return [encode_chunk(chunk, context) for chunk in chunks]


def line_number(path: Path, offset: int) -> int:
    """Return the number of the line that begins at an offset."""
    return path.read_bytes()[:offset].count(b"\n") + 1


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_golden_case(path: Path) -> None:
    """Documents, ids, indices, rejected lines and blank lines are those written by hand."""
    expected = orjson.loads(path.with_suffix(".expected.json").read_bytes())

    batches = encode(path, expected)

    documents = []
    for batch in batches:
        for each in batch.actions:
            action, document = map(orjson.loads, each.text.encode().splitlines())
            line = line_number(path, each.offset)
            documents.append({**action["create"], "line": line, "document": document})
    assert documents == [
        {name: each[name] for name in ("_index", "_id", "line", "document")}
        for each in expected["documents"]
    ]
    assert [
        {"line": line_number(path, reject.offset), "reason": reject.reason}
        for batch in batches
        for reject in batch.rejects
    ] == expected["rejected"]
    assert sum(batch.blank for batch in batches) == expected["blank"]


def test_there_are_cases() -> None:
    """The folder of cases was found, and each case has its expectation."""
    assert len(CASES) >= 150
    assert all(path.with_suffix(".expected.json").exists() for path in CASES)
