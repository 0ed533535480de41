"""
Turn stored bytes into text, piece by piece: what begins as gzip is decompressed.

The bytes decide, never a header or a name. A gzip may have any number of members (a load balancer
writes many). The text of a member is held back until its checksum is right, for a flipped bit makes
lines that never existed; what the text means is not decided here.

https://www.rfc-editor.org/rfc/rfc1952
"""

from __future__ import annotations

import zlib
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import ObjectCorruptError, PipelineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType
    from zlib import _Decompress

_codec: ModuleType
try:
    from isal import isal_zlib as _codec
except ImportError:  # without the C library, zlib does the same at half the speed
    _codec = zlib

HELD_BYTES = 8 * 1024 * 1024
"""Text of a member that is held back: a member of at most that size is passed on whole or not."""

_DAMAGE = (zlib.error, _codec.error)

_STEP_BYTES = 32 * 1024  # given to the decompressor at once
_MOST_STEPS = 64  # of a member that is kept as it is stored: those of logs are far smaller
_TEXT_BYTES = 1024 * 1024  # the most that the decompressor may return at once

_MAGIC = b"\x1f\x8b"
_WITH_HEADER = 16 + zlib.MAX_WBITS
_SIMPLE_FLAGS = (b"\x00", b"\x08")  # no optional field, or a name
_TRAILER_BYTES = 8  # checksum and length
_LENGTH_BYTES = 4
_MOST_EXPANSION = 128  # text per stored byte that logs never exceed


class Piece(NamedTuple):
    """Some text, and the stored byte at which its gzip member begins; None for plain text."""

    text: bytes
    member: int | None


def gunzip(stored: Iterable[bytes], *, name: str) -> Iterator[Piece]:
    """
    Yield the text of a gzip, or anything else as it is; `name` is what messages call it.

    A gzip that is cut raises ObjectCorruptError after all text before the cut; a damaged one after
    all members before the damaged one. Only of a member with more than 8 MiB of text, the text up
    to 8 MiB before the damage was passed on by then.
    """
    source = _Source(stored)
    head = source.take(len(_MAGIC))
    source.put_back(head)
    if not head or not _MAGIC.startswith(head[:2]):
        yield from (Piece(text, None) for text in iter(source.take, b""))
        return
    yield from _members(source, name)


