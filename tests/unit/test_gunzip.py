"""Decompressing: what is text, what is damage, and that damage costs nothing before it."""

import gzip
import tracemalloc
import zlib
from bisect import bisect_left
from collections.abc import Iterable
from types import ModuleType
from typing import Any, cast

import pytest

from pipeline.errors import ObjectCorruptError
from tests.gzips import CODECS, GZIP, MEMBERS, TEXT, text_of, with_isal, without_isal

GZIPS = [pytest.param(GZIP, id="one-member"), pytest.param(MEMBERS, id="members")]


def gunzip(codec: ModuleType, *pieces: bytes) -> bytes:
    """Give the text of an object in these pieces."""
    return b"".join(codec.gunzip(pieces, name="a file"))


def text_before_damage(codec: ModuleType, pieces: Iterable[bytes]) -> bytes:
    """Give the text that comes before ObjectCorruptError is raised."""
    texts: list[bytes] = []
    with pytest.raises(ObjectCorruptError, match=r"^a file: damaged gzip: "):
        texts.extend(codec.gunzip(pieces, name="a file"))
    return b"".join(texts)


# What is text


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("data", [pytest.param(TEXT, id="plain"), *GZIPS])
def test_text_comes_out_of_pieces_of_any_size(data: bytes, codec: ModuleType) -> None:
    """Plain text, a gzip and one of several members give the same, however they are cut."""
    for size in (1, 2, 3, 100, len(data)):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert TEXT == gunzip(codec, b"", *pieces)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("data", [b"", gzip.compress(b"", mtime=0)], ids=["empty", "empty-gzip"])
def test_nothing_comes_out_of_nothing(data: bytes, codec: ModuleType) -> None:
    """An object without a byte, or a gzip without one, is no damage."""
    assert b"" == gunzip(codec, data)


@pytest.mark.parametrize("text", [b"x", b"\n", b"\x1fx", b"\x1f\n\x8b", b"\0\x1f\x8b", b"\x8b"])
def test_what_does_not_begin_as_gzip_is_text(text: bytes) -> None:
    """Only both magic bytes, at the very beginning, make a gzip."""
    assert text == gunzip(with_isal, text)
    assert text == gunzip(with_isal, text[:1], text[1:])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("flags", range(32))
def test_a_header_may_have_any_optional_fields_and_arrive_in_parts(
    flags: int, codec: ModuleType
) -> None:
    """Extra field, name, comment and checksum are skipped, wherever the pieces are cut."""
    header = b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\0\xff"
    header += b"\x03\0EXT" if flags & 4 else b""
    header += b"name\0" if flags & 8 else b""
    header += b"comment\0" if flags & 16 else b""
    header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little") if flags & 2 else b""
    data = header + GZIP[10:]

    for at in range(len(header) + 2):
        assert TEXT == gunzip(codec, data[:at], data[at:])


@pytest.mark.parametrize("codec", CODECS)
def test_zeros_after_a_member_are_padding(codec: ModuleType) -> None:
    """Some tools pad a gzip with zeros, between members or at the end; nothing is wrong then."""
    first, second = (gzip.compress(part, mtime=0) for part in (TEXT[:99], TEXT[99:]))

    assert TEXT == gunzip(codec, first + bytes(70_000) + second + bytes(100_000))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("level", [0, 9], ids=["stored", "a-bomb"])
def test_memory_does_not_grow_with_the_object(level: int, codec: ModuleType) -> None:
    """64 MiB out of a gzip that is as long, or a thousandth of it, need a few MiB."""
    data = gzip.compress(bytes(64 * 1024 * 1024), level, mtime=0)
    tracemalloc.start()
    try:
        size = sum(len(text) for text in codec.gunzip([data], name="a file"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert 64 * 1024 * 1024 == size
    assert peak < 16 * 1024 * 1024


# What is damage


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(b"x", id="a-byte"),
        pytest.param(b"some more text\n", id="text"),
        pytest.param(b"\0\0x", id="after-padding"),
        pytest.param(b"\x1f", id="half-a-magic"),
        pytest.param(b"\x1f\x8b", id="a-magic"),
        pytest.param(b"\x1f\x8b\x07" + GZIP[3:], id="another-method"),
        pytest.param(b"\x1f\x8b\x08\x20" + GZIP[4:], id="unknown-flags"),
        pytest.param(b"\x1f\x8b\x08\x02" + bytes(6) + b"\0\1" + GZIP[10:], id="header-checksum"),
        pytest.param(b"\x1f\x8b\x08\x08" + b"n" * 300_000, id="a-name-without-end"),
    ],
)
def test_other_bytes_after_a_member_are_damage(rest: bytes, codec: ModuleType) -> None:
    """What follows the last member and is neither zeros nor a member makes the object corrupt."""
    assert TEXT == text_before_damage(codec, [GZIP + rest])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [1, 2, 10], ids=["a-byte", "the-magic", "the-header"])
