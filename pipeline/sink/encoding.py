"""
Turn a chunk of raw lines into one ready bulk body and the lines that are rejected.

The one way from bytes to Elasticsearch's wire format: every front door uses `encode_chunk`. Plain
access log lines take the fast path (`hotpath`), every other line the reference path. An item is the
two lines of a bulk `create`, whose reply is 409 where the document is there already:
elastic.co/guide/en/elasticsearch/reference/8.19/docs-bulk.html
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from pipeline.alb.document import Context, document_id, document_ids, id_of_digest, to_document
from pipeline.alb.fastpath import Plain
from pipeline.alb.fields import Kind
from pipeline.alb.parsing import Reason, Unparsed, kind_of_line, parse_line
from pipeline.source.reading import Chunk, LongLine


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that can not be a document, with all that its dead letter needs."""

    id: str
    reason: str
    message: str
    line: bytes
    offset: int
    length: int | None = None
    """Bytes of the whole line, where `line` is only its head."""


@dataclass(slots=True)
class Batch:
    """
    One bulk body, item by item, and what became of the chunk's other lines.

    `ids`, `items`, `lines` and `offsets` run in parallel: one entry per document. `fallback` counts
    the lines that took the reference path.
    """

    read: int
    size: int
    ids: list[str] = field(default_factory=list)
    items: list[bytes] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    indices: set[str] = field(default_factory=set)
    rejects: list[Reject] = field(default_factory=list)
    blank: int = 0
    fallback: int = 0


def encode_chunk(chunk: Chunk | LongLine, context: Context) -> Batch:
    """Encode every line of a chunk; each ends as an item, a reject or a blank."""
    if isinstance(chunk, LongLine):
        return Batch(read=1, size=chunk.length, rejects=[_too_long(chunk)])
    fast = Plain(context).encode if context.kind in {None, Kind.ACCESS} else None
    return _encode(chunk, context, fast)


def encode_by_reference(chunk: Chunk, context: Context) -> Batch:
    """Encode every line by the reference path: slow, simple, and what the fast path must equal."""
    return _encode(chunk, context, None)


def create_item(index: str, id_: str, source: bytes) -> bytes:
    """Give the two lines of a bulk `create` for a ready JSON source."""
    return b'{"create":{"_index":"%b","_id":"%b"}}\n%b\n' % (index.encode(), id_.encode(), source)


_Fast = Callable[[str, int], tuple[int, str, str] | None]


def _encode(chunk: Chunk, context: Context, fast: _Fast | None) -> Batch:
    batch = Batch(read=chunk.lines, size=len(chunk.data))
    data, text = chunk.data, chunk.data.decode("latin-1")  # one character a byte
    placed: list[tuple[str, bytes]] = []
    position, size = 0, len(data)
    while position < size:
        plain = fast(text, position) if fast else None
        if plain is not None:
            end, index, source = plain
            line, after = data[position:end], end + (1 if text[end : end + 1] == "\n" else 2)
            document: tuple[str, bytes] | None = index, source.encode()
        else:
            line, after = _line_at(data, position)
            document = _encode_by_reference(line, chunk.offset + position, context, batch)
        if document is not None:
            batch.lines.append(line)
            batch.offsets.append(chunk.offset + position)
            placed.append(document)
        position = after
    batch.ids = document_ids(batch.lines)
    batch.items = [
        create_item(index, id_, source)
        for id_, (index, source) in zip(batch.ids, placed, strict=True)
    ]
    batch.indices = {index for index, _ in placed}
    return batch


def _line_at(data: bytes, position: int) -> tuple[bytes, int]:
    r"""Give the line at a position without its end (`\n` or `\r\n`), and where the next begins."""
    end = data.find(b"\n", position)
    if end < 0:  # at the very end of the object a lone carriage return is no line end
        return data[position:], len(data)
    return data[position:end].removesuffix(b"\r"), end + 1


def _encode_by_reference(
    line: bytes, offset: int, context: Context, batch: Batch
) -> tuple[str, bytes] | None:
    """Give the index and the JSON of a line's document; a line without one goes into the batch."""
    if not line.strip(b" \t"):
        batch.blank += 1
        return None
    batch.fallback += 1
    record = parse_line(line, context.kind or kind_of_line(line), latest=context.latest)
    if isinstance(record, Unparsed):
        batch.rejects.append(Reject(document_id(line), record.reason, record.message, line, offset))
        return None
    document = to_document(record, line, context)
    return document.index, orjson.dumps(document.source)


def _too_long(long: LongLine) -> Reject:
    return Reject(
        id=id_of_digest(long.digest),
        reason=Reason.LINE_TOO_LONG,
        message=f"the line has {long.length} bytes; no load balancer writes one above 256 KiB",
        line=long.head,
        offset=long.offset,
        length=long.length,
    )
