"""Fuzz the reader: whatever the bytes, all whole lines before the damage come out."""

import gzip
import io
import zlib
from functools import cache
from random import Random
from typing import Any

from pipeline.errors import ObjectCorruptError
from pipeline.source.reading import Chunk, read_stream
from tests.fuzz.lines import split_lines
from tests.fuzz.mutations import damaged_bytes


@cache
def _compressed(number: int) -> bytes:
    """Return a small gzip of few members: stored or deflated, with and without optional fields."""
    rng = Random(number)
    return b"".join(_member(rng) for _ in range(rng.choice((1, 1, 2, 4))))


def _member(rng: Random) -> bytes:
    text = _text(rng)
    if rng.random() < 0.5:
        return gzip.compress(text, rng.choice((0, 1, 9)), mtime=rng.randrange(2**32))
    body = zlib.compressobj(rng.choice((0, 1, 6, 9)), zlib.DEFLATED, -15, 9, rng.randrange(5))
    return _header(rng) + body.compress(text) + body.flush() + _trailer(text)


def _text(rng: Random) -> bytes:
    words = (b"\n", b"\n", b"\r\n", b"\r", b"a line", b"another", b"\x00", b"\x1f\x8b", b"x" * 70)
    return b"".join(rng.choices(words, k=rng.choice((0, 1, 5, 40))))


def _header(rng: Random) -> bytes:
    flags = rng.choice((0, 0x08, 0x04, 0x10, 0x02, 0x1E, 0x1F))
    head = b"\x1f\x8b\x08" + bytes([flags]) + rng.randbytes(6)
    if flags & 0x04:
        extra = rng.randbytes(rng.choice((0, 3, 30)))
        head += len(extra).to_bytes(2, "little") + extra
    head += b"name.log\0" if flags & 0x08 else b""
    head += b"a comment\0" if flags & 0x10 else b""
    return head + ((zlib.crc32(head) & 0xFFFF).to_bytes(2, "little") if flags & 0x02 else b"")


def _trailer(text: bytes) -> bytes:
    return zlib.crc32(text).to_bytes(4, "little") + len(text).to_bytes(4, "little")


def case_of_reader(rng: Random) -> bytes:
    """Return a small gzip, damaged or not, or a text."""
    if rng.random() < 0.1:
        return _text(rng)
    return damaged_bytes(_compressed(rng.randrange(400)), rng)


class _Pieces(io.RawIOBase):
    """Deliver bytes in pieces of any size, as a pipe does."""

    def __init__(self, data: bytes, rng: Random) -> None:
        self._data, self._rng, self._at = data, rng, 0
        self._most = rng.choice((1, 7, 100, 100_000))

    def read(self, size: int = -1) -> bytes:
        """Return some of the next bytes, or none at the end."""
        end = self._at + min(size if size >= 0 else self._most, self._rng.randint(1, self._most))
        piece = self._data[self._at : end]
        self._at += len(piece)
        return piece


def check_reader(case: bytes) -> int:
    """
    Read any bytes: what comes out are whole lines, at least those that a checksum proves.

    The text is worked out by zlib alone. Where the bytes end too early, what comes before the end
    may come out as well. A decoder may see no damage where the checksum proves the text right.
    """
    proven, text, clean = decompressed(case)
    for rng in (Random(case), Random(case[::-1])):
        read, truncated = _read(case, rng)
        if clean:
            assert (read, truncated) == (text, None)
        elif truncated is None:
            assert read.startswith(text)
        else:
            assert read.startswith(proven[: proven.rfind(b"\n") + 1])
            assert text.startswith(read)
            assert not read or read.endswith(b"\n")
            assert truncated in {0, 1}
    return 1


def _read(case: bytes, rng: Random) -> tuple[bytes, int | None]:
    """Read a case; return the text, and for a damaged one how many lines were unfinished."""
    read = b""
    stream: Any = _Pieces(case, rng)
    try:
        for chunk in read_stream(stream, name="fuzzed", chunk_bytes=rng.choice((1, 30, 1_000))):
            assert isinstance(chunk, Chunk)
            assert chunk.offset == len(read)
            assert chunk.lines == len(split_lines(chunk.data)) > 0
            assert not read or read.endswith(b"\n")
            read += chunk.data
    except ObjectCorruptError as error:
        return read, error.truncated
    return read, None


def decompressed(data: bytes) -> tuple[bytes, bytes, bool]:
    """Return the text of the whole gzip members, that up to the end, and whether all are whole."""
    if not data or not b"\x1f\x8b".startswith(data[:2]):
        return data, data, True
    text = b""
    while data := data.lstrip(b"\0"):
        decoder = zlib.decompressobj(31)
        try:
            part = decoder.decompress(data)
        except zlib.error:
            return text, text, False
        if not decoder.eof:
            return text, text + part, False
        text, data = text + part, decoder.unused_data
    return text, text, True
