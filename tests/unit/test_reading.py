"""Reading an object: whole lines, each once, in chunks; and what is said when it is cut."""

import gzip
import hashlib
import io
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from pipeline.deadline import Deadline
from pipeline.errors import ObjectCorruptError, PipelineError, SourceUnavailableError
from pipeline.source.reading import Chunk, LongLine, ObjectReader, read_stream
from tests.support.gzips import GZIP, LINES, MEMBERS, TEXT, text_of, whole_lines

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "alb-test-bucket"
KEY = "AWSLogs/123456789012/elasticloadbalancing/eu-central-1/2026/09/10/object.log.gz"
LIMIT = 256 * 1024
OBJECTS = [
    pytest.param(TEXT, id="plain"),
    pytest.param(GZIP, id="one-member"),
    pytest.param(MEMBERS, id="members"),
]


@dataclass
class Read:
    """What came out until the end or the error."""

    items: list[Chunk | LongLine] = field(default_factory=list)
    error: PipelineError | None = None

    @property
    def chunks(self) -> list[Chunk]:
        """Leave out the long lines."""
        return [item for item in self.items if isinstance(item, Chunk)]

    @property
    def text(self) -> bytes:
        """Join the chunks' bytes."""
        return b"".join(chunk.data for chunk in self.chunks)


def read(items: Iterable[Chunk | LongLine]) -> Read:
    """Collect what comes out, the error too."""
    result = Read()
    try:
        result.items.extend(items)
    except PipelineError as error:
        result.error = error
    return result


def read_bytes(data: bytes, **options: int) -> Read:
    """Read a local file of these bytes."""
    return read(read_stream(io.BytesIO(data), name="a file", **options))


@pytest.fixture(scope="module")
def s3() -> Iterator["S3Client"]:
    """Start an emulated S3 with a bucket."""
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


# Objects and files


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize("data", OBJECTS)
def test_an_object_is_read_whole(s3: "S3Client", data: bytes, encoding: str) -> None:
    """The bytes decide what is gzip, whatever Content-Encoding or the key's ending say."""
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=data, ContentEncoding=encoding)

    assert Read([Chunk(0, TEXT, len(LINES))]) == read(ObjectReader(BUCKET, KEY, s3=s3))


@pytest.mark.parametrize("data", OBJECTS)
def test_a_local_file_is_read_like_an_object(data: bytes) -> None:
    """A file or standard input goes the same way."""
    assert Read([Chunk(0, TEXT, len(LINES))]) == read_bytes(data)


def test_nothing_is_fetched_before_it_is_asked_for(s3: "S3Client") -> None:
    """The request is made with the first chunk, not with the call."""
    chunks = iter(ObjectReader(BUCKET, "late", s3=s3))
    s3.put_object(Bucket=BUCKET, Key="late", Body=TEXT)

    assert TEXT == read(chunks).text


@pytest.mark.parametrize("data", [b"", gzip.compress(b"", mtime=0)], ids=["empty", "empty-gzip"])
def test_an_empty_object_is_clean(data: bytes) -> None:
    """An object without a byte, or without a line, has no chunk and no error."""
    assert Read() == read_bytes(data)


def test_an_unreadable_local_file_is_the_users_to_fix() -> None:
    """An OSError of a local file is raised as it is."""

    class Unreadable(io.BytesIO):
        def read(self, _: int | None = -1) -> bytes:
            raise IsADirectoryError

    with pytest.raises(IsADirectoryError):
        list(read_stream(Unreadable(), name="a folder"))


