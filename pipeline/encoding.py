"""
Turn a chunk of raw lines into one ready bulk body and the lines that are rejected.

The one way from bytes to Elasticsearch's wire format: every front door uses `encode_chunk`. An
item is the two lines of a bulk `create`, whose reply is 409 where the document is there already:
docs-v8: elastic.co/guide/en/elasticsearch/reference/8.19/docs-bulk.html
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

from pipeline.document import Context, Document, document_id, id_of_digest, to_document
from pipeline.parsing import Reason, Unparsed, kind_of_line, parse_line
from pipeline.reading import Chunk, LongLine


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

    `ids`, `items`, `lines` and `offsets` run in parallel: one entry per document.
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


def encode_chunk(chunk: Chunk | LongLine, context: Context) -> Batch:
    """Encode every line of a chunk; each ends as an item, a reject or a blank."""
    if isinstance(chunk, LongLine):
        return Batch(read=1, size=chunk.length, rejects=[_too_long(chunk)])
    batch = Batch(read=chunk.lines, size=len(chunk.data))
    for offset, line in split_lines(chunk):
        if not line.strip(b" \t"):
            batch.blank += 1
        else:
            _encode_line(batch, line, offset, context)
    return batch


def split_lines(chunk: Chunk) -> Iterator[tuple[int, bytes]]:
    r"""Give each line without its end (`\\n` or `\\r\\n`), and its offset in the object."""
    offset = chunk.offset
    for line in chunk.data.split(b"\n"):
        if line or offset < chunk.offset + len(chunk.data):
            # A lone carriage return at the very end of the object is no line end.
            ended = offset + len(line) < chunk.offset + len(chunk.data)
            yield offset, line.removesuffix(b"\r") if ended else line
        offset += len(line) + 1


def to_item(document: Document) -> bytes:
    """Give the two lines of a bulk `create`."""
    return create_item(document.index, document.id, orjson.dumps(document.source))


def create_item(index: str, id_: str, source: bytes) -> bytes:
    """Give the two lines of a bulk `create` for a ready JSON source."""
    action = orjson.dumps({"create": {"_index": index, "_id": id_}})
    return b"%b\n%b\n" % (action, source)


def _encode_line(batch: Batch, line: bytes, offset: int, context: Context) -> None:
    record = parse_line(line, context.kind or kind_of_line(line), latest=context.latest)
    if isinstance(record, Unparsed):
        batch.rejects.append(Reject(document_id(line), record.reason, record.message, line, offset))
        return
    document = to_document(record, line, context)
    batch.ids.append(document.id)
    batch.items.append(to_item(document))
    batch.lines.append(line)
    batch.offsets.append(offset)
    batch.indices.add(document.index)


def _too_long(long: LongLine) -> Reject:
    return Reject(
        id=id_of_digest(long.digest),
        reason=Reason.LINE_TOO_LONG,
        message=f"the line has {long.length} bytes; no load balancer writes one above 256 KiB",
        line=long.head,
        offset=long.offset,
        length=long.length,
    )
