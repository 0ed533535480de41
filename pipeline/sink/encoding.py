"""
Turn a chunk of raw lines into one ready bulk body and the lines that are rejected.

The one way from bytes to Elasticsearch's wire format: every front door uses `encode_chunk`. Plain
access log lines take the fast path (`fastpath`), every other line the reference path. An action is
a bulk `create`, whose reply is 409 if the document is there already:
elastic.co/guide/en/elasticsearch/reference/8.19/docs-bulk.html
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from pipeline.alb.document import (
    Context,
    document_ids,
    id_of_digest,
    line_fields,
    same_fields,
    to_document,
)
from pipeline.alb.fastpath import Plain
from pipeline.alb.fields import Kind
from pipeline.alb.filters import is_excluded
from pipeline.alb.parsing import ABOUT, Reason, Record, Unparsed, kind_of_line, parse_line
from pipeline.source.reading import Chunk, LongLine, without_end


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that cannot be a document, with all that its dead letter needs."""

    id: str
    reason: str
    message: str
    line: bytes
    offset: int
    length: int | None = None
    """Bytes of the whole line, where `line` is only its head."""


class Action(NamedTuple):
    """One document to create, and the line that it came from, without its line end."""

    id: str
    index: str  # type: ignore[assignment]  # it hides tuple.index, which nobody calls
    text: str
    """The two lines of a bulk `create`, or of an `index` that replaces a document."""
    line: bytes = b""
    offset: int = 0

    @property
    def replaces(self) -> bool:
        """Return whether it replaces a document that is there."""
        return self.text.startswith('{"index"')

    @property
    def source(self) -> str:
        """Return the document as JSON."""
        return self.text.split("\n", 1)[1].rstrip("\n")


def create_action(
    id_: str, index: str, source: bytes, line: bytes = b"", offset: int = 0
) -> Action:
    """Build the action that creates a document, given as JSON."""
    head = f'{{"create":{{"_index":"{index}","_id":"{id_}"}}}}'
    return Action(id_, index, f"{head}\n{source.decode()}\n", line, offset)


def bulk_body(actions: Iterable[Action]) -> bytes:
    """Return the bulk body that carries these actions out, in their order."""
    return "".join([action.text for action in actions]).encode()


@dataclass(slots=True)
class Batch:
    """
    The documents of one chunk, which make one bulk body, and what became of its other lines.

    `size` is in bytes of the lines. `fallback` counts the lines that took the reference path.
    """

    read: int
    size: int
    actions: list[Action] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    filtered: int = 0
    blank: int = 0
    fallback: int = 0

    @property
    def indices(self) -> set[str]:
        """Return the indices that the documents go to."""
        return {action.index for action in self.actions}

    @property
    def times(self) -> list[str]:
        """Return the time of each document, as it is written there."""
        return [_time_of(action.text) for action in self.actions]

    def body(self) -> bytes:
        """Return the bulk body that creates all documents."""
        return bulk_body(self.actions)


_TIME = '"@timestamp":"'  # not within a value: there, JSON escapes the quotes


def _time_of(text: str) -> str:
    begin = text.index(_TIME) + len(_TIME)
    return text[begin : text.index('"', begin)]


def encode_chunk(chunk: Chunk | LongLine, context: Context) -> Batch:
    """Encode every line of a chunk; each ends as an action or a reject, or is filtered or blank."""
    if isinstance(chunk, LongLine):
        return Batch(read=1, size=chunk.end - chunk.offset, rejects=[_too_long(chunk)])
    fast = Plain(context).encode if context.kind in {None, Kind.ACCESS} else _never
    return _encode(chunk, context, fast)


def encode_by_reference(chunk: Chunk, context: Context) -> Batch:
    """Encode every line by the reference path: slow, simple, and what the fast path must equal."""
    return _encode(chunk, context, _never)


_Encoded = tuple[str, str | None]
"""A document's index and bulk lines, or no lines if a rule excludes it."""

