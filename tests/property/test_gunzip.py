"""What holds for any gzip, however it arrives and whatever breaks it."""

import gzip
import zlib
from itertools import pairwise
from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import ObjectCorruptError
from tests.support.gzips import CODECS, with_isal, without_isal


@st.composite
def split(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Cut bytes into any pieces."""
    cuts = draw(st.lists(st.integers(0, len(data)), max_size=8).map(sorted))
    return [data[start:end] for start, end in pairwise([0, *cuts, len(data)])]


@st.composite
def gzips(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Compress a text in members of any size and level, padded with zeros or not."""
    text = draw(st.binary() | st.binary().map(lambda text: text * 50))
    data = b"".join(
        gzip.compress(part, compresslevel=draw(st.integers(0, 9)), mtime=0)
        + bytes(draw(st.integers(0, 3)))
        for part in draw(split(text))
    )
    return text, data


@pytest.mark.parametrize("codec", CODECS)
@given(data=st.data(), case=gzips())
def test_any_gzip_gives_its_text(
    codec: ModuleType, data: st.DataObject, case: tuple[bytes, bytes]
) -> None:
    """Members, padding and pieces may fall in any way."""
    text, compressed = case
    pieces = data.draw(split(compressed))

    assert text == b"".join(piece.text for piece in codec.gunzip(pieces, name="a gzip"))


def text_and_damage(codec: ModuleType, data: bytes) -> tuple[bytes, bool]:
    """Return the text that comes out, and whether damage was found."""
    texts: list[bytes] = []
    try:
        texts.extend(piece.text for piece in codec.gunzip([data], name="a gzip"))
    except ObjectCorruptError:
        return b"".join(texts), True
    return b"".join(texts), False


@given(data=st.data(), case=gzips())
def test_a_damaged_gzip_never_passes_for_another_text(
    data: st.DataObject, case: tuple[bytes, bytes]
) -> None:
    """
    A cut or a flipped bit is found by any decompressor, or does no harm.

    A cut right between two members does none. isal decodes a little on where zlib sees that a code
    makes no sense; then the checksum is wrong.
    """
    text, compressed = case
    place = data.draw(st.integers(2, len(compressed) - 1))
    flipped = bytes([compressed[place] ^ data.draw(st.integers(0, 255))])
    rest = data.draw(st.sampled_from([b"", flipped, flipped + compressed[place + 1 :]]))
    damaged = compressed[:place] + rest

    fast, plain = (text_and_damage(codec, damaged) for codec in (with_isal, without_isal))

    assert fast[1] == plain[1]
    assert fast[0].startswith(plain[0])
    if not fast[1]:
        assert fast == plain
        assert text.startswith(fast[0])
        assert text == fast[0] or rest != flipped + compressed[place + 1 :]


@pytest.mark.parametrize("codec", CODECS)
@given(text=st.binary(max_size=40), parts=st.integers(1, 5))
@example(text=b"", parts=1)
@example(text=b"\x1f", parts=1)
def test_any_bytes_are_text_or_gzip(codec: ModuleType, text: bytes, parts: int) -> None:
    """Nothing but the magic bytes makes a gzip; everything else comes out as it is."""
    pieces = [text[at : at + parts] for at in range(0, len(text), parts)]
    is_gzip = text == b"\x1f" or text.startswith(b"\x1f\x8b")

    try:
        out = b"".join(piece.text for piece in codec.gunzip(pieces, name="any bytes"))
    except ObjectCorruptError:
        assert is_gzip
    else:
        assert not is_gzip or zlib.decompressobj(31).decompress(text) == out
        assert is_gzip or text == out