def test_a_local_file_needs_no_aws_library() -> None:
    """Where neither boto3 nor its parts are installed, files are read all the same."""
    code = """
import io, sys
sys.modules.update(boto3=None, botocore=None, urllib3=None)
from pipeline.source.reading import read_stream
print(next(read_stream(io.BytesIO(b"a line"), name="a file")).lines)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)

    assert (b"1", b"") == (done.stdout.strip(), done.stderr)


# Chunks


def test_a_last_line_without_an_end_counts_after_a_clean_end() -> None:
    """The last line of a whole object may lack its line end."""
    text = TEXT + b"the last line"

    assert [Chunk(0, text, len(LINES) + 1)] == read_bytes(text).items


def test_only_a_line_feed_ends_a_line() -> None:
    """Other characters that look like line ends to text tools do not cut a line."""
    text = b"a\rb\x0bc\x0cd\x1ce\xc2\x85f\xe2\x80\xa8g\n"

    assert [Chunk(0, text, 1)] == read_bytes(text, chunk_bytes=1).items


@pytest.mark.parametrize("data", OBJECTS)
def test_a_chunk_is_as_many_whole_lines_as_fit(data: bytes) -> None:
    """A chunk is full when the next line would not fit, and holds one line at least."""
    size = len(LINES[0]) + len(LINES[1])
    fitting = read_bytes(data, chunk_bytes=size).items
    tight = read_bytes(data, chunk_bytes=1).chunks

    assert Chunk(0, LINES[0] + LINES[1], 2) == fitting[0]
    assert Chunk(size, LINES[2] + LINES[3], 2) == fitting[1]
    assert LINES == [chunk.data for chunk in tight]
    assert [TEXT.index(line) for line in LINES] == [chunk.offset for chunk in tight]


def test_chunks_of_a_large_object_follow_each_other() -> None:
    """A text of many pieces comes as chunks just under the size asked for."""
    text = b"".join(b"%d %s\n" % (n, b"x" * (n % 1500)) for n in range(6000))
    result = read_bytes(text)
    first, second = result.chunks[:2]

    assert text == result.text
    assert (0, len(first.data)) == (first.offset, second.offset)
    assert 2 * 1024 * 1024 - 1510 < len(first.data) <= 2 * 1024 * 1024
    assert sum(chunk.lines for chunk in result.chunks) == 6000


@pytest.mark.parametrize("end", [b"\n", b"x"], ids=["lines", "one-line"])
def test_memory_does_not_grow_with_the_object(end: bytes) -> None:
    """64 MiB out of a gzip of 64 KiB, as lines or as one line, need a few MiB."""
    data = gzip.compress((b"x" * 1023 + end) * (64 * 1024), mtime=0)
    tracemalloc.start()
    try:
        for _ in read_stream(io.BytesIO(data), name="a bomb"):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 20 * 1024 * 1024


# Long lines


def long_line(offset: int, raw: bytes, end: bytes = b"\n") -> LongLine:
    """Return what must come out for a long line, given without its line end."""
    digest = hashlib.sha256(raw).digest()
    return LongLine(offset, offset + len(raw + end), raw[:8192], len(raw), digest)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""], ids=["lf", "crlf", "none"])
@pytest.mark.parametrize("before", [b"", b"short\n"], ids=["first", "after-a-line"])
@pytest.mark.parametrize("chunk_bytes", [1000, LIMIT + 1, 2 * 1024 * 1024])
def test_a_line_is_long_above_256_kib(end: bytes, before: bytes, chunk_bytes: int) -> None:
    """256 KiB without the line end are no long line, one byte more is one."""
    after = b"after\n" if end else b""
    fits, long = b"x" * LIMIT, b"x" * LIMIT + b"y"
    whole = before + fits + end + after
    chunks = [Chunk(0, before, 1), Chunk(len(before + long + end), after, 1)]

    assert whole == read_bytes(whole, chunk_bytes=chunk_bytes).text
    assert [
        *[chunk for chunk in chunks[:1] if before],
        long_line(len(before), long, end),
        *[chunk for chunk in chunks[1:] if after],
    ] == read_bytes(before + long + end + after, chunk_bytes=chunk_bytes).items


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_a_carriage_return_at_the_edge_of_a_piece_is_understood(place: int) -> None:
    r"""Of a long line's ``\r``, only one right before ``\n`` is left out of length and digest."""
    piece = 256 * 1024
    raw = b"x" * (2 * piece - place) + b"\r\r" + b"y" * piece + b"\r\r"

    assert [long_line(0, raw, b"\r\n")] == read_bytes(raw + b"\r\n").items
    assert [long_line(0, raw + b"\r", b"")] == read_bytes(raw + b"\r").items