_EXCLUDED: _Encoded = ("", None)

_Fast = Callable[[bytes, str], _Encoded | None]


def _never(_line: bytes, _id: str) -> None:
    """Find no line plain."""


def _encode(chunk: Chunk, context: Context, fast: _Fast) -> Batch:
    lines, blank = _lines_of(chunk)
    batch = Batch(read=chunk.lines, size=len(chunk.data), blank=blank)
    ids = document_ids([line for line, _ in lines])
    for (line, offset), id_ in zip(lines, ids, strict=True):
        encoded: _Encoded | Unparsed | None = fast(line, id_)
        if encoded is None:
            batch.fallback += 1
            encoded = _encode_by_reference(line, id_, context)
        match encoded:
            case Unparsed(reason, message):
                batch.rejects.append(Reject(id_, reason, message, line, offset))
            case _, None:
                batch.filtered += 1
            case index, text:
                batch.actions.append(Action(id_, index, text, line, offset))
    return batch


_LINE = re.compile(rb"(?:[ \t]*+\r?\n)*+(?:[ \t]++\Z)?+([^\n]++\n?)")
_LAST_BLANK = ord(" ")  # as the first byte of a line, none above it begins a blank one


def _lines_of(chunk: Chunk) -> tuple[list[tuple[bytes, int]], int]:
    r"""Return the lines without their `\n` or `\r\n`, and their offsets, and how many are blank."""
    data, offset = chunk.data, chunk.offset
    lines = []
    for line in data.removesuffix(b"\n").split(b"\n"):
        if not line or line[0] <= _LAST_BLANK:
            return _lines_among_blanks(chunk)
        lines.append((line, offset))
        offset += len(line) + 1
    if b"\r" in data:
        lines = _without_returns(lines, whole=data.endswith(b"\n"))
    return lines, 0


def _lines_among_blanks(chunk: Chunk) -> tuple[list[tuple[bytes, int]], int]:
    r"""Return the lines that are not blank, and how many are, runs of those at once."""
    lines, position = [], 0
    while found := _LINE.match(chunk.data, position):
        position = found.end()
        lines.append((without_end(found[1]), chunk.offset + found.start(1)))
    # Counted from the text, not from what the reader says: the books compare the two.
    last = chunk.data[-1:] not in (b"", b"\n")
    return lines, chunk.data.count(b"\n") + last - len(lines)


def _without_returns(lines: list[tuple[bytes, int]], *, whole: bool) -> list[tuple[bytes, int]]:
    r"""Return lines without a carriage return at their end; a last line without `\n` keeps it."""
    last = [] if whole else [lines.pop()]
    return [(line.removesuffix(b"\r"), offset) for line, offset in lines] + last


def _encode_by_reference(line: bytes, id_: str, context: Context) -> _Encoded | Unparsed:
    """Return what the fast path would, of any line; or why the line is rejected."""
    kind = context.kind or kind_of_line(line)
    record = parse_line(line, kind, earliest=context.earliest, latest=context.latest)
    if isinstance(record, Unparsed):
        quoting = context.privacy.rejected_lines
        return record if quoting else Unparsed(record.reason, ABOUT[record.reason])
    if context.exclude and _is_excluded(record, line, context):
        return _EXCLUDED
    document = to_document(record, line, context)
    source = orjson.dumps(document.source)
    return document.index, create_action(id_, document.index, source).text


def _is_excluded(record: Record, line: bytes, context: Context) -> bool:
    fields = same_fields(record.kind, context) | line_fields(record)
    return is_excluded(context.exclude, fields, line)


def _too_long(long: LongLine) -> Reject:
    return Reject(
        id=id_of_digest(long.digest),
        reason=Reason.LINE_TOO_LONG,
        message=f"the line has {long.length} bytes; no load balancer writes one above 256 KiB",
        line=long.head,
        offset=long.offset,
        length=long.length,
    )
