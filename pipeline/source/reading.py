r"""
Turn one object into chunks of whole lines: fetch, gunzip, cut.

    pieces of stored bytes -> pieces of text -> Chunk | LongLine

Each stage (`fetching`, `gunzip`, and the cutting here) is a generator that holds a bounded part of
the object. Nothing is decoded, and a line ends at ``\n`` only; what it means is not this room's
business. Two promises the rest counts on:

- An unterminated last line counts only after a clean end: all bytes that S3 announced, and every
  gzip member's checksum and length right. Otherwise it may be half a line that parses.
- What comes out, chunk by chunk, depends on the object's text and `chunk_bytes` alone, never on how
  the network or the decompressor happened to slice it.
"""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass, field
from io import BytesIO
from typing import IO, TYPE_CHECKING

from pipeline.errors import ObjectCorruptError, PipelineError
from pipeline.source.continuation import Place, Trail
from pipeline.source.gunzip import gunzip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mypy_boto3_s3 import S3Client

    from pipeline.source.fetching import Stored

CHUNK_BYTES = 2 * 1024 * 1024
LONGEST_LINE = 256 * 1024  # a request line, a header and all headers are 16, 16 and 64 KiB at most
HEAD_BYTES = 8 * 1024

_PIECE_BYTES = 256 * 1024  # read of a local file at once


@dataclass(frozen=True, slots=True)
class Chunk:
    r"""
    Hold whole lines with their line ends, in the object's order.

    `offset` is the place of `data[0]` in the decompressed object. Only the very last chunk of a
    clean object may lack the final ``\n``.
    """

    offset: int
    data: bytes
    lines: int


@dataclass(frozen=True, slots=True)
class LongLine:
    """
    Stand for a line too long to be a log line, without holding it.

    `length` and `digest` (SHA-256) are of the raw line without its line end.
    """

    offset: int
    head: bytes
    length: int
    digest: bytes


def read_object(  # noqa: PLR0913 - where, by what, and from where to where: no two go together
    bucket: str,
    key: str,
    *,
    s3: S3Client,
    chunk_bytes: int = CHUNK_BYTES,
    place: Place | None = None,
    trail: Trail | None = None,
    left: Callable[[], float] = lambda: math.inf,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Chunk | LongLine]:
    """
    Read one S3 object, gzip or plain, from a place on; the trail tells how to go on after a chunk.

    `left` gives the seconds in which it is worth resuming a body that was cut.

    Raises ObjectMissingError, ConfigError, SourceUnavailableError or ObjectCorruptError; the last
    two after all whole lines that arrived were yielded.
    """
    from pipeline.source.fetching import Stored, fetch  # noqa: PLC0415 - local files need no AWS library

    trail = Trail() if trail is None else trail
    stored = Stored(bucket, key)
    if place is not None:
        # Plain text is entered a byte early, for no range may begin at an object's end.
        begin = max(0, place.offset - 1) if place.member is None else place.member
        stored = Stored(bucket, key, begin, place.etag)
    pieces = _noting_version(fetch(stored, s3=s3, left=left, sleep=sleep), stored, trail)
    texts = _texts(pieces, f"s3://{bucket}/{key}", place, trail)
    yield from _cut(texts, chunk_bytes, offset=place.offset if place else 0)


def _noting_version(pieces: Iterator[bytes], stored: Stored, trail: Trail) -> Iterator[bytes]:
    for piece in pieces:
        trail.etag = stored.etag or ""
        yield piece


def _texts(
    pieces: Iterator[bytes], name: str, place: Place | None, trail: Trail
) -> Iterator[bytes]:
    """Yield the text from a place on, and note where members begin."""
    if place is not None and place.member is None:
        return _without(pieces, min(1, place.offset))
    at = 0 if place is None else place.member_offset
    stored = 0 if place is None else place.member or 0

    def begin(position: int) -> None:
        trail.members.append((at, stored + position))

    def counted() -> Iterator[bytes]:
        nonlocal at
        for text in gunzip(pieces, name=name, begin=begin):
            at += len(text)
            yield text

    return _without(counted(), 0 if place is None else place.offset - place.member_offset)