def test_two_long_lines_in_one_chunk_stay_apart() -> None:
    """Long lines come by themselves, the short ones around them as chunks, in order."""
    long = b"z" * (LIMIT + 5)
    text = b"a\n" + long + b"\n" + long + b"\r\n" + b"b\nc\n"
    expected = [
        Chunk(0, b"a\n", 1),
        long_line(2, long),
        long_line(2 + LIMIT + 6, long, b"\r\n"),
        Chunk(len(text) - 4, b"b\nc\n", 2),
    ]

    assert expected == read_bytes(text).items


# What is cut


def assert_whole_lines_only(expected: bytes, result: Read) -> None:
    """Check that exactly the whole lines came out, and an unfinished one was counted."""
    whole = whole_lines(expected)
    assert whole == result.text
    assert isinstance(result.error, ObjectCorruptError)
    assert int(whole != expected) == result.error.truncated
    assert whole.count(b"\n") == sum(chunk.lines for chunk in result.chunks)


@pytest.mark.parametrize("data", OBJECTS[1:])
def test_a_cut_gzip_gives_the_whole_lines_before_the_cut(data: bytes) -> None:
    """Wherever in its last lines a gzip is cut, no half of a line comes out."""
    ends = [end for end in range(len(data)) if len(text_of(data[:end])) > TEXT.index(LINES[-2])]
    assert len(ends) > 10

    for end in ends:
        assert_whole_lines_only(text_of(data[:end]), read_bytes(data[:end]))


def test_a_cut_gzip_in_s3_is_corrupt(s3: "S3Client") -> None:
    """The stored object is cut, so all announced bytes arrive: the object itself is damaged."""
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=MEMBERS[:-20])
    result = read(ObjectReader(BUCKET, KEY, s3=s3))

    assert_whole_lines_only(text_of(MEMBERS[:-20]), result)
    assert str(result.error).startswith(f"s3://{BUCKET}/{KEY}: damaged gzip: ")


@pytest.mark.parametrize(("beyond", "truncated"), [(b"", 0), (b"unfinished", 1)])
def test_a_line_that_damage_cuts_is_counted(beyond: bytes, truncated: int) -> None:
    """A line that has no end when the object is found damaged is neither returned nor lost."""
    result = read_bytes(gzip.compress(TEXT + beyond, mtime=0) + b"no gzip")

    assert TEXT == result.text
    assert isinstance(result.error, ObjectCorruptError)
    assert truncated == result.error.truncated


def test_a_long_line_that_damage_cuts_is_counted() -> None:
    """A line does not have to be short to be counted as truncated."""
    result = read_bytes(gzip.compress(b"a\n" + b"x" * 3 * LIMIT, mtime=0)[:-8])

    assert [Chunk(0, b"a\n", 1)] == result.items
    assert isinstance(result.error, ObjectCorruptError)
    assert 1 == result.error.truncated


class StoppingS3:
    """A store that sends the beginning of an object, and then is too busy to go on."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data, self._place = data, place

    def get_object(self, **request: str) -> dict[str, Any]:
        """Announce all, and send a part."""
        if "Range" in request:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "GetObject")
        body = io.BytesIO(self._data[: self._place])
        return {"ETag": '"1"', "ContentLength": len(self._data), "Body": body}


@pytest.mark.parametrize("data", OBJECTS)
def test_a_body_that_stays_cut_gives_no_half_line(data: bytes) -> None:
    """Wherever it stays cut, exactly the whole lines before come out: the rest comes next time."""
    for place in range(len(data)):
        s3 = cast("S3Client", StoppingS3(data, place))
        result = read(ObjectReader(BUCKET, KEY, s3=s3, deadline=Deadline(pause=lambda _: None)))
        text = data[:place] if data is TEXT else text_of(data[:place])

        assert whole_lines(text) == result.text
        assert isinstance(result.error, SourceUnavailableError)