class _Source:
    """Hand out compressed bytes, and take back those that belong to what follows."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._steps = (
            piece[at : at + _STEP_BYTES]
            for piece in pieces
            for at in range(0, len(piece), _STEP_BYTES)
        )
        self._back = b""
        self._drawn = 0

    @property
    def position(self) -> int:
        """Count the bytes handed out and not taken back."""
        return self._drawn - len(self._back)

    def take(self, least: int = 1) -> bytes:
        """Return the next few bytes; fewer than `least` only if no more are left."""
        taken, self._back = self._back, b""
        while len(taken) < least and (step := next(self._steps, b"")):
            taken += step
            self._drawn += len(step)
        return taken

    def put_back(self, data: bytes) -> None:
        """Take back the end of what was taken last."""
        self._back = data


def _members(source: _Source, name: str) -> Iterator[Piece]:
    """Yield the text of member after member. Some tools pad them with zeros."""
    while data := source.take():
        if data := data.lstrip(b"\0"):
            source.put_back(data)
            begin = source.position
            for text in _Member(source, data, name).texts():
                yield Piece(text, begin)


class _Member:
    """One gzip member on its way to text that has been checked."""

    def __init__(self, source: _Source, head: bytes, name: str) -> None:
        # isal fails on a header with a checksum or several optional fields that arrives in parts.
        codec = _codec if head[3:4] in _SIMPLE_FLAGS else zlib
        self._decoder: _Decompress = codec.decompressobj(_WITH_HEADER)
        self._source, self._name = source, name
        self._begin = source.position
        self._end = b""
        self._stored: list[bytes] | None = []
        """The member as it is stored; None once it is too large to be looked at again."""
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._passed_on = 0

    def texts(self) -> Iterator[bytes]:
        """Yield the text, all but the last 8 MiB of it before the checksum is known."""
        try:
            while not self._decoder.eof:
                yield from self._decompress(self._source.take())
        except EOFError as exc:
            yield from self._release(0)
            raise ObjectCorruptError(f"{self._name}: damaged gzip: it is cut") from exc
        except PipelineError:  # the source broke off: what arrived is sound
            yield from self._release(0)
            raise
        except _DAMAGE as exc:
            raise self._damaged(str(exc)) from exc
        self._source.put_back(self._decoder.unused_data)
        yield from self._release(0)

    def _decompress(self, data: bytes) -> Iterator[bytes]:
        """Hold the text that `data` completes, and yield what is above 8 MiB then."""
        if not data:
            self._stop_at_the_end()
        self._end = (self._end + data)[-_LENGTH_BYTES:]
        self._keep(data)
        more = True
        while more:
            text = self._decoder.decompress(data, _TEXT_BYTES)
            if text:
                self._held.append(text)
                self._held_bytes += len(text)
            yield from self._release(HELD_BYTES)
            data = self._decoder.unconsumed_tail
            more = bool(data) or len(text) == _TEXT_BYTES

    def _release(self, most: int) -> Iterator[bytes]:
        """Yield the oldest text held until at most so many bytes are left."""
        while self._held_bytes > most:
            text = self._held.popleft()
            self._held_bytes -= len(text)
            self._passed_on += len(text)
            yield text

    def _keep(self, data: bytes) -> None:
        """Keep stored bytes, as long as none of their text was passed on and they are not many."""
        if self._stored is None:
            return
        self._stored.append(data)
        if self._passed_on or len(self._stored) > _MOST_STEPS:
            self._stored = None

    def _stop_at_the_end(self) -> None:
        """
        Raise EOFError where the member is cut, a decoder's error where it is damaged.

        A flipped bit can mislead the decoder so that it takes the member's end for more text. Then
        the last bytes are not text but the length that every gzip ends with: in a gzip that is cut,
        they hardly ever make such a small number.
        """
        if self._stored is not None:
            only_trailer = _trailer_begins_right(b"".join(self._stored))
        else:
            only_trailer = self._only_trailer_is_cut()
        if not only_trailer:
            stored = self._source.position - self._begin
            if int.from_bytes(self._end, "little") <= _MOST_EXPANSION * stored:
                raise zlib.error("its end was taken for text")
        raise EOFError

    def _only_trailer_is_cut(self) -> bool:
        """Return whether all text is there: then zeros are taken for the rest of the checksum."""
        try:
            self._decoder.decompress(bytes(_TRAILER_BYTES), 1)
        except _DAMAGE as exc:
            return "incorrect" in str(exc).lower()
        return self._decoder.eof

    def _damaged(self, why: str) -> ObjectCorruptError:
        said = f"{self._name}: damaged gzip: {why}. Nothing of the damaged member was used"
        if self._passed_on:
            said = (
                f"{self._name}: damaged gzip: {why}. It is one member of more than 8 MiB: the "
                f"first {self._passed_on} bytes of its text were used unchecked"
            )
        return ObjectCorruptError(said)


def _trailer_begins_right(member: bytes) -> bool:
    """
    Return whether all text of a cut member is there: only its checksum and length are cut.

    Raise zlib.error where what is there of them is wrong: then a byte is missing within the member.
    """
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    text = decoder.decompress(member[_header_bytes(member) :])
    if not decoder.eof:
        return False
    trailer = zlib.crc32(text).to_bytes(4, "little") + (len(text) % 2**32).to_bytes(4, "little")
    if not trailer.startswith(decoder.unused_data):
        raise zlib.error("its checksum is cut, and wrong as far as it is there")
    return True


_FIXED_HEADER_BYTES = 10
_HEADER_CHECKSUM, _EXTRA, _NAME, _COMMENT = 2, 4, 8, 16  # flags


def _header_bytes(member: bytes) -> int:
    """Return the length of a member's header; past the member's end where the header is cut."""
    flags, at = member[3] if len(member) > 3 else 0, _FIXED_HEADER_BYTES  # noqa: PLR2004  RFC 1952
    if flags & _EXTRA:
        at += 2 + int.from_bytes(member[at : at + 2], "little")
    for flag in (_NAME, _COMMENT):
        if flags & flag:
            end = member.find(b"\0", at)
            at = len(member) if end < 0 else end + 1
    return at + (2 if flags & _HEADER_CHECKSUM else 0)
