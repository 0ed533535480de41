r"""
Turn one object into chunks of whole lines: fetch, gunzip, cut.

    pieces of stored bytes -> pieces of text -> Chunk | LongLine

Each stage (`fetching`, `gunzip`, and the cutting here) is a generator that holds a bounded part of
the object. Nothing is decoded, and a line ends at ``\n`` only. Two promises the rest counts on:

- An unterminated last line counts only after a clean end: all bytes that S3 announced, and every
  gzip member's checksum and length right. Otherwise it may be half a line that parses.
- What comes out, chunk by chunk, depends on the object's text and `chunk_bytes` alone, never on how
  the network or the decompressor happened to slice it.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING

from pipeline.deadline import Deadline
from pipeline.errors import ObjectCorruptError, PipelineError
from pipeline.source.continuation import ResumePoint
from pipeline.source.gunzip import Piece, gunzip

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from mypy_boto3_s3 import S3Client

    from pipeline.source.fetching import Download

CHUNK_BYTES = 2 * 1024 * 1024
LONGEST_LINE = 256 * 1024  # a request line, a header and all headers are 16, 16 and 64 KiB at most
HEAD_BYTES = 8 * 1024

_PIECE_BYTES = 256 * 1024  # read of a local file at once
_MOST_LINES = 5_000  # of a chunk: so often, at least, somebody looks at the time
_MANY_LINES = re.compile(rb"(?:[^\n]*+\n){1,%d}+|[^\n]++" % _MOST_LINES)
_NO_LIMIT = Deadline()


@dataclass(frozen=True, slots=True)
class Chunk:
    r"""
    Hold whole lines with their line ends, in the object's order.

    `offset` is that of `data[0]` in the decompressed object. Only the very last chunk of a clean
    object may lack the final ``\n``.
    """

    offset: int
    data: bytes
    lines: int

    @property
    def end(self) -> int:
        """Return the offset at which the next chunk begins."""
        return self.offset + len(self.data)


@dataclass(frozen=True, slots=True)
class LongLine:
    """
    Stand for a line too long to be a log line, without holding it.

    `length` and `digest` (SHA-256) are of the raw line without its line end; `end` is the offset at
    which the next line begins.
    """

    offset: int
    end: int
    head: bytes
    length: int
    digest: bytes


class ObjectReader:
    """
    One S3 object, gzip or plain, from a resume point on: iterate over its chunks, once.

    Raises ObjectMissingError, ConfigError, SourceUnavailableError or ObjectCorruptError; the last
    two after all whole lines that arrived were yielded.
    """

    def __init__(  # noqa: PLR0913 - which object, by what, from where, until when
        self,
        bucket: str,
        key: str,
        *,
        s3: S3Client,
        start: ResumePoint | None = None,
        version_id: str | None = None,
        chunk_bytes: int = CHUNK_BYTES,
        deadline: Deadline = _NO_LIMIT,
    ) -> None:
        self._bucket, self._key, self._s3 = bucket, key, s3
        self._version_id = start.version_id if start else version_id
        self._start, self._chunk_bytes, self._deadline = start, chunk_bytes, deadline
        self._trail = _Trail()

    def __iter__(self) -> Iterator[Chunk | LongLine]:
        """Yield the chunks in the object's order."""
        from pipeline.source.fetching import Download, Stored  # noqa: PLC0415 - files need no AWS

        stored = Stored(self._bucket, self._key, version_id=self._version_id)
        if self._start is not None:
            stored = replace(stored, start=_entry(self._start), etag=self._start.etag)
        download = Download(stored, s3=self._s3, deadline=self._deadline)
        self._trail.etag, self._trail.version_id = download.etag, download.version_id
        texts = self._texts(download, stored.uri)
        offset = self._start.offset if self._start else 0
        for chunk in _cut(texts, self._chunk_bytes, offset=offset):
            self._trail.forget(chunk.offset)
            yield chunk

    @property
    def etag(self) -> str:
        """Return the ETag of the version that is read; empty before the first chunk."""
        return self._trail.etag

    def resume_point(self, offset: int) -> ResumePoint:
        """Return how to go on later at the end of a chunk that was yielded."""
        return self._trail.resume_point(offset)

    def _texts(self, download: Download, uri: str) -> Iterator[bytes]:
        """Yield the text from the resume point on, and note where its gzip members begin."""
        if self._start is not None and self._start.member is None:
            yield from _without(iter(download), self._start.offset - _entry(self._start))
            return
        start = self._start or ResumePoint(0, "", 0)
        yield from _without(self._noted(start, gunzip(download, name=uri)), start.in_member)

    def _noted(self, start: ResumePoint, pieces: Iterator[Piece]) -> Iterator[bytes]:
        offset = start.member_offset
        for text, member in pieces:
            if member is not None:
                self._trail.add(offset, (start.member or 0) + member)
            offset += len(text)
            yield text


