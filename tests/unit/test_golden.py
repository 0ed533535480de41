"""Every case under tests/data/alb: raw lines in, the documents that the field rules ask for out."""

import io
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.alb.document import Context
from pipeline.alb.fields import Kind
from pipeline.alb.keys import ObjectName, classify_key
from pipeline.ingest import with_name
from pipeline.sink.encoding import Batch, encode_chunk
from pipeline.source.reading import read_stream

CASES = sorted((Path(__file__).parent.parent / "data" / "alb").glob("*.log"))


def encode(path: Path, expected: dict[str, Any]) -> list[Batch]:
    """Encode a case's lines as its key and kind say."""
    kind = None if expected["kind"] == "auto" else Kind(expected["kind"])
    context = Context(latest="2026-11-23T00:00:00Z", kind=kind, key=expected["key"])
    if expected["key"]:
        name = classify_key(expected["key"])
        context = with_name(context, name if isinstance(name, ObjectName) else None)
    chunks = read_stream(io.BytesIO(path.read_bytes()), name=path.name)
    return [encode_chunk(chunk, context) for chunk in chunks]


def line_number(path: Path, offset: int) -> int:
    """Give the number of the line that begins at an offset."""
    return path.read_bytes()[:offset].count(b"\n") + 1


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_golden_case(path: Path) -> None:
    """Documents, ids, indices, rejected lines and blank lines are those written by hand."""
    expected = orjson.loads(path.with_suffix(".expected.json").read_bytes())

    batches = encode(path, expected)

    documents = []
    for batch in batches:
        for item, offset in zip(batch.items, batch.offsets, strict=True):
            action, document = map(orjson.loads, item.splitlines())
            placed = {**action["create"], "line": line_number(path, offset)}
            documents.append({**placed, "document": document})
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
    """The folder of cases was found, and each has its expectation."""
    assert len(CASES) >= 150
    assert all(path.with_suffix(".expected.json").exists() for path in CASES)
