r"""
Turn one object into chunks of whole lines: fetch, gunzip, cut.

    pieces as S3 sends them -> decompressed text -> Chunk | LongLine

Each stage is a generator that holds a bounded part of the object, so memory does not grow with it.
Everything is bytes: nothing is decoded, and a line ends at ``\n`` only. What a line means is not
this room's business.

Three promises the rest counts on:

- Every byte is given out once, however often the network cuts the body: a cut body is resumed by a
  ranged GET of the same version, into the same decompressor.
- An unterminated last line counts only after a clean end: all bytes that S3 announced, and every
  gzip member's checksum and length right. Otherwise it may be half a line that parses.
- What comes out, chunk by chunk, depends on the object's bytes and `chunk_bytes` alone, never on
  how the network or the decompressor happened to slice them.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
https://www.rfc-editor.org/rfc/rfc1952
"""

from __future__ import annotations

import hashlib
import random
import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

import urllib3.exceptions
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from pipeline.errors import (
    ConfigError,
    ObjectCorruptError,
    ObjectMissingError,
    PipelineError,
    SourceUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mypy_boto3_s3 import S3Client


class _Decoder(Protocol):
    """What zlib's and isal's decompression objects have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


_new_decoder: Callable[[int], _Decoder]
_crc32: Callable[[bytes, int], int]
_DAMAGE: tuple[type[Exception], ...]
try:
    from isal import isal_zlib
except ImportError:  # the optional extra `fast`
    _new_decoder, _crc32, _DAMAGE = zlib.decompressobj, zlib.crc32, (EOFError, zlib.error)
else:
    _new_decoder, _crc32 = isal_zlib.decompressobj, isal_zlib.crc32
    _DAMAGE = (EOFError, zlib.error, cast("type[Exception]", isal_zlib.error))

CHUNK_BYTES = 2 * 1024 * 1024
LONGEST_LINE = 256 * 1024  # a request line, a header and all headers are 16, 16 and 64 KiB at most
HEAD_BYTES = 8 * 1024

_PIECE_BYTES = 256 * 1024  # asked of S3 at once; what a cut connection makes us fetch again
_STEP_BYTES = 32 * 1024  # given to the decompressor at once
_TEXT_BYTES = 1024 * 1024  # the most that the decompressor may give back at once
_HEADER_BYTES = 128 * 1024  # a gzip header's extra field alone may take half of it
_REPLAY_BYTES = 8 * 1024 * 1024  # of a gzip member kept for decoding it again up to its damage
_ATTEMPTS = 5  # bodies cut in a row without one byte gained
_PAUSE_SECONDS = 0.1  # the first pause between two of them is up to twice this, then it doubles

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_DEFLATE = _GZIP_MAGIC + b"\x08"
_HEADER_CRC, _EXTRA, _NAME, _COMMENT, _RESERVED = 0x02, 0x04, 0x08, 0x10, 0xE0


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


def read_object(
    bucket: str,
    key: str,
    *,
    s3: S3Client,
    chunk_bytes: int = CHUNK_BYTES,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Chunk | LongLine]:
    """
    Read one S3 object, gzip or plain.

    Raises ObjectMissingError, ConfigError, SourceUnavailableError or ObjectCorruptError; the last
    two after all whole lines that arrived were yielded.
    """
    download = _Download(bucket, key, s3=s3, sleep=sleep)
    yield from _cut(_as_text(download.pieces(), download.uri), chunk_bytes)


def read_stream(
    stream: BinaryIO, *, name: str, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[Chunk | LongLine]:
    """
    Read a local file or stdin, gzip or plain; `name` is what messages call it.

    Raises ObjectCorruptError as `read_object` does, and lets OSError out: what can not be read here
    is for the user to mend.
    """
    pieces = iter(lambda: stream.read(_PIECE_BYTES), b"")
    yield from _cut(_as_text(pieces, name), chunk_bytes)


# Fetch

_CUT = (
    HTTPClientError,
    BotoConnectionError,
    IncompleteReadError,
    urllib3.exceptions.HTTPError,  # those that botocore lets through, of TLS for one
    OSError,
)

# What a refusal means, by its code or else its status. The code says more: some throttles and S3's
# own timeout come with a 400.
_MISSING = (ObjectMissingError, "there is no such object")
_CHANGED = (SourceUnavailableError, "it changed while it was read")
_LATER = (SourceUnavailableError, "S3 can not serve it now")
_NOT_GRANTED = (
    ConfigError,
    (
        "grant s3:GetObject on the object, kms:Decrypt on its key if it is encrypted with SSE-KMS,"
        " and s3:ListBucket on the bucket, without which a missing object reads as refused"
    ),
)
_BAD_CREDENTIALS = (ConfigError, "S3 does not accept the AWS credentials")
_REFUSED = (ConfigError, "S3 refuses the request")
_REFUSALS: dict[str, tuple[type[PipelineError], str]] = {
    "NoSuchBucket": (ConfigError, "there is no such bucket"),
    "NoSuchKey": _MISSING,
    "404": _MISSING,
    "PreconditionFailed": _CHANGED,
    "412": _CHANGED,
    "InvalidRange": _CHANGED,
    "416": _CHANGED,
    "InvalidObjectState": (SourceUnavailableError, "it is archived: restore it first"),
    "ExpiredToken": _BAD_CREDENTIALS,
    "InvalidAccessKeyId": _BAD_CREDENTIALS,
    "InvalidToken": _BAD_CREDENTIALS,
    "SignatureDoesNotMatch": _BAD_CREDENTIALS,
    "AccessDenied": _NOT_GRANTED,
    "403": _NOT_GRANTED,
    "InternalError": _LATER,
    "RequestTimeout": _LATER,
    "ServiceUnavailable": _LATER,
    "SlowDown": _LATER,
    "Throttling": _LATER,
    "ThrottlingException": _LATER,
    "408": _LATER,
    "429": _LATER,
}


class _Download:
    """Bring one object's bytes, each once, however often its body is cut."""

    def __init__(
        self, bucket: str, key: str, *, s3: S3Client, sleep: Callable[[float], None]
    ) -> None:
        self.uri = f"s3://{bucket}/{key}"
        self._bucket, self._key, self._s3, self._sleep = bucket, key, s3, sleep
        with _named_errors(self.uri):
            answer = s3.get_object(Bucket=bucket, Key=key)
        self._etag, self._size, self._body = answer["ETag"], answer["ContentLength"], answer["Body"]
        self._done = 0  # bytes given out
        self._at = 0  # place in the object of the body's next byte
        self._resumed = False

    def pieces(self) -> Iterator[bytes]:
        """Yield the whole object, or raise SourceUnavailableError."""
        failures = 0
        try:
            while self._done < self._size:
                try:
                    piece = self._next_piece()
                except _CUT as exc:
                    failures += 1
                    self._resume(exc, failures)
                else:
                    failures = 0
                    yield piece
            self._check_end()
        finally:
            self._body.close()

    def _next_piece(self) -> bytes:
        piece = b""
        while not piece:
            arrived = self._body.read(min(_PIECE_BYTES, self._size - self._at))
            if not arrived:
                raise IncompleteReadError(actual_bytes=self._at, expected_bytes=self._size)
            # A server that ignores Range begins anew: what is known already is dropped.
            piece = arrived[self._done - self._at :]
            self._at += len(arrived)
        self._done += len(piece)
        return piece

    def _resume(self, cut: Exception, failures: int) -> None:
        if failures == _ATTEMPTS:
            raise SourceUnavailableError(
                f"{self.uri}: cut {failures} times in a row at byte {self._done} of {self._size}"
            ) from cut
        self._body.close()
        self._resumed = True
        self._sleep(random.uniform(0, _PAUSE_SECONDS * 2**failures))
        with _named_errors(self.uri):
            answer = self._s3.get_object(
                Bucket=self._bucket,
                Key=self._key,
                Range=f"bytes={self._done}-",
                IfMatch=self._etag,
            )
        self._body, self._at = answer["Body"], _first_byte(answer.get("ContentRange", ""))
        if answer["ETag"] != self._etag or self._at > self._done:
            raise SourceUnavailableError(f"{self.uri}: {_CHANGED[1]}")

    def _check_end(self) -> None:
        """
        Read past the last byte, where botocore compares S3's checksum of the object.

        Not after a resume: no checksum of the whole fits a part.
        """
        if self._resumed:
            return
        try:
            more = self._body.read(1)
        except FlexibleChecksumError as exc:
            raise SourceUnavailableError(f"{self.uri}: damaged on its way: {exc}") from exc
        except _CUT:
            return
        if more:
            raise SourceUnavailableError(f"{self.uri}: more than the {self._size} bytes announced")


def _first_byte(content_range: str) -> int:
    """Say where a body begins, by a header like `bytes 5-9/10`; without one, at the beginning."""
    return int(content_range.removeprefix("bytes ").partition("-")[0] or 0)


@contextmanager
def _named_errors(uri: str) -> Iterator[None]:
    """Turn what botocore raises for a request into our errors."""
    try:
        yield
    except ClientError as exc:
        raise _refusal(exc, uri) from exc
    except _CUT as exc:
        raise SourceUnavailableError(f"{uri}: S3 can not be reached: {exc}") from exc
    except BotoCoreError as exc:
        raise ConfigError(f"{uri}: the request can not be made: {exc}") from exc


def _refusal(exc: ClientError, uri: str) -> PipelineError:
    """Say whose fault it is that S3 refused, and what mends it."""
    code = exc.response.get("Error", {}).get("Code", "")
    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    otherwise = _LATER if status >= 500 else _REFUSED  # noqa: PLR2004
    error, meaning = _REFUSALS.get(code) or _REFUSALS.get(str(status), otherwise)
    return error(f"{uri}: {meaning}: {exc}")


# Gunzip


def _as_text(pieces: Iterator[bytes], where: str) -> Iterator[bytes]:
    """Yield the text in pieces: gunzipped if the first bytes say gzip, else as it is."""
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= len(_GZIP_MAGIC) or not _GZIP_MAGIC.startswith(head):
            break
    whole = chain((head,), pieces)
    if head and _GZIP_MAGIC.startswith(head[:2]):
        return _gunzip(whole, where)
    return whole


def _gunzip(pieces: Iterator[bytes], where: str) -> Iterator[bytes]:
    """Yield the text of all members; damage raises ObjectCorruptError after the text before it."""
    try:
        yield from _members(_Compressed(pieces))
    except _DAMAGE as exc:
        raise ObjectCorruptError(f"{where}: damaged gzip: {exc}") from exc


class _Compressed:
    """Hand out compressed bytes, and take back those that belong to what follows."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._steps = (
            piece[at : at + _STEP_BYTES]
            for piece in pieces
            for at in range(0, len(piece), _STEP_BYTES)
        )
        self._back = b""

    def take(self) -> bytes:
        """Take the next few bytes; none are left to take when it gives none."""
        taken, self._back = self._back or next(self._steps, b""), b""
        return taken

    def take_more(self) -> bytes:
        """Take the next few bytes; EOFError if there are none."""
        taken = self.take()
        if not taken:
            raise EOFError("it is cut")
        return taken

    def put_back(self, data: bytes) -> None:
        """Take back the end of what was taken last."""
        self._back = data


def _members(source: _Compressed) -> Iterator[bytes]:
    """
    Yield the text of member after member; AWS concatenates them.

    The header and the trailer are read here, and the decompressor sees bare deflate data: isal
    errs on headers of several optional fields that arrive in parts, and its checksum is slow.
    """
    while _another_follows(source):
        _skip_header(source)
        member = _Member()
        while not member.complete:
            yield from member.decode(source.take_more())
        source.put_back(member.unused)
        _check_trailer(source, member)


def _another_follows(source: _Compressed) -> bool:
    """Skip zeros, which some tools pad with, and say whether anything is left."""
    while taken := source.take():
        if data := taken.lstrip(b"\0"):
            source.put_back(data)
            return True
    return False


def _skip_header(source: _Compressed) -> None:
    head = source.take_more()
    while not (length := _header_length(head)):
        head += source.take_more()
    source.put_back(head[length:])


def _header_length(head: bytes) -> int:
    """Measure a member's header (RFC 1952, 2.3); 0 while it is incomplete."""
    if not head.startswith(_GZIP_DEFLATE[: len(head)]):
        raise zlib.error("bytes that are no gzip member")
    if len(head) > _HEADER_BYTES:
        raise zlib.error("a header without end")
    flags = head[3] if len(head) > len(_GZIP_DEFLATE) else 0
    if flags & _RESERVED:
        raise zlib.error("a header of unknown form")
    length = _optional_fields_end(head, flags)
    if not 0 < length <= len(head):
        return 0
    if flags & _HEADER_CRC and zlib.crc32(head[: length - 2]) & 0xFFFF != _number(head, length, 2):
        raise zlib.error("the header's checksum is wrong")
    return length


def _optional_fields_end(head: bytes, flags: int) -> int:
    """Say where the header's fields end; 0 if the end of a text in it is not there yet."""
    end = 10
    if flags & _EXTRA:
        end += 2 + _number(head, end + 2, 2)
    for text in (_NAME, _COMMENT):
        if flags & text:
            end = head.find(b"\0", end) + 1
            if not end:
                return 0
    return end + 2 if flags & _HEADER_CRC else end


def _number(data: bytes, end: int, size: int) -> int:
    return int.from_bytes(data[end - size : end], "little")


def _check_trailer(source: _Compressed, member: _Member) -> None:
    trailer = b""
    while len(trailer) < 8:  # noqa: PLR2004 - CRC-32 and length, four bytes each
        trailer += source.take_more()
    source.put_back(trailer[8:])
    if (_number(trailer, 4, 4), _number(trailer, 8, 4)) != (member.crc, member.length % 2**32):
        raise zlib.error("the checksum or the length is wrong")


class _Member:
    """Decode one member's deflate data, with what it takes to find the last byte before damage."""

    def __init__(self) -> None:
        self._decoder = _new_decoder(-zlib.MAX_WBITS)
        self._fed: list[bytes] = []
        self._fed_bytes = 0
        self.crc = 0
        self.length = 0

    @property
    def complete(self) -> bool:
        return self._decoder.eof

    @property
    def unused(self) -> bytes:
        """Return what was fed beyond the member's end."""
        return self._decoder.unused_data

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield all text that `data` completes, in bounded parts."""
        self._remember(data)
        more = True
        while more:
            try:
                text = self._decoder.decompress(data, _TEXT_BYTES)
            except _DAMAGE:
                yield from self._rest_before_damage()
                raise
            self.crc = _crc32(text, self.crc)
            self.length += len(text)
            yield text
            data = self._decoder.unconsumed_tail
            more = not self.complete and (bool(data) or len(text) == _TEXT_BYTES)

    def _remember(self, data: bytes) -> None:
        """Keep what was fed, unless it is too much: then the last text before damage is lost."""
        self._fed_bytes += len(data)
        if self._fed_bytes <= _REPLAY_BYTES:
            self._fed.append(data)
        else:
            self._fed.clear()

    def _rest_before_damage(self) -> Iterator[bytes]:
        """
        Yield the text between the last that was given out and the damage.

        A decompressor that meets damage drops the text of that call. So the member is decoded
        again, byte by byte, and what is known is skipped.
        """
        decoder, skip = zlib.decompressobj(-zlib.MAX_WBITS), self.length
        for data in self._fed:
            text = b"".join(_up_to_damage(decoder, data))
            if len(text) > skip:
                yield text[skip:]
            skip = max(0, skip - len(text))


def _up_to_damage(decoder: _Decoder, data: bytes) -> Iterator[bytes]:
    for at in range(len(data)):
        try:
            text = decoder.decompress(data[at : at + 1], 0)
        except zlib.error:
            return
        yield text


# Cut


def _cut(
    texts: Iterable[bytes], chunk_bytes: int, longest: int = LONGEST_LINE
) -> Iterator[Chunk | LongLine]:
    """Cut text into chunks of whole lines; an error is raised after the whole lines before it."""
    cutter = _Cutter(chunk_bytes, longest)
    try:
        for text in texts:
            yield from cutter.feed(text)
    except PipelineError as exc:
        yield from cutter.whole_lines()
        if isinstance(exc, ObjectCorruptError):
            exc.truncated = int(cutter.unfinished)
        raise
    yield from cutter.rest()


class _Cutter:
    r"""
    Hold the text between two cuts.

    A chunk is as many whole lines as fit into `chunk_bytes`, but at least one. Of the pending text
    is known where its first line ends, and where chunks are cut is searched in the newest block
    only, so that each byte is copied once: into its chunk.
    """

    def __init__(self, chunk_bytes: int, longest: int) -> None:
        self._chunk_bytes, self._longest = chunk_bytes, longest
        self._blocks: list[bytes] = []
        self._start = 0  # of the pending text in the first block
        self._size = 0  # of the pending text
        self._first_end = 0  # of the first pending line, its line end included; 0: not there yet
        self._offset = 0  # of the pending text in the object
        self._long: _LongLineBuilder | None = None

    @property
    def unfinished(self) -> bool:
        """Tell whether a line has begun and not ended."""
        return self._long is not None or self._size > 0

    def feed(self, text: bytes) -> Iterator[Chunk | LongLine]:
        """Yield the chunks that `text` completes."""
        if self._long is not None:
            end = text.find(b"\n") + 1
            self._long.add(text[: end - 1] if end else text)
            self._offset += end or len(text)
            if not end:
                return
            yield self._long.build(ended=True)
            self._long, text = None, text[end:]
        self._append(text)
        while self._first_end and self._size > self._chunk_bytes:
            yield from self._take(self._chunk_end())
        if not self._first_end and self._size > max(self._chunk_bytes, self._longest + 1):
            self._begin_long_line()

    def whole_lines(self) -> Iterator[Chunk | LongLine]:
        """Yield what is pending but for an unfinished last line."""
        if self._first_end:
            self._join()
            yield from self._take(self._blocks[0].rfind(b"\n") + 1)

    def rest(self) -> Iterator[Chunk | LongLine]:
        """Yield all that is pending: the text has ended well, and with it its last line."""
        if self._long is not None:
            yield self._long.build(ended=False)
        elif self._size:
            yield from self._take(self._size)

    def _append(self, text: bytes) -> None:
        if not self._first_end:
            found = text.find(b"\n") + 1
            self._first_end = self._size + found if found else 0
        self._blocks.append(text)
        self._size += len(text)

    def _chunk_end(self) -> int:
        if self._first_end >= self._chunk_bytes:
            return self._first_end
        last = self._blocks[-1]
        before = self._size - len(last)  # negative if the last block is the first
        end = last.rfind(b"\n", max(0, -before), self._chunk_bytes - before) + 1
        if end:
            return before + end
        self._join()
        return self._blocks[0].rfind(b"\n", 0, self._chunk_bytes) + 1

    def _take(self, size: int) -> Iterator[Chunk | LongLine]:
        """Remove so much of the pending text, which ends in the last block, and yield its lines."""
        last = self._blocks.pop()
        start = 0 if self._blocks else self._start
        end = size - (self._size - len(last))
        data = b"".join((*self._views(), memoryview(last)[start:end]))
        offset = self._offset
        self._blocks, self._start = [last], end
        self._size -= size
        self._offset += size
        found = last.find(b"\n", end) + 1
        self._first_end = found - end if found else 0
        return _without_long_lines(offset, data, self._longest)

    def _views(self) -> Iterator[memoryview]:
        start = self._start
        for block in self._blocks:
            yield memoryview(block)[start:]
            start = 0

    def _join(self) -> None:
        self._blocks, self._start = [b"".join(self._views())], 0

    def _begin_long_line(self) -> None:
        self._long = _LongLineBuilder(self._offset)
        for view in self._views():
            self._long.add(bytes(view))
        self._blocks, self._start = [], 0
        self._offset += self._size
        self._size = 0


def _without_long_lines(offset: int, data: bytes, longest: int) -> Iterator[Chunk | LongLine]:
    """Yield whole lines as chunks, the long ones among them by themselves."""
    done = 0
    for start, end in _long_lines(data, longest):
        if start > done:
            yield _chunk(offset + done, data[done:start])
        builder = _LongLineBuilder(offset + start)
        builder.add(data[start:end].removesuffix(b"\n"))
        yield builder.build(ended=data.endswith(b"\n", start, end))
        done = end
    if done < len(data):
        yield _chunk(offset + done, data[done:])


def _long_lines(data: bytes, longest: int) -> Iterator[tuple[int, int]]:
    """
    Find the lines over the limit, in leaps as wide as the limit.

    The last line end within a leap proves every line before it to be short.
    """
    start = 0
    while len(data) - start > longest:
        end = data.rfind(b"\n", start, start + longest + 1) + 1
        if not end:
            end = data.find(b"\n", start + longest) + 1 or len(data)
            if end - start != longest + 2 or not data.endswith(b"\r\n", start, end):
                yield start, end
        start = end


def _chunk(offset: int, data: bytes) -> Chunk:
    # BytesIO leaps from line end to line end, where Python 3.11's `count` looks at every byte: a
    # sixth of the time. It breaks at nothing but b"\n", and it shares the bytes.
    return Chunk(offset, data, sum(1 for _ in BytesIO(data)))


class _LongLineBuilder:
    r"""Digest a line that comes in parts. A ``\r`` is held back: it may belong to the line end."""

    def __init__(self, offset: int) -> None:
        self._offset = offset
        self._head = b""
        self._length = 0
        self._digest = hashlib.sha256()
        self._held = b""

    def add(self, data: bytes) -> None:
        r"""Add the next part, free of ``\n``."""
        if data:
            self._absorb(self._held)
            self._held = b"\r" if data.endswith(b"\r") else b""
            self._absorb(data.removesuffix(b"\r"))

    def build(self, *, ended: bool) -> LongLine:
        r"""Make the value; `ended` says that ``\n`` followed."""
        if not ended:
            self._absorb(self._held)
        return LongLine(self._offset, self._head, self._length, self._digest.digest())

    def _absorb(self, data: bytes) -> None:
        if len(self._head) < HEAD_BYTES:
            self._head = (self._head + data[:HEAD_BYTES])[:HEAD_BYTES]
        self._length += len(data)
        self._digest.update(data)
