"""What holds for any bytes, however they arrive."""

import gzip
import hashlib
import importlib.util
import io
import sys
import zlib
from collections.abc import Iterator
from itertools import combinations_with_replacement, pairwise
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import reading as with_isal
from pipeline.errors import ObjectCorruptError, SourceUnavailableError
from pipeline.reading import HEAD_BYTES, Chunk, LongLine


def load_without_isal() -> ModuleType:
    """Load the room as it is where the extra `fast` is not installed."""
    spec = importlib.util.spec_from_file_location("reading_without_isal", with_isal.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with patch.dict(sys.modules, {"isal": None, spec.name: module}):
        spec.loader.exec_module(module)
    return module


WITHOUT_ISAL = load_without_isal()
CODECS = [pytest.param(with_isal, id="isal"), pytest.param(WITHOUT_ISAL, id="zlib")]

# Mostly line ends, and what is easily taken for one.
texts = st.lists(
    st.sampled_from([b"\n", b"\r\n", b"\r", b"a", b"bb", b"longer than the limit", b"\x1f\x8b"])
).map(b"".join)
limits = st.integers(0, 12)


@st.composite
def texts_and_sizes(draw: st.DrawFn) -> tuple[bytes, int, int]:
    """Draw a text, the size of its chunks and a limit; each may be that of a part of the text."""
    text = draw(texts)
    lengths = [len(content(line)) for line in lines_of(text)]
    longest = draw(limits | st.sampled_from(lengths or [0]))
    return text, draw(st.integers(0, len(text) + 1)), longest


@st.composite
def split(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Cut bytes into any pieces."""
    cuts = draw(st.lists(st.integers(0, len(data)), max_size=8).map(sorted))
    return [data[start:end] for start, end in pairwise([0, *cuts, len(data)])]


def lines_of(text: bytes) -> list[bytes]:
    """Split at line feeds, which stay."""
    *ended, rest = text.split(b"\n")
    return [line + b"\n" for line in ended] + ([rest] if rest else [])


def content(line: bytes) -> bytes:
    """Take the line end off."""
    if not line.endswith(b"\n"):
        return line
    return line.removesuffix(b"\n").removesuffix(b"\r")


def expected_items(text: bytes, chunk_bytes: int, longest: int) -> list[Chunk | LongLine]:
    """Say what must come out: lines packed greedily, the long ones taken out of their pack."""
    packs: list[list[bytes]] = []
    for line in lines_of(text):
        if packs and len(b"".join(packs[-1])) + len(line) <= chunk_bytes:
            packs[-1].append(line)
        else:
            packs.append([line])
    items: list[Chunk | LongLine] = []
    offset = 0
    for pack in packs:
        run = b""
        for line in pack:
            if len(content(line)) <= longest:
                run += line
                continue
            items += [Chunk(offset, run, len(lines_of(run)))] if run else []
            offset += len(run)
            raw, run = content(line), b""
            digest = hashlib.sha256(raw).digest()
            items.append(LongLine(offset, raw[:HEAD_BYTES], len(raw), digest))
            offset += len(line)
        items += [Chunk(offset, run, len(lines_of(run)))] if run else []
        offset += len(run)
    return items


@settings(max_examples=500)
@given(data=st.data(), case=texts_and_sizes())
def test_any_pieces_give_the_same_items(data: st.DataObject, case: tuple[bytes, int, int]) -> None:
    """Chunks, long lines and offsets depend on the text and the sizes alone."""
    text, chunk_bytes, longest = case
    pieces = data.draw(split(text))

    items = list(with_isal._cut(pieces, chunk_bytes, longest))

    assert expected_items(text, chunk_bytes, longest) == items


@pytest.mark.parametrize("chunk_bytes", range(14))
@pytest.mark.parametrize("before", [b"", b"a\n"], ids=["first", "after-a-line"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r\r\n", b"\r", b""], ids=repr)
def test_a_line_about_the_limit_may_be_cut_anywhere(
    end: bytes, before: bytes, chunk_bytes: int
) -> None:
    """However a line just under, at or over the limit arrives, its length decides."""
    for length in range(3, 8):
        text = before + b"x" * length + end + (b"b\n" if end.endswith(b"\n") else b"")
        expected = expected_items(text, chunk_bytes, 5)
        for first, second in combinations_with_replacement(range(len(text) + 1), 2):
            pieces = [text[:first], text[first:second], text[second:]]
            assert expected == list(with_isal._cut(pieces, chunk_bytes, 5))


@pytest.mark.parametrize("error", [SourceUnavailableError("cut"), ObjectCorruptError("cut")])
@given(data=st.data(), case=texts_and_sizes())
def test_before_an_error_every_line_is_accounted_for(
    error: Exception, data: st.DataObject, case: tuple[bytes, int, int]
) -> None:
    """All whole lines come out before the error is raised, and one that had begun is counted."""
    text, chunk_bytes, longest = case

    def pieces() -> Iterator[bytes]:
        yield from data.draw(split(text))
        raise error

    items: list[Any] = []
    with pytest.raises(type(error)) as raised:
        items.extend(with_isal._cut(pieces(), chunk_bytes, longest))

    whole = text[: text.rfind(b"\n") + 1]
    truncated = getattr(raised.value, "truncated", int(whole != text))
    read = sum(item.lines if isinstance(item, Chunk) else 1 for item in items)
    assert raised.value is error
    assert expected_items(whole, chunk_bytes, longest) == items
    assert read + truncated == len(lines_of(text))


@st.composite
def gzips(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Compress a text in members of any size and level, padded with zeros or not."""
    text = draw(st.binary() | texts.map(lambda text: text * 50))
    data = b"".join(
        gzip.compress(part, compresslevel=draw(st.integers(0, 9)), mtime=0)
        + bytes(draw(st.integers(0, 3)))
        for part in draw(split(text))
    )
    return text, data


@pytest.mark.parametrize("reading", CODECS)
@given(data=st.data(), case=gzips())
def test_any_gzip_gives_its_text(
    reading: ModuleType, data: st.DataObject, case: tuple[bytes, bytes]
) -> None:
    """Members, padding and pieces may fall in any way."""
    text, compressed = case
    pieces = data.draw(split(compressed))

    assert text == b"".join(reading._as_text(iter(pieces), "a gzip"))


def lines_and_truncated(reading: ModuleType, data: bytes) -> tuple[bytes, int | None]:
    """Read a file: the whole lines in it, and the count that its error holds, if there is one."""
    items: list[Any] = []
    truncated = None
    try:
        items.extend(reading.read_stream(io.BytesIO(data), name="a gzip"))
    except ObjectCorruptError as error:
        truncated = error.truncated
    return b"".join(item.data for item in items), truncated


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

    fast, fast_truncated = lines_and_truncated(with_isal, damaged)
    plain, plain_truncated = lines_and_truncated(WITHOUT_ISAL, damaged)

    assert (fast_truncated is None) == (plain_truncated is None)
    assert fast.startswith(plain)
    if fast_truncated is None:
        assert fast == plain
        assert text.startswith(fast)
        assert fast == text or rest != flipped + compressed[place + 1 :]
    else:
        assert {fast[-1:], plain[-1:]} <= {b"", b"\n"}


@pytest.mark.parametrize("reading", CODECS)
@given(text=st.binary(max_size=40), parts=st.integers(1, 5))
@example(text=b"", parts=1)
@example(text=b"\x1f", parts=1)
def test_any_bytes_are_text_or_gzip(reading: ModuleType, text: bytes, parts: int) -> None:
    """Nothing but the magic bytes makes a gzip; everything else comes out as it is."""
    pieces = (text[at : at + parts] for at in range(0, len(text), parts))
    is_gzip = text == b"\x1f" or text.startswith(b"\x1f\x8b")

    try:
        out = b"".join(reading._as_text(pieces, "any bytes"))
    except ObjectCorruptError:
        assert is_gzip
    else:
        assert not is_gzip or zlib.decompressobj(31).decompress(text) == out
        assert is_gzip or text == out
