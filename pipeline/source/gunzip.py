"""
Turn stored bytes into text, piece by piece: what begins as gzip is decompressed.

The bytes decide, never a header or a name. A gzip may have any number of members (a load balancer
writes many), each is checked to its end, and damage costs no byte of the text before it. What the
text means is not this room's business.

https://www.rfc-editor.org/rfc/rfc1952
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

from pipeline.errors import ObjectCorruptError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import ModuleType
    from zlib import _Decompress

_codec: ModuleType
try:
    from isal import isal_zlib as _codec
except ImportError:  # the optional extra `fast`
    _codec = zlib

_DAMAGE = (EOFError, zlib.error, _codec.error)

_STEP_BYTES = 32 * 1024  # given to the decompressor at once
_TEXT_BYTES = 1024 * 1024  # the most that the decompressor may give back at once
_REPLAY_BYTES = 8 * 1024 * 1024  # of a member kept for decoding it again up to its damage

_MAGIC = b"\x1f\x8b"
_WITH_HEADER = 16 + zlib.MAX_WBITS
_SIMPLE_FLAGS = (b"\x00", b"\x08")  # no optional field, or a name


def gunzip(
    pieces: Iterable[bytes], *, name: str, begin: Callable[[int], object] = lambda _: None
) -> Iterator[bytes]:
    """
    Yield the text of a gzip, or anything else as it is; `name` is what messages call it.

    `begin` is told where each member begins, in stored bytes, before its text comes.

    Raises ObjectCorruptError after all text before the damage. Only where a single member is above
    8 MiB and damaged beyond that, the text of its last 32 KiB before the damage may be missing.
    """
    source = _Source(pieces)
    head = source.take(len(_MAGIC))
    source.put_back(head)
    if not head or not _MAGIC.startswith(head[:2]):
        yield from iter(source.take, b"")
        return
    try:
        yield from _members(source, begin)
    except _DAMAGE as exc:
        raise ObjectCorruptError(f"{name}: damaged gzip: {exc}") from exc


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
        """Take the next few bytes; fewer than `least` only if no more are left."""
        taken, self._back = self._back, b""
        while len(taken) < least and (step := next(self._steps, b"")):
            taken += step
            self._drawn += len(step)
        return taken

    def put_back(self, data: bytes) -> None:
        """Take back the end of what was taken last."""
        self._back = data


def _members(source: _Source, begin: Callable[[int], object]) -> Iterator[bytes]:
    """Yield the text of member after member. Some tools pad them with zeros."""
    while data := source.take():
        if data := data.lstrip(b"\0"):
            source.put_back(data)
            begin(source.position)
            yield from _member(source, _new_decoder(data))


def _member(source: _Source, decoder: _Decompress) -> Iterator[bytes]:
    fed, known = bytearray(), 0
    while not decoder.eof:
        data = source.take()
        if not data:
            raise EOFError("it is cut")
        if len(fed) < _REPLAY_BYTES:
            fed += data
        try:
            for text in _decompress(decoder, data):
                known += len(text)
                yield text
        except _DAMAGE:
            yield from _rest_before_damage(bytes(fed), known)
            raise
    source.put_back(decoder.unused_data)


def _new_decoder(head: bytes) -> _Decompress:
    # isal errs on a header with a checksum or several optional fields that arrives in parts.
    codec = _codec if head[3:4] in _SIMPLE_FLAGS else zlib
    decoder: _Decompress = codec.decompressobj(_WITH_HEADER)
    return decoder


def _decompress(decoder: _Decompress, data: bytes) -> Iterator[bytes]:
    """Yield all text that `data` completes, in bounded parts."""
    more = True
    while more:
        text = decoder.decompress(data, _TEXT_BYTES)
        yield text
        data = decoder.unconsumed_tail
        more = bool(data) or len(text) == _TEXT_BYTES


def _rest_before_damage(fed: bytes, known: int) -> Iterator[bytes]:
    """
    Yield the text between what is known of a member and its damage.

    A decompressor that meets damage drops the text of that call. So the member is decoded again, as
    far as its text is known, and from there byte by byte.
    """
    decoder = zlib.decompressobj(_WITH_HEADER)
    with suppress(zlib.error):
        while known and (text := decoder.decompress(fed, min(known, _TEXT_BYTES))):
            known -= len(text)
            fed = decoder.unconsumed_tail
        yield decoder.decompress(b"")  # the last byte may complete more than what is known
        for at in range(len(fed)):
            yield decoder.decompress(fed[at : at + 1])
