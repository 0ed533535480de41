"""Decompressing: what is text, what is damage, and that damage costs nothing before it."""

import gzip
import random
import tracemalloc
import zlib
from bisect import bisect_left
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from types import ModuleType
from typing import Any, cast

import pytest

from devstack.traffic import ordinary_lines
from pipeline.errors import ObjectCorruptError
from tests.support.gzips import CODECS, GZIP, MEMBERS, TEXT, text_of, with_isal, without_isal

START = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
GZIPS = [pytest.param(GZIP, id="one-member"), pytest.param(MEMBERS, id="members")]


def gunzip(codec: ModuleType, *pieces: bytes) -> bytes:
    """Return the text of an object in these pieces."""
    return b"".join(piece.text for piece in codec.gunzip(pieces, name="a file"))


def text_before_damage(codec: ModuleType, pieces: Iterable[bytes]) -> bytes:
    """Return the text that comes before ObjectCorruptError is raised."""
    texts: list[bytes] = []
    with pytest.raises(ObjectCorruptError, match=r"^a file: damaged gzip: "):
        texts.extend(piece.text for piece in codec.gunzip(pieces, name="a file"))
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
        size = sum(len(piece.text) for piece in codec.gunzip([data], name="a file"))
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
@pytest.mark.parametrize(("data", "before"), [(GZIP, b""), (MEMBERS, TEXT[:777])])
@pytest.mark.parametrize("at", range(-8, 0))
def test_a_wrong_checksum_or_length_is_damage(
    at: int, data: bytes, before: bytes, codec: ModuleType
) -> None:
    """Any byte of the last trailer that is off costs the last member's text."""
    damaged = bytearray(data)
    damaged[at] ^= 1

    assert before == text_before_damage(codec, [bytes(damaged)])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("data", GZIPS)
def test_a_cut_gzip_gives_the_text_before_the_cut(data: bytes, codec: ModuleType) -> None:
    """Wherever a gzip is cut but between two members, all text before comes out."""
    between = {end for end in range(len(data)) if data[end:].startswith(GZIP[:3])}
    for end in set(range(1, len(data))) - between:
        assert text_of(data[:end]) == text_before_damage(codec, [data[:end]])


@pytest.mark.parametrize("codec", CODECS)
def test_a_cut_gzip_that_expands_a_lot_gives_all_its_text(codec: ModuleType) -> None:
    """What the decompressor still holds at its bound is asked for, at a cut too."""
    data = gzip.compress((b"x" * 63 + b"\n") * 20_000, mtime=0)
    crossing = bisect_left(
        range(len(data)), codec._TEXT_BYTES, key=lambda end: len(text_of(data[:end]))
    )

    for end in range(crossing - 2, crossing + 3):
        assert text_of(data[:end]) == text_before_damage(codec, [data[:end]])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("at", range(-8, -4))
def test_a_byte_that_is_missing_from_the_checksum_is_damage(codec: ModuleType, at: int) -> None:
    """What is there of the checksum is compared: that of a cut gzip is right as far as it goes."""
    dropped = GZIP[:at] + GZIP[at + 1 :]

    for size in (1, 50, len(dropped)):
        pieces = [dropped[begin : begin + size] for begin in range(0, len(dropped), size)]
        cut = [GZIP[:at][begin : begin + size] for begin in range(0, len(GZIP), size)]
        assert b"" == text_before_damage(codec, pieces)
        assert TEXT == text_before_damage(codec, cut)


@pytest.mark.parametrize("codec", CODECS)
def test_a_flipped_bit_makes_no_text(codec: ModuleType) -> None:
    """Wherever a bit of a member's data is flipped, none of its text is used."""
    for at in range(10, len(GZIP)):
        for bit in range(8):
            damaged = bytearray(GZIP)
            damaged[at] ^= 1 << bit
            texts: list[bytes] = []
            try:
                texts.extend(piece.text for piece in codec.gunzip([bytes(damaged)], name="a file"))
            except ObjectCorruptError:
                assert not texts
            else:  # some bits fill up the last byte and mean nothing
                assert (at, TEXT) == (len(GZIP) - 9, b"".join(texts))


@pytest.mark.parametrize("codec", CODECS)
def test_no_line_of_a_damaged_object_is_invented(codec: ModuleType) -> None:
    """Of a thousand flipped bits in members of ordinary lines, none makes a line that never was."""
    rng = random.Random(7)
    lines = list(ordinary_lines(7, 600, start=START))
    halves = [b"".join(line + b"\n" for line in lines[at : at + 300]) for at in (0, 300)]
    data = b"".join(gzip.compress(half, mtime=0) for half in halves)
    for _ in range(1_000):
        damaged = bytearray(data)
        damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        if bytes(damaged[:2]) != data[:2]:
            continue  # not recognised as a gzip at all
        texts: list[bytes] = []
        with suppress(ObjectCorruptError):
            texts.extend(piece.text for piece in codec.gunzip([bytes(damaged)], name="a file"))
        assert b"".join(texts) in {b"", halves[0], halves[0] + halves[1]}


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
def test_a_member_of_8_mib_is_used_whole_or_not(codec: ModuleType) -> None:
    """Damage at the end of a member that is held back costs all its text."""
    data, _ = stored_and_damaged(lines=6_000)

    assert b"" == text_before_damage(codec, [GZIP + data])[len(TEXT) :]


@pytest.mark.parametrize("codec", CODECS)
def test_a_larger_member_is_used_up_to_8_mib_before_its_damage(codec: ModuleType) -> None:
    """Text of a large member comes out before its checksum is known, and the error says so."""
    data, before = stored_and_damaged(lines=20_000)
    texts: list[bytes] = []

    with pytest.raises(ObjectCorruptError, match="text were used unchecked"):
        texts.extend(piece.text for piece in codec.gunzip([data], name="a file"))

    text = b"".join(texts)
    assert before.startswith(text)
    assert 7 * 1024 * 1024 <= len(before) - len(text) <= 9 * 1024 * 1024


def test_isal_is_used_where_it_is_installed() -> None:
    """Both decompressors are tested."""
    assert "isal" in cast("Any", with_isal)._codec.__name__
    assert zlib is cast("Any", without_isal)._codec