def _without(texts: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Leave out the first bytes of a text."""
    for text in texts:
        if size < len(text):
            yield text[size:]
        size = max(0, size - len(text))


def read_stream(
    stream: IO[bytes], *, name: str, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[Chunk | LongLine]:
    """
    Read a local file or stdin, gzip or plain; `name` is what messages call it.

    Raises ObjectCorruptError as `read_object` does, and lets OSError out: what can not be read here
    is for the user to mend.
    """
    pieces = iter(lambda: stream.read(_PIECE_BYTES), b"")
    yield from _cut(gunzip(pieces, name=name), chunk_bytes)


def _cut(
    texts: Iterable[bytes], chunk_bytes: int, longest: int = LONGEST_LINE, offset: int = 0
) -> Iterator[Chunk | LongLine]:
    """
    Pack lines into chunks; an error is raised after the whole lines before it.

    A chunk is as many lines as fit into `chunk_bytes`, but at least one; a long line ends it.
    """
    pack = _Pack(offset)
    try:
        for line in _lines(iter(texts), longest):
            if isinstance(line, _LongLineBuilder):
                yield from pack.close()
                yield line.build(pack.offset)
                pack.offset += line.size
                continue
            if pack.size + len(line) > chunk_bytes:
                yield from pack.close()
            pack.lines.append(line)
            pack.size += len(line)
    except PipelineError:
        yield from pack.close()
        raise
    yield from pack.close()


@dataclass(slots=True)
class _Pack:
    """Hold the lines of the next chunk."""

    offset: int = 0
    size: int = 0
    lines: list[bytes] = field(default_factory=list)

    def close(self) -> Iterator[Chunk]:
        """Yield the chunk, unless it is empty, and begin the next one."""
        if self.lines:
            yield Chunk(self.offset, b"".join(self.lines), len(self.lines))
        self.offset += self.size
        self.size, self.lines = 0, []


def _lines(texts: Iterator[bytes], longest: int) -> Iterator[bytes | _LongLineBuilder]:
    """Yield line by line with its line end; of a long one, its digest."""
    begun = b""
    try:
        for text in texts:
            lines, begun = _split(begun + text, longest)
            yield from lines
            if len(begun) > longest + 1:
                long = _LongLineBuilder(begun)
                rest = long.read_on(texts)
                yield long
                lines, begun = _split(rest, longest)
                yield from lines
    except ObjectCorruptError as error:
        error.truncated = int(begun != b"")
        raise
    if begun:
        yield _checked(begun, longest)


def _split(text: bytes, longest: int) -> tuple[list[bytes | _LongLineBuilder], bytes]:
    """Split into whole lines and the one that has begun."""
    lines = BytesIO(text).readlines()  # breaks at b"\n" alone, unlike bytes.splitlines
    begun = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
    return [line if len(line) <= longest else _checked(line, longest) for line in lines], begun


def _checked(line: bytes, longest: int) -> bytes | _LongLineBuilder:
    return line if len(_content(line)) <= longest else _LongLineBuilder(line)


def _content(line: bytes) -> bytes:
    r"""Take the line end off, ``\n`` or ``\r\n``."""
    return line[:-1].removesuffix(b"\r") if line.endswith(b"\n") else line


class _LongLineBuilder:
    """Digest a line that comes in parts. Its last two bytes are held back: they may be its end."""

    def __init__(self, beginning: bytes) -> None:
        self.size = 0
        self._head = b""
        self._length = 0
        self._digest = hashlib.sha256()
        self._held = b""
        self._add(beginning)

    def read_on(self, texts: Iterator[bytes]) -> bytes:
        """Add what follows up to the line's end, and give what is left of the last text."""
        for text in texts:
            end = text.find(b"\n") + 1
            self._add(text[:end] if end else text)
            if end:
                return text[end:]
        return b""

    def build(self, offset: int) -> LongLine:
        self._absorb(_content(self._held))
        return LongLine(offset, self._head, self._length, self._digest.digest())

    def _add(self, part: bytes) -> None:
        self.size += len(part)
        self._absorb((self._held + part)[:-2])
        self._held = (self._held + part)[-2:]

    def _absorb(self, data: bytes) -> None:
        self._head += data[: HEAD_BYTES - len(self._head)]
        self._length += len(data)
        self._digest.update(data)