def test_a_beginning_of_a_gzip_is_a_cut_one(size: int, codec: ModuleType) -> None:
    """Even its first byte alone is a cut gzip, not a line."""
    assert b"" == text_before_damage(codec, [GZIP[:size]])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("data", GZIPS)
@pytest.mark.parametrize("place", range(-8, 0))
def test_a_wrong_checksum_or_length_is_damage(place: int, data: bytes, codec: ModuleType) -> None:
    """Any byte of the last trailer that is off makes the object corrupt, after all its text."""
    damaged = bytearray(data)
    damaged[place] ^= 1

    assert TEXT == text_before_damage(codec, [bytes(damaged)])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("data", GZIPS)
def test_a_cut_gzip_gives_the_text_before_the_cut(data: bytes, codec: ModuleType) -> None:
    """Wherever a gzip is cut but between two members, all text before comes out."""
    between = {end for end in range(len(data)) if data[end:].startswith(GZIP[:3])}
    for end in set(range(1, len(data))) - between:
        assert text_of(data[:end]) == text_before_damage(codec, [data[:end]])


@pytest.mark.parametrize("codec", CODECS)
def test_a_cut_gzip_that_expands_a_lot_gives_all_its_text(codec: ModuleType) -> None:
    """What the decompressor still holds when its bound is met is asked for, at a cut too."""
    data = gzip.compress((b"x" * 63 + b"\n") * 20_000, mtime=0)
    crossing = bisect_left(
        range(len(data)), codec._TEXT_BYTES, key=lambda end: len(text_of(data[:end]))
    )

    for end in range(crossing - 2, crossing + 3):
        assert text_of(data[:end]) == text_before_damage(codec, [data[:end]])


@pytest.mark.parametrize("codec", CODECS)
def test_a_flipped_bit_costs_no_line_before_it(codec: ModuleType) -> None:
    """
    Wherever a bit of a member's data is flipped, all text before the damage comes out.

    isal decodes a little on where zlib sees that a code makes no sense.
    """
    for place in range(10, len(GZIP) - 8):
        damaged = bytearray(GZIP)
        damaged[place] ^= 0x10
        text = text_before_damage(codec, [bytes(damaged)])
        assert text.startswith(text_of(bytes(damaged)))


def stored_and_damaged(lines: int) -> tuple[bytes, bytes]:
    """Make a gzip of stored blocks, the last one's header wrong, and the text before that block."""
    text = b"".join(b"%d %s\n" % (n, b"x" * 1000) for n in range(lines))
    data = bytearray(gzip.compress(text, compresslevel=0, mtime=0))
    last = data.rindex(b"\x01", 0, -8)  # its flag; its length and the complement of that follow
    length, complement = (
        int.from_bytes(data[last + at : last + at + 2], "little") for at in (1, 3)
    )
    assert 0xFFFF == length + complement
    data[last + 1] ^= 1
    return bytes(data), text[:-length]


@pytest.mark.parametrize("codec", CODECS)
def test_damage_after_many_steps_costs_no_text_before_it(codec: ModuleType) -> None:
    """What came out already does not come again, and the text since then does."""
    data, before = stored_and_damaged(lines=6000)

    assert before == text_before_damage(codec, [data])


@pytest.mark.parametrize("codec", CODECS)
def test_damage_late_in_a_large_member_costs_little(codec: ModuleType) -> None:
    """Beyond what is kept for a second try, damage costs the text of one step at most."""
    data, before = stored_and_damaged(lines=9000)
    text = text_before_damage(codec, [data])

    assert before.startswith(text)
    assert len(text) > len(before) - codec._STEP_BYTES


def test_isal_is_used_where_it_is_installed() -> None:
    """Both decompressors are really under test."""
    assert "isal" in type(cast("Any", with_isal)._new_decoder(GZIP)).__module__
    assert isinstance(cast("Any", without_isal)._new_decoder(GZIP), type(zlib.decompressobj()))
