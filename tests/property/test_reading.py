"""What holds for any text, however it arrives."""

import hashlib
from collections.abc import Iterator
from itertools import combinations_with_replacement, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ObjectCorruptError, SourceUnavailableError
from pipeline.source.reading import HEAD_BYTES, Chunk, LongLine, _cut

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
    """Return what must come out: lines packed greedily, the long ones by themselves."""
    items: list[Chunk | LongLine] = []
    offset = 0
    for line in lines_of(text):
        raw = content(line)
        last = items[-1] if items else None
        if len(raw) > longest:
            digest = hashlib.sha256(raw).digest()
            items.append(LongLine(offset, offset + len(line), raw[:HEAD_BYTES], len(raw), digest))
        elif isinstance(last, Chunk) and len(last.data + line) <= chunk_bytes:
            items[-1] = Chunk(last.offset, last.data + line, last.lines + 1)
        else:
            items.append(Chunk(offset, line, 1))
        offset += len(line)
    return items


@settings(max_examples=500)
@given(data=st.data(), case=texts_and_sizes())
def test_any_pieces_give_the_same_items(data: st.DataObject, case: tuple[bytes, int, int]) -> None:
    """Chunks, long lines and offsets depend on the text and the sizes alone."""
    text, chunk_bytes, longest = case
    pieces = data.draw(split(text))

    items = list(_cut(pieces, chunk_bytes, longest))

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
            assert expected == list(_cut(pieces, chunk_bytes, 5))


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

    items: list[Chunk | LongLine] = []
    with pytest.raises(type(error)) as raised:
        items.extend(_cut(pieces(), chunk_bytes, longest))

    whole = text[: text.rfind(b"\n") + 1]
    truncated = getattr(raised.value, "truncated", int(whole != text))
    read = sum(item.lines if isinstance(item, Chunk) else 1 for item in items)
    assert error in (raised.value, raised.value.__cause__)
    assert expected_items(whole, chunk_bytes, longest) == items
    assert read + truncated == len(lines_of(text))
