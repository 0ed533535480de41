"""Fuzz lines: whatever stands in one, it is a document, a dead letter or blank, by its own id."""

import gzip
import io
import re
from collections.abc import Callable
from functools import cache
from itertools import chain
from random import Random
from typing import Any

import orjson

from devstack.traffic import (
    CHARACTERS,
    GENERATIONS,
    as_generation,
    bad_lines,
    connection_lines,
    health_check_lines,
    line_id,
    odd_lines,
    ordinary_lines,
)
from pipeline.alb.document import Context, Period
from pipeline.alb.fields import FieldType, Kind, fields_of
from pipeline.alb.parsing import kind_of_line
from pipeline.sink.encoding import Batch, encode_by_reference, encode_chunk
from pipeline.sink.letters import describe
from pipeline.source.reading import HEAD_BYTES, LONGEST_LINE, Chunk, read_stream
from tests.fuzz.mutations import damaged_line
from tests.support.encoders import assert_equal
from tests.support.factories import KEY, START
from tests.support.golden import CASES

LATEST = "2026-11-23T00:00:00Z"
CASE_BYTES = 1024 * 1024
_COMPARED = 0.25  # of all cases the share that is encoded by the reference path too
_POOL = 600

CONTEXTS = {
    "access": Context(
        latest=LATEST,
        kind=Kind.ACCESS,
        bucket="some%s<logs>",
        key=KEY + '%d"\\é',
        account="123456789012",
        region="eu-central-1",
        ingested="2026-11-22T10:00:00.000Z",
    ),
    "auto": Context(latest=LATEST, keep_original=True, period=Period.MONTH, prefix="p"),
    "connection": Context(latest=LATEST, kind=Kind.CONNECTION),
    "health-check": Context(latest=LATEST, kind=Kind.HEALTH_CHECK, keep_original=True),
}


@cache
def _pool(context: str) -> list[bytes]:
    """Return the whole lines that are damaged: every generation, ordinary and odd, and golden."""
    lines = [line for path in CASES for line in path.read_bytes().split(b"\n")]
    rng = Random(context)
    if context in {"access", "auto"}:
        ordinary = chain.from_iterable(
            ordinary_lines(1, _POOL // 3, start=START, load_balancer=name) for name in CHARACTERS
        )
        lines += (
            as_generation(line, rng.choice(GENERATIONS)) if rng.random() < 0.3 else line
            for line in ordinary
        )
        lines += odd_lines(1, _POOL // 2, start=START)
    if context in {"connection", "auto"}:
        lines += connection_lines(1, _POOL, start=START)
    if context in {"health-check", "auto"}:
        lines += health_check_lines(1, _POOL, start=START)
    lines += bad_lines(1, _POOL // 20, start=START)
    return sorted(line for line in lines if line)


def case_of_lines(context: str) -> Callable[[Random], bytes]:
    """Make texts of damaged lines for a context."""

    def case(rng: Random) -> bytes:
        pool, lines, size = _pool(context), list[bytes](), 0
        wanted = rng.choice((CASE_BYTES, CASE_BYTES // 16))
        while size < wanted:
            lines.append(damaged_line(pool, rng))
            size += len(lines[-1]) + 1
        end = rng.choice((b"\n", b"\n", b"\n", b"\r\n"))
        return end.join(lines) + rng.choice((end, b""))

    return case


def split_lines(text: bytes) -> list[bytes]:
    """Return the raw lines of a text without their ends, in the plainest way."""
    *ended, rest = text.split(b"\n")
    return [line.removesuffix(b"\r") for line in ended] + ([rest] if rest else [])


def check_lines(case: bytes, context: Context) -> int:
    """
    Read and encode a text: every line is a document, a dead letter or blank, by its own id.

    Whatever stands in a line, it raises nothing, the document is JSON that its mapping takes, and
    it is the reference path's.
    """
    rng = Random(case)
    data = gzip.compress(case, 1) if rng.random() < 0.1 else case
    compared = rng.random() < _COMPARED or len(case) < CASE_BYTES // 64
    lines, ids, at = split_lines(case), set[str](), 0
    for chunk in read_stream(
        io.BytesIO(data), name="fuzzed", chunk_bytes=rng.choice((CASE_BYTES * 2, 50_000))
    ):
        own = lines[at : at + (chunk.lines if isinstance(chunk, Chunk) else 1)]
        at += len(own)
        batch = encode_chunk(chunk, context)
        _check_batch(batch, own, context)
        ids |= {*(action.id for action in batch.actions), *(reject.id for reject in batch.rejects)}
        if compared and isinstance(chunk, Chunk):
            assert_equal(batch, encode_by_reference(chunk, context))
    assert at == len(lines)
    assert ids == {line_id(line) for line in lines if not _is_blank(line)}
    return len(lines)


def _check_batch(batch: Batch, lines: list[bytes], context: Context) -> None:
    assert batch.read == len(lines)
    assert batch.read == len(batch.actions) + len(batch.rejects) + batch.blank
    assert batch.blank == sum(map(_is_blank, lines))
    indices = {
        _check_item(action.text.encode(), context, action.line, action.id)
        for action in batch.actions
    }
    assert indices == batch.indices
    for reject in batch.rejects:
        letter = orjson.loads(orjson.dumps(describe(reject, context)))
        assert letter["error"]["type"]
        assert letter["error"]["message"]
        assert len(reject.line) <= (LONGEST_LINE if reject.length is None else HEAD_BYTES)


def _is_blank(line: bytes) -> bool:
    """Return whether a line is blank; one that is too long is a dead letter, whatever it holds."""
    return not line.strip(b" \t") and len(line) <= LONGEST_LINE


def _check_item(item: bytes, context: Context, line: bytes, id_: str) -> str:
    """Check one bulk item, and return its index."""
    action, document, end = item.split(b"\n")
    assert not end
    create, source = orjson.loads(action)["create"], orjson.loads(document)
    time = source["@timestamp"]
    day = time[8:10] if context.period is Period.DAY else "01"
    kind = context.kind or kind_of_line(line)
    assert id_ == create["_id"] == line_id(line)
    assert "2016-01-01T00:00:00" <= time[:19] <= LATEST[:19]
    index = f"{context.prefix}-{kind}-{time[:4]}.{time[5:7]}.{day}"
    assert index == create["_index"]
    _check_mapped(source, _TYPES[kind])
    return index


_TYPES = {kind: {field.name: field.type for field in fields_of(kind)} for kind in Kind}
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)
_TAKES: dict[FieldType, Callable[[Any], bool]] = {
    "keyword": lambda value: isinstance(value, str) and value != "",
    "long": lambda value: type(value) is int and -(2**63) <= value < 2**63,
    "float": lambda value: type(value) in {int, float} and abs(value) <= 3.4028235e38,
    "date": lambda value: bool(_DATE.fullmatch(value)),
    "ip": lambda value: isinstance(value, str),
    "boolean": lambda value: type(value) is bool,
}


def _check_mapped(source: dict[str, Any], types: dict[str, FieldType], above: str = "") -> None:
    """Check that each field of a document is mapped and holds what its mapping takes."""
    for name, part in source.items():
        if isinstance(part, dict):
            assert part
            _check_mapped(part, types, f"{above}{name}.")
            continue
        type_ = types[above + name]
        for value in part if isinstance(part, list) else [part]:
            assert _TAKES[type_](value), (above + name, value)