def _without(texts: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Yield a text without its first bytes."""
    for text in texts:
        if size < len(text):
            yield text[size:]
        size = max(0, size - len(text))


def _entry(start: ResumePoint) -> int:
    """
    Return the stored byte to read from.

    Plain text is entered a byte early, as no range may begin at an object's end.
    """
    return max(0, start.offset - 1) if start.member is None else start.member


@dataclass(slots=True)
class _Trail:
    """The gzip members passed, as far as reading could still go on in them."""

    etag: str = ""
    version_id: str | None = None
    members: deque[tuple[int, int]] = field(default_factory=deque)
    """The text before each member, and its first stored byte; in their order."""

    def add(self, offset: int, stored: int) -> None:
        """Note where a member begins, once."""
        if not self.members or self.members[-1][1] != stored:
            self.members.append((offset, stored))

    def forget(self, offset: int) -> None:
        """Forget the members that end before an offset of the text: nobody will go on there."""
        while len(self.members) > 1 and self.members[1][0] <= offset:
            self.members.popleft()

    def resume_point(self, offset: int) -> ResumePoint:
        self.forget(offset)
        before, member = self.members[0] if self.members else (0, None)
        return ResumePoint(offset, self.etag, member, before, self.version_id)


def read_stream(
    stream: IO[bytes], *, name: str, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[Chunk | LongLine]:
    """
    Yield the chunks of a local file or stdin, gzip or plain; `name` is what messages call it.

    Raises ObjectCorruptError as an ObjectReader does, and lets OSError out: what cannot be read
    here is for the user to fix.
    """
    pieces = iter(lambda: stream.read(_PIECE_BYTES), b"")
    yield from _cut((piece.text for piece in gunzip(pieces, name=name)), chunk_bytes)


def _cut(
    texts: Iterable[bytes], chunk_bytes: int, longest: int = LONGEST_LINE, offset: int = 0
) -> Iterator[Chunk | LongLine]:
    """
    Pack lines into chunks; an error is raised after the whole lines before it.

    A chunk is as many lines as fit into `chunk_bytes`, at least one and at most 5,000; a long line
    ends it.
    """
    cutter = _Cutter(chunk_bytes, longest, offset)
    try:
        for text in texts:
            yield from cutter.add(text)
    except ObjectCorruptError as error:
        truncated = yield from cutter.break_off()
        raise ObjectCorruptError(str(error), truncated=truncated) from error
    except PipelineError:
        yield from cutter.break_off()
        raise
    yield from cutter.finish()


class _Cutter:
    """
    Cut text into chunks. It waits for so much text that a chunk or a long line is sure to begin it.

    Lines are not looked at one by one: a chunk ends at the last line end within its bytes.
    """

    def __init__(self, chunk_bytes: int, longest: int, offset: int) -> None:
        self._chunk_bytes, self._longest, self._offset = chunk_bytes, longest, offset
        self._enough = max(chunk_bytes, longest + len(b"\r\n"))
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._long: _LongLineBuilder | None = None

    def add(self, text: bytes) -> Iterator[Chunk | LongLine]:
        """Yield what more text completes."""
        if self._long is not None:
            text = self._long.read_on(text)
            if not self._long.complete:
                return
            yield self._end_long(self._long)
        self._waiting.append(text)
        self._waiting_bytes += len(text)
        if self._waiting_bytes > self._enough:
            yield from self._cut(b"".join(self._waiting), self._enough)

    def finish(self) -> Iterator[Chunk | LongLine]:
        """Yield what is left at a clean end: an unfinished last line counts."""
        yield from self._cut(b"".join(self._waiting), 0)
        if self._long is not None:
            yield self._end_long(self._long)

    def break_off(self) -> Generator[Chunk | LongLine, None, int]:
        """Yield the whole lines that are left; return how many have begun and not ended: 0 or 1."""
        text = b"".join(self._waiting)
        whole = text.rfind(b"\n") + 1
        yield from self._cut(text[:whole], 0)
        return int(whole < len(text) or self._long is not None)

    def _cut(self, text: bytes, most: int) -> Iterator[Chunk | LongLine]:
        """Yield chunks until at most so many bytes are left, which wait for more."""
        begin = 0
        while len(text) - begin > most:
            end = self._chunk_end(text, begin)
            long = _first_long_line(text, begin, end, self._longest)
            if long == begin:
                builder = _LongLineBuilder()
                begin = len(text) - len(builder.read_on(text[begin:]))
                if not builder.complete:
                    self._long = builder
                    break
                yield self._end_long(builder)
                continue
            end = end if long is None else long
            yield from self._chunks(text[begin:end])
            begin = end
        self._waiting = [text[begin:]]
        self._waiting_bytes = len(text) - begin

    def _chunk_end(self, text: bytes, begin: int) -> int:
        """Return where the lines end that fit into a chunk, or the first line, if it does not."""
        if len(text) - begin <= self._chunk_bytes:
            return len(text)
        end = text.rfind(b"\n", begin, begin + self._chunk_bytes) + 1
        return end or text.find(b"\n", begin + self._chunk_bytes) + 1 or len(text)

    def _chunks(self, data: bytes) -> Iterator[Chunk]:
        """Yield lines as one chunk, or as several if there are very many."""
        many = data.count(b"\n") > _MOST_LINES
        for part in _MANY_LINES.findall(data) if many else [data]:
            chunk = Chunk(self._offset, part, part.count(b"\n") + (not part.endswith(b"\n")))
            self._offset = chunk.end
            yield chunk

    def _end_long(self, builder: _LongLineBuilder) -> LongLine:
        self._long = None
        line = builder.build(self._offset)
        self._offset = line.end
        return line


def _first_long_line(text: bytes, begin: int, end: int, longest: int) -> int | None:
    """Return where the first line begins that is too long; None if there is none."""
    while end - begin > longest:
        newline = text.rfind(b"\n", begin, begin + longest + 1)
        if newline < 0 and text[begin + longest : begin + longest + 2] == b"\r\n":
            newline = begin + longest + 1
        if newline < 0:
            return begin
        begin = newline + 1
    return None


class _LongLineBuilder:
    """Digest a line that comes in parts. Its last two bytes are held back: they may be its end."""

    def __init__(self) -> None:
        self.complete = False
        self._size = 0
        self._head = b""
        self._length = 0
        self._digest = hashlib.sha256()
        self._held = b""

    def read_on(self, text: bytes) -> bytes:
        """Add what follows up to the line's end; return what comes after it."""
        end = text.find(b"\n") + 1
        self.complete = end > 0
        self._add(text[:end] if end else text)
        return text[end:] if end else b""

    def build(self, offset: int) -> LongLine:
        """Return the line, which begins at an offset of the object's text."""
        self._absorb(without_end(self._held))
        return LongLine(
            offset, offset + self._size, self._head, self._length, self._digest.digest()
        )

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        self._absorb((self._held + part)[:-2])
        self._held = (self._held + part)[-2:]

    def _absorb(self, data: bytes) -> None:
        self._head += data[: HEAD_BYTES - len(self._head)]
        self._length += len(data)
        self._digest.update(data)


def without_end(line: bytes) -> bytes:
    r"""Take the line end off, ``\n`` or ``\r\n``."""
    return line[:-1].removesuffix(b"\r") if line.endswith(b"\n") else line
