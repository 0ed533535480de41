"""Reading an object: what is given out, once each, and what is said when it can not be."""

import base64
import gzip
import hashlib
import importlib.util
import io
import sys
import threading
import tracemalloc
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch

import boto3
import pytest
import urllib3.exceptions as http
from botocore import exceptions as boto
from botocore.config import Config
from botocore.stub import Stubber
from moto import mock_aws

from pipeline import reading as with_isal
from pipeline.errors import (
    ConfigError,
    ObjectCorruptError,
    ObjectMissingError,
    PipelineError,
    SourceUnavailableError,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def load_without_isal() -> ModuleType:
    """Load the room as it is where the extra `fast` is not installed."""
    spec = importlib.util.spec_from_file_location("reading_without_isal", with_isal.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with patch.dict(sys.modules, {"isal": None, spec.name: module}):
        spec.loader.exec_module(module)
    return module


CODECS = [pytest.param(with_isal, id="isal"), pytest.param(load_without_isal(), id="zlib")]
BUCKET = "alb-test-bucket"
KEY = "AWSLogs/123456789012/elasticloadbalancing/eu-central-1/2026/09/10/object.log.gz"
URI = f"s3://{BUCKET}/{KEY}"
LIMIT = 256 * 1024
LINES = [b"https 2026-09-10T23:35:00Z app/web/%08x 1 %02d\n" % (n**6, n) for n in range(1, 30)]
TEXT = b"".join(LINES)
# Members as a load balancer writes them, ending anywhere, one of them empty.
MEMBERS = b"".join(gzip.compress(part, mtime=0) for part in (TEXT[:777], b"", TEXT[777:]))
GZIPS = [
    pytest.param(gzip.compress(TEXT, mtime=0), id="one-member"),
    pytest.param(MEMBERS, id="members"),
]

# Each kind of object, each decompressor: enough where every case takes many requests.
KINDS = [
    pytest.param(TEXT, with_isal, id="plain"),
    pytest.param(gzip.compress(TEXT, mtime=0), CODECS[1].values[0], id="one-member-zlib"),
    pytest.param(MEMBERS, with_isal, id="members-isal"),
]


@dataclass
class Read:
    """What came out until the end or the error."""

    items: list[Any] = field(default_factory=list)
    error: PipelineError | None = None

    @property
    def text(self) -> bytes:
        """Join the chunks' bytes."""
        return b"".join(item.data for item in self.items)


def read(items: Iterator[Any]) -> Read:
    """Collect what comes out, the error too."""
    result = Read()
    try:
        result.items.extend(items)
    except PipelineError as error:
        result.error = error
    return result


def read_bytes(data: bytes, reading: ModuleType = with_isal, **options: int) -> Read:
    """Read a local file of these bytes."""
    return read(reading.read_stream(io.BytesIO(data), name="a file", **options))


@dataclass
class Cut:
    """Let so many bytes of a body through; then raise, or end as if it were whole."""

    after: int
    error: Exception | None = None


class CutBody:
    """A real body that breaks."""

    def __init__(self, body: Any, cut: Cut) -> None:  # noqa: ANN401 - a streaming body
        self._body, self._left, self._error = body, cut.after, cut.error
        self.closed = False

    def read(self, size: int) -> bytes:
        """Read as far as the cut."""
        data: bytes = self._body.read(min(size, self._left))
        self._left -= len(data)
        if not data and self._error:
            raise self._error
        return data

    def close(self) -> None:
        """Close the real body."""
        self.closed = True
        self._body.close()


class CuttingS3:
    """A real client, of whose answers the first few break as told."""

    def __init__(self, s3: "S3Client", *cuts: Cut) -> None:
        self._s3, self._cuts = s3, iter(cuts)
        self.requests: list[dict[str, str]] = []
        self.bodies: list[CutBody] = []
        self.pauses: list[float] = []

    def get_object(self, **request: str) -> dict[str, Any]:
        """Get the object, and break its body."""
        self.requests.append(request)
        answer = self.answer(request)
        cut = next(self._cuts, Cut(sys.maxsize))
        answer["Body"] = CutBody(answer["Body"], cut)
        self.bodies.append(answer["Body"])
        return answer

    def answer(self, request: dict[str, str]) -> dict[str, Any]:
        """Ask the real client."""
        return cast("dict[str, Any]", self._s3.get_object(**cast("Any", request)))

    def read(self, reading: ModuleType = with_isal) -> Read:
        """Read the object through this client."""
        chunks = reading.read_object(BUCKET, KEY, s3=self, sleep=self.pauses.append)
        return read(chunks)


@pytest.fixture(scope="module")
def aws() -> Iterator["S3Client"]:
    """Start one emulated S3 for all, with a bucket."""
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def s3(aws: "S3Client") -> "S3Client":
    """Give a client of an empty bucket."""
    aws.delete_object(Bucket=BUCKET, Key=KEY)
    return aws


def put(s3: "S3Client", data: bytes, **headers: str) -> None:
    """Store the object."""
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=data, **cast("Any", headers))


# What comes out


@pytest.mark.parametrize("reading", CODECS)
@pytest.mark.parametrize("data", [pytest.param(TEXT, id="plain"), *GZIPS])
def test_an_object_is_read_whole(s3: "S3Client", data: bytes, reading: ModuleType) -> None:
    """A plain object, a gzip and one of several members come out as the same lines."""
    put(s3, data)

    items = list(reading.read_object(BUCKET, KEY, s3=s3))

    assert [reading.Chunk(0, TEXT, len(LINES))] == items


@pytest.mark.parametrize("reading", CODECS)
def test_a_local_file_is_read_like_an_object(reading: ModuleType) -> None:
    """A file or standard input goes the same way."""
    assert [reading.Chunk(0, TEXT, len(LINES))] == read_bytes(MEMBERS, reading).items


def test_nothing_is_fetched_before_it_is_asked_for(s3: "S3Client") -> None:
    """The request is made with the first chunk, not with the call."""
    chunks = with_isal.read_object(BUCKET, KEY, s3=s3)
    put(s3, TEXT)

    assert TEXT == read(chunks).text


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize("data", [pytest.param(TEXT, id="plain"), *GZIPS])
def test_no_header_decides_what_is_gzip(s3: "S3Client", data: bytes, encoding: str) -> None:
    """The first two bytes decide, whatever Content-Encoding or the key's ending say."""
    put(s3, data, ContentEncoding=encoding)

    assert TEXT == read(with_isal.read_object(BUCKET, KEY, s3=s3)).text


@pytest.mark.parametrize("data", [b"", gzip.compress(b"", mtime=0)], ids=["empty", "empty-gzip"])
def test_an_empty_object_is_clean(s3: "S3Client", data: bytes) -> None:
    """An object without a byte, or without a line, has no chunk and no error."""
    put(s3, data)

    assert Read() == read(with_isal.read_object(BUCKET, KEY, s3=s3))


@pytest.mark.parametrize("text", [b"x", b"\n", b"\x1fx", b"\x1f\n\x8b", b"\0\x1f\x8b", b"\x8b"])
def test_what_does_not_begin_as_gzip_is_text(text: bytes) -> None:
    """Only both magic bytes, at the very beginning, make a gzip."""
    assert text == read_bytes(text).text


def test_a_last_line_without_an_end_counts_after_a_clean_end() -> None:
    """The last line of a whole object may lack its line end."""
    text = TEXT + b"the last line"

    assert [with_isal.Chunk(0, text, len(LINES) + 1)] == read_bytes(text).items


def test_only_a_line_feed_ends_a_line() -> None:
    """Other characters that look like line ends to text tools do not cut a line."""
    text = b"a\rb\x0bc\x0cd\x1ce\xc2\x85f\xe2\x80\xa8g\n"

    assert [with_isal.Chunk(0, text, 1)] == read_bytes(text, chunk_bytes=1).items


@pytest.mark.parametrize("data", [pytest.param(TEXT, id="plain"), *GZIPS])
def test_a_chunk_is_as_many_whole_lines_as_fit(data: bytes) -> None:
    """A chunk is full when the next line would not fit, and holds one line at least."""
    size = len(LINES[0]) + len(LINES[1])
    fitting = read_bytes(data, chunk_bytes=size).items
    tight = read_bytes(data, chunk_bytes=1).items

    assert with_isal.Chunk(0, LINES[0] + LINES[1], 2) == fitting[0]
    assert with_isal.Chunk(size, LINES[2] + LINES[3], 2) == fitting[1]
    assert LINES == [chunk.data for chunk in tight]
    assert [TEXT.index(line) for line in LINES] == [chunk.offset for chunk in tight]


def test_chunks_of_a_large_object_follow_each_other() -> None:
    """A text of many pieces comes as chunks just under the size asked for."""
    text = b"".join(b"%d %s\n" % (n, b"x" * (n % 1500)) for n in range(6000))
    chunks = read_bytes(text).items

    assert text == b"".join(chunk.data for chunk in chunks)
    assert [0, len(chunks[0].data)] == [chunk.offset for chunk in chunks[:2]]
    assert 2 * 1024 * 1024 - 1510 < len(chunks[0].data) <= 2 * 1024 * 1024
    assert sum(chunk.lines for chunk in chunks) == 6000


# Long lines


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""], ids=["lf", "crlf", "none"])
@pytest.mark.parametrize("before", [b"", b"short\n"], ids=["first", "after-a-line"])
@pytest.mark.parametrize("chunk_bytes", [1000, LIMIT + 1, 2 * 1024 * 1024])
def test_a_line_is_long_above_256_kib(end: bytes, before: bytes, chunk_bytes: int) -> None:
    """256 KiB without the line end are no long line, one byte more is one."""
    after = b"after\n" if end else b""
    fits, long = b"x" * LIMIT, b"x" * LIMIT + b"y"
    whole = before + fits + end + after
    items = read_bytes(before + long + end + after, chunk_bytes=chunk_bytes).items

    assert whole == read_bytes(whole, chunk_bytes=chunk_bytes).text
    assert (
        with_isal.LongLine(
            offset=len(before),
            head=long[:8192],
            length=LIMIT + 1,
            digest=hashlib.sha256(long).digest(),
        )
        in items
    )
    assert before + after == b"".join(i.data for i in items if isinstance(i, with_isal.Chunk))
    assert not after or len(before + long + end) == items[-1].offset


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_a_carriage_return_at_the_edge_of_a_piece_is_understood(place: int) -> None:
    r"""Of a long line's ``\r``, only one right before ``\n`` is left out of length and digest."""
    piece = 256 * 1024
    raw = b"x" * (2 * piece - place) + b"\r\r" + b"y" * piece + b"\r\r"
    [long] = read_bytes(raw + b"\r\n").items
    [unended] = read_bytes(raw + b"\r").items

    assert with_isal.LongLine(0, b"x" * 8192, len(raw), hashlib.sha256(raw).digest()) == long
    assert (len(raw) + 1, hashlib.sha256(raw + b"\r").digest()) == (unended.length, unended.digest)


def test_two_long_lines_in_one_chunk_stay_apart() -> None:
    """Long lines come by themselves, the short ones around them as chunks, in order."""
    long = b"z" * (LIMIT + 5)
    text = b"a\n" + long + b"\n" + long + b"\r\n" + b"b\nc\n"
    first, second, third, last = read_bytes(text).items

    assert (with_isal.Chunk(0, b"a\n", 1)) == first
    assert (2, LIMIT + 5) == (second.offset, second.length)
    assert (2 + LIMIT + 6, LIMIT + 5) == (third.offset, third.length)
    assert with_isal.Chunk(len(text) - 4, b"b\nc\n", 2) == last


@pytest.mark.parametrize("reading", CODECS)
@pytest.mark.parametrize("line", [b"x" * 63 + b"\n", b"x" * 64], ids=["lines", "one-line"])
def test_memory_does_not_grow_with_the_object(line: bytes, reading: ModuleType) -> None:
    """64 MiB out of a gzip of 64 KiB, as lines or as one line, need a few MiB."""
    data = gzip.compress(line * (1024 * 1024), mtime=0)
    tracemalloc.start()
    try:
        for _ in reading.read_stream(io.BytesIO(data), name="a bomb"):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 16 * 1024 * 1024


# Gzip, well formed and damaged


@pytest.mark.parametrize("reading", CODECS)
@pytest.mark.parametrize("flags", range(32))
def test_a_header_may_have_any_optional_fields_and_arrive_in_parts(
    flags: int, reading: ModuleType
) -> None:
    """Extra field, name, comment and checksum are skipped, wherever the pieces are cut."""
    header = b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\0\xff"
    header += b"\x03\0EXT" if flags & 4 else b""
    header += b"name\0" if flags & 8 else b""
    header += b"comment\0" if flags & 16 else b""
    header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little") if flags & 2 else b""
    data = header + gzip.compress(TEXT, mtime=0)[10:]

    for at in range(len(header) + 2):
        parts = iter((data[:at], data[at:]))
        assert TEXT == b"".join(reading._gunzip(parts, "parts"))


@pytest.mark.parametrize("reading", CODECS)
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(gzip.compress(TEXT) + bytes(100_000), id="after"),
        pytest.param(
            gzip.compress(TEXT[:99]) + bytes(70_000) + gzip.compress(TEXT[99:]), id="between"
        ),
    ],
)
def test_zeros_after_a_member_are_padding(data: bytes, reading: ModuleType) -> None:
    """Some tools pad a gzip with zeros; nothing is wrong then."""
    result = read_bytes(data, reading)

    assert (TEXT, None) == (result.text, result.error)


@pytest.mark.parametrize("reading", CODECS)
@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(b"x", id="a-byte"),
        pytest.param(b"some more text\n", id="text"),
        pytest.param(b"\0\0x", id="after-padding"),
        pytest.param(b"\x1f", id="half-a-magic"),
        pytest.param(b"\x1f\x8b", id="a-magic"),
        pytest.param(b"\x1f\x8b\x07" + bytes(20), id="another-method"),
        pytest.param(b"\x1f\x8b\x08\x20" + bytes(20), id="unknown-flags"),
        pytest.param(b"\x1f\x8b\x08\x02" + bytes(20), id="wrong-header-checksum"),
        pytest.param(b"\x1f\x8b\x08\x08" + b"n" * 300_000, id="a-name-without-end"),
    ],
)
def test_other_bytes_after_a_member_are_damage(rest: bytes, reading: ModuleType) -> None:
    """What follows the last member and is neither zeros nor a member makes the object corrupt."""
    result = read_bytes(gzip.compress(TEXT + b"unfinished") + rest, reading)

    assert TEXT == result.text
    assert isinstance(result.error, ObjectCorruptError)
    assert 1 == result.error.truncated
    assert str(result.error).startswith("a file: damaged gzip: ")


@pytest.mark.parametrize("reading", CODECS)
@pytest.mark.parametrize("data", [b"\x1f", b"\x1f\x8b", gzip.compress(TEXT)[:10]])
def test_a_beginning_of_a_gzip_is_a_cut_one(data: bytes, reading: ModuleType) -> None:
    """Even its first byte alone is a cut gzip, not a line; no line has begun in it."""
    result = read_bytes(data, reading)

    assert [] == result.items
    assert isinstance(result.error, ObjectCorruptError)
    assert 0 == result.error.truncated


@pytest.mark.parametrize("reading", CODECS)
@pytest.mark.parametrize("data", GZIPS)
@pytest.mark.parametrize("place", range(-8, 0))
def test_a_wrong_checksum_or_length_is_damage(place: int, data: bytes, reading: ModuleType) -> None:
    """Any byte of the last trailer that is off makes the object corrupt, after all its lines."""
    damaged = bytearray(data)
    damaged[place] ^= 1
    result = read_bytes(bytes(damaged), reading)

    assert TEXT == result.text
    assert isinstance(result.error, ObjectCorruptError)
    assert 0 == result.error.truncated


def text_of(data: bytes) -> tuple[bytes, bool]:
    """Decode gzip members byte by byte: the text up to damage or a cut, and whether all is well."""
    texts, decoder, well = [], zlib.decompressobj(31), True
    try:
        for value in data:
            if decoder.eof:
                decoder = zlib.decompressobj(31)
            texts.append(decoder.decompress(bytes([value])))
    except zlib.error:
        well = False
    return b"".join(texts), well and decoder.eof


def assert_whole_lines_only(expected: bytes, result: Read) -> None:
    """Check that exactly the whole lines came out, and an unfinished one was counted."""
    whole = expected[: expected.rfind(b"\n") + 1]
    assert whole == result.text
    assert isinstance(result.error, ObjectCorruptError)
    assert int(whole != expected) == result.error.truncated
    assert whole.count(b"\n") == sum(item.lines for item in result.items)


@pytest.mark.parametrize("reading", CODECS)
@pytest.mark.parametrize("data", GZIPS)
def test_a_cut_gzip_gives_the_whole_lines_before_the_cut(data: bytes, reading: ModuleType) -> None:
    """Wherever in its last lines a gzip is cut, no half of a line comes out."""
    ends = [end for end in range(len(data)) if text_of(data[:end]) != (TEXT[:0], False)]
    last_two = [end for end in ends if len(text_of(data[:end])[0]) > TEXT.index(LINES[-2])]
    assert len(last_two) > 10

    for end in last_two:
        text, well = text_of(data[:end])
        assert not well
        assert_whole_lines_only(text, read_bytes(data[:end], reading))


@pytest.mark.parametrize("reading", CODECS)
def test_a_cut_gzip_that_expands_a_lot_gives_all_its_text(reading: ModuleType) -> None:
    """What the decompressor still holds when its bound is met is asked for, at a cut too."""
    data = gzip.compress((b"x" * 63 + b"\n") * 20_000, mtime=0)
    crossing = bisect_left(
        range(len(data)), reading._TEXT_BYTES, key=lambda end: len(text_of(data[:end])[0])
    )

    for end in range(crossing - 2, crossing + 3):
        assert_whole_lines_only(text_of(data[:end])[0], read_bytes(data[:end], reading))


def test_the_length_in_a_trailer_counts_modulo_4_gib() -> None:
    """A gzip names the length of its text in 32 bits; a longer text is no damage."""
    member = with_isal._Member()
    member.length = 2**32 + 5
    trailer = bytes(4) + b"\5\0\0\0"

    with_isal._check_trailer(with_isal._Compressed([trailer]), member)


@pytest.mark.parametrize("reading", CODECS)
def test_a_cut_gzip_in_s3_is_corrupt(s3: "S3Client", reading: ModuleType) -> None:
    """The stored object is cut, so all announced bytes arrive: the object itself is damaged."""
    put(s3, MEMBERS[:-20])
    result = read(reading.read_object(BUCKET, KEY, s3=s3))

    assert_whole_lines_only(text_of(MEMBERS[:-20])[0], result)
    assert URI in str(result.error)
    assert isinstance(result.error, Exception)
    assert result.error.__cause__ is not None


@pytest.mark.parametrize("reading", CODECS)
def test_damage_within_costs_no_line_before_it(reading: ModuleType) -> None:
    """Wherever a bit of a member's data is flipped, all lines before the damage come out."""
    data = gzip.compress(TEXT, mtime=0)
    for place in range(10, len(data) - 8):
        damaged = bytearray(data)
        damaged[place] ^= 0x10
        result = read_bytes(bytes(damaged), reading)

        text, well = text_of(bytes(damaged))
        assert not well
        assert isinstance(result.error, ObjectCorruptError)
        assert result.text.startswith(text[: text.rfind(b"\n") + 1])


def stored_and_damaged(lines: int) -> tuple[bytes, bytes]:
    """Make a text, and a gzip of it of stored blocks, of which the header of the last is wrong."""
    text = b"".join(b"%d %s\n" % (n, b"x" * 1000) for n in range(lines))
    data = bytearray(gzip.compress(text, compresslevel=0, mtime=0))
    last = data.rindex(b"\x01", 0, -8)  # its flag; the length and the length's complement follow
    assert bytes(255 - value for value in data[last + 1 : last + 3]) == data[last + 3 : last + 5]
    data[last + 1] ^= 1
    return text, bytes(data)


@pytest.mark.parametrize("reading", CODECS)
def test_damage_after_several_pieces_costs_no_line_before_it(reading: ModuleType) -> None:
    """What came out already does not come again, and the lines since then do."""
    text, data = stored_and_damaged(lines=600)
    expected, _ = text_of(data)

    assert 500_000 < len(expected) < len(text)
    assert_whole_lines_only(expected, read_bytes(data, reading, chunk_bytes=1000))


@pytest.mark.parametrize("reading", CODECS)
def test_damage_late_in_a_large_member_costs_little(reading: ModuleType) -> None:
    """Beyond what is kept for a second try, damage costs the lines of one step at most."""
    text, data = stored_and_damaged(lines=9000)
    result = read_bytes(data, reading)

    assert isinstance(result.error, ObjectCorruptError)
    assert text.startswith(result.text)
    assert len(result.text) > len(text) - 200_000


# The network


CUTS = [
    pytest.param(None, id="short-body"),
    pytest.param(http.ProtocolError("broken"), id="protocol"),
    pytest.param(http.IncompleteRead(1, 2), id="incomplete"),
    pytest.param(http.SSLError("bad record"), id="tls"),
    pytest.param(ConnectionResetError("reset"), id="reset"),
    pytest.param(TimeoutError("slow"), id="timeout"),
    pytest.param(boto.ReadTimeoutError(endpoint_url=URI), id="botocore-timeout"),
    pytest.param(boto.ResponseStreamingError(error="broken"), id="botocore-streaming"),
    pytest.param(
        boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), id="botocore-incomplete"
    ),
    pytest.param(boto.ConnectionClosedError(endpoint_url=URI), id="botocore-closed"),
]


@pytest.mark.parametrize("error", CUTS)
@pytest.mark.parametrize("data", [pytest.param(TEXT, id="plain"), *GZIPS])
def test_a_cut_body_is_resumed(s3: "S3Client", data: bytes, error: Exception | None) -> None:
    """The rest of the same version is asked for, and nothing comes out twice."""
    put(s3, data)
    cutting = CuttingS3(s3, Cut(60, error), Cut(30, error))
    result = cutting.read()

    assert (TEXT, None) == (result.text, result.error)
    etag = s3.head_object(Bucket=BUCKET, Key=KEY)["ETag"]
    place = {"Bucket": BUCKET, "Key": KEY}
    assert cutting.requests == [
        place,
        place | {"Range": "bytes=60-", "IfMatch": etag},
        place | {"Range": "bytes=90-", "IfMatch": etag},
    ]
    assert all(body.closed for body in cutting.bodies)


@pytest.mark.parametrize(("data", "reading"), KINDS)
def test_a_cut_at_any_byte_is_resumed(s3: "S3Client", data: bytes, reading: ModuleType) -> None:
    """Wherever in the last two lines the connection breaks, the object comes out whole, once."""
    put(s3, data)
    for place in range(max(1, len(data) - len(LINES[-1]) - len(LINES[-2])), len(data)):
        result = CuttingS3(s3, Cut(place)).read(reading)
        assert (TEXT, None) == (result.text, result.error)


def test_every_byte_gained_renews_the_patience(s3: "S3Client") -> None:
    """Any number of cuts is borne, as long as each body brings something."""
    put(s3, TEXT)
    cutting = CuttingS3(s3, *[Cut(60)] * 20)

    assert TEXT == cutting.read().text
    assert len(cutting.requests) == 21
    assert all(pause <= 0.2 for pause in cutting.pauses)


@pytest.mark.parametrize("error", CUTS)
def test_a_body_that_stays_cut_makes_the_source_unavailable(
    s3: "S3Client", error: Exception | None
) -> None:
    """After five bodies in a row without a byte gained, the object fails for now."""
    put(s3, TEXT)
    cutting = CuttingS3(s3, Cut(60, error), *[Cut(0, error)] * 99)
    result = cutting.read()

    assert LINES[0] == result.text
    assert isinstance(result.error, SourceUnavailableError)
    assert f"{URI}: cut 5 times in a row at byte 60 of {len(TEXT)}" == str(result.error)
    assert error is None or error is result.error.__cause__
    assert len(cutting.requests) == 5
    assert all(body.closed for body in cutting.bodies)


def test_the_pauses_between_attempts_grow(s3: "S3Client") -> None:
    """Attempts are spread by a random pause, whose bound doubles each time."""
    put(s3, TEXT)
    runs = []
    for _ in range(30):
        cutting = CuttingS3(s3, *[Cut(0)] * 9)
        cutting.read()
        runs.append(cutting.pauses)

    longest = [max(pauses) for pauses in zip(*runs, strict=True)]
    assert [True] * 4 == [
        bound / 2 < pause <= bound
        for pause, bound in zip(longest, (0.2, 0.4, 0.8, 1.6), strict=True)
    ]


@pytest.mark.parametrize(("data", "reading"), KINDS)
def test_a_body_that_stays_cut_gives_no_half_line(
    s3: "S3Client", data: bytes, reading: ModuleType
) -> None:
    """Wherever it stays cut, exactly the whole lines before come out: the rest comes next time."""
    put(s3, data)
    for place in range(max(1, len(data) - len(LINES[-1]) - len(LINES[-2])), len(data)):
        text = data[:place] if data is TEXT else text_of(data[:place])[0]
        result = CuttingS3(s3, Cut(place), *[Cut(0)] * 4).read(reading)

        assert text[: text.rfind(b"\n") + 1] == result.text
        assert isinstance(result.error, SourceUnavailableError)


def test_an_object_replaced_while_it_is_read_fails_for_now(s3: "S3Client") -> None:
    """The rest of another version is never taken for the rest of this one."""

    class Replacing(CuttingS3):
        def answer(self, request: dict[str, str]) -> dict[str, Any]:
            if "Range" in request:
                put(s3, TEXT.upper())
            return super().answer(request)

    put(s3, TEXT)
    result = Replacing(s3, Cut(60)).read()

    assert LINES[0] == result.text
    assert isinstance(result.error, SourceUnavailableError)
    assert str(result.error).startswith(f"{URI}: it changed while it was read: ")


def test_an_object_deleted_while_it_is_read_is_missing(s3: "S3Client") -> None:
    """There is no rest to wait for."""

    class Deleting(CuttingS3):
        def answer(self, request: dict[str, str]) -> dict[str, Any]:
            if "Range" in request:
                s3.delete_object(Bucket=BUCKET, Key=KEY)
            return super().answer(request)

    put(s3, TEXT)
    result = Deleting(s3, Cut(60)).read()

    assert LINES[0] == result.text
    assert isinstance(result.error, ObjectMissingError)


class IgnoringRanges(CuttingS3):
    """A store that answers a ranged GET with the whole object, whatever its version."""

    def answer(self, request: dict[str, str]) -> dict[str, Any]:
        """Ask for the whole object."""
        return super().answer({name: request[name] for name in ("Bucket", "Key")})


def test_a_store_that_ignores_ranges_doubles_nothing(s3: "S3Client") -> None:
    """What came before is dropped from a body that begins anew, over several pieces."""
    text = TEXT * 500
    put(s3, text)
    cutting = IgnoringRanges(s3, Cut(300_000), Cut(290_000), Cut(600_000))
    result = cutting.read()

    assert len(text) > 700_000
    assert (text, None) == (result.text, result.error)
    assert len(cutting.requests) == 4


def test_a_store_that_ignores_versions_mixes_nothing(s3: "S3Client") -> None:
    """An answer with another ETag is refused, even where If-Match was not honoured."""

    class Replacing(IgnoringRanges):
        def answer(self, request: dict[str, str]) -> dict[str, Any]:
            if "Range" in request:
                put(s3, TEXT.upper())
            return super().answer(request)

    put(s3, TEXT)
    result = Replacing(s3, Cut(60)).read()

    assert LINES[0] == result.text
    assert isinstance(result.error, SourceUnavailableError)
    assert f"{URI}: it changed while it was read" == str(result.error)


def test_an_answer_that_begins_too_late_leaves_no_hole(s3: "S3Client") -> None:
    """A range other than the one asked for is refused, not patched together."""

    class Late(CuttingS3):
        def answer(self, request: dict[str, str]) -> dict[str, Any]:
            late = {"Range": "bytes=61-"} if "Range" in request else {}
            return super().answer(request | late)

    put(s3, TEXT)
    result = Late(s3, Cut(60)).read()

    assert LINES[0] == result.text
    assert isinstance(result.error, SourceUnavailableError)


def test_bytes_beyond_the_announced_length_are_an_error(s3: "S3Client") -> None:
    """A body that does not end where it should is not trusted."""

    class Longer(CuttingS3):
        def answer(self, request: dict[str, str]) -> dict[str, Any]:
            answer = super().answer(request)
            answer["ContentLength"] -= 5
            return answer

    put(s3, TEXT)
    result = Longer(s3).read()

    assert b"".join(LINES[:-1]) == result.text
    assert isinstance(result.error, SourceUnavailableError)
    assert f"{URI}: more than the {len(TEXT) - 5} bytes announced" == str(result.error)


def test_a_connection_that_breaks_after_the_last_byte_does_not_matter(s3: "S3Client") -> None:
    """When every announced byte has arrived, the object is whole."""
    put(s3, TEXT)
    result = CuttingS3(s3, Cut(len(TEXT), ConnectionResetError("reset"))).read()

    assert (TEXT, None) == (result.text, result.error)


def test_a_reader_that_stops_early_closes_the_connection(s3: "S3Client") -> None:
    """Leaving the chunks half read leaves no connection open."""
    put(s3, TEXT * 400)
    cutting = CuttingS3(s3)
    chunks = with_isal.read_object(BUCKET, KEY, s3=cast("S3Client", cutting), chunk_bytes=1)
    next(chunks)
    del chunks

    assert [True] == [body.closed for body in cutting.bodies]


# A real connection


class BreakingServer(HTTPServer):
    """Serve one object over HTTP, and hang up after so many bytes of each body."""

    def __init__(self, data: bytes, *, hang_up: int, checksum: bytes = b"") -> None:
        super().__init__(("127.0.0.1", 0), BreakingHandler)
        self.data, self.hang_up, self.checksum = data, hang_up, checksum
        self.ranges: list[str] = []

    def client(self) -> "S3Client":
        """Give a client that has this server for S3."""
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.server_port}",
            region_name="us-east-1",
            aws_access_key_id="none",
            aws_secret_access_key="none",  # noqa: S106 - a stand-in
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
        )


class BreakingHandler(BaseHTTPRequestHandler):
    """Answer a GET with the object or its rest."""

    server: BreakingServer

    def do_GET(self) -> None:
        """Announce all, and send what the server lets through."""
        asked = self.headers.get("Range", "")
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-") or 0)
        data = self.server.data
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", '"1"')
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if self.server.checksum:
            self.send_header("x-amz-checksum-crc32", self.server.checksum.decode())
        self.end_headers()
        self.wfile.write(data[start : start + self.server.hang_up])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[BreakingServer]:
    """Run the server that the test's parameter describes."""
    with BreakingServer(**request.param) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


LARGE = gzip.compress(TEXT * 170, compresslevel=0, mtime=0)
CHECKSUM = base64.b64encode(zlib.crc32(LARGE).to_bytes(4))


@pytest.mark.parametrize(
    "served", [{"data": LARGE, "hang_up": 100_000, "checksum": CHECKSUM}], indirect=True
)
def test_a_real_connection_that_hangs_up_is_resumed(served: BreakingServer) -> None:
    """
    What arrived before the server hung up is kept, and each byte counts once.

    This store names the whole object's checksum with a part too, where it can not fit.
    """
    result = read(with_isal.read_object(BUCKET, KEY, s3=served.client(), sleep=lambda _: None))

    assert (TEXT * 170, None) == (result.text, result.error)
    assert ["", "bytes=100000-", "bytes=200000-"] == served.ranges


@pytest.mark.parametrize(
    "served", [{"data": TEXT, "hang_up": 9999, "checksum": b"AAAAAA=="}], indirect=True
)
def test_an_object_that_fails_its_checksum_is_not_trusted(served: BreakingServer) -> None:
    """S3 names its checksum of a plain text too; if it differs, the last line does not count."""
    text = TEXT.removesuffix(b"\n")
    served.data = text
    result = read(with_isal.read_object(BUCKET, KEY, s3=served.client()))

    assert b"".join(LINES[:-1]) == result.text
    assert isinstance(result.error, SourceUnavailableError)
    assert str(result.error).startswith(f"{URI}: damaged on its way: ")


# What a refusal means


def test_a_missing_object_is_missing(s3: "S3Client") -> None:
    """No such key is neither the operator's fault nor worth a retry."""
    result = read(with_isal.read_object(BUCKET, KEY, s3=s3))

    assert isinstance(result.error, ObjectMissingError)
    assert str(result.error).startswith(f"{URI}: there is no such object: ")
    assert isinstance(result.error.__cause__, boto.ClientError)


def test_a_missing_bucket_is_a_setting_to_mend(s3: "S3Client") -> None:
    """The bucket's name comes from the operator."""
    result = read(with_isal.read_object("alb-no-bucket", KEY, s3=s3))

    assert isinstance(result.error, ConfigError)
    assert str(result.error).startswith(f"s3://alb-no-bucket/{KEY}: there is no such bucket: ")


@pytest.mark.parametrize(
    ("code", "status", "error", "words"),
    [
        ("AccessDenied", 403, ConfigError, ("s3:GetObject", "s3:ListBucket", "kms:Decrypt")),
        ("403", 403, ConfigError, ("s3:GetObject", "s3:ListBucket", "kms:Decrypt")),
        ("InvalidAccessKeyId", 403, ConfigError, ("credentials",)),
        ("ExpiredToken", 400, ConfigError, ("credentials",)),
        ("NoSuchKey", 404, ObjectMissingError, ("no such object",)),
        ("NoSuchVersion", 404, ObjectMissingError, ("no such object",)),
        ("404", 404, ObjectMissingError, ("no such object",)),
        ("NoSuchBucket", 404, ConfigError, ("no such bucket",)),
        ("InvalidObjectState", 403, SourceUnavailableError, ("archived", "restore")),
        ("SlowDown", 503, SourceUnavailableError, ("can not serve it now",)),
        ("ServiceUnavailable", 503, SourceUnavailableError, ("can not serve it now",)),
        ("InternalError", 500, SourceUnavailableError, ("can not serve it now",)),
        ("RequestTimeout", 400, SourceUnavailableError, ("can not serve it now",)),
        ("ThrottlingException", 400, SourceUnavailableError, ("can not serve it now",)),
        ("TooManyRequests", 429, SourceUnavailableError, ("can not serve it now",)),
        ("BadGateway", 502, SourceUnavailableError, ("can not serve it now",)),
        ("InvalidRequest", 400, ConfigError, ("refuses the request",)),
        ("PermanentRedirect", 301, ConfigError, ("refuses the request",)),
    ],
)
def test_a_refusal_says_whose_fault_it_is(
    code: str, status: int, error: type[PipelineError], words: tuple[str, ...]
) -> None:
    """Each answer of S3 becomes the error that tells whether a retry helps, and what does."""
    client = boto3.client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",  # noqa: S106 - a stand-in
    )
    with Stubber(client) as stubber:
        stubber.add_client_error("get_object", code, "S3's own words", http_status_code=status)
        result = read(with_isal.read_object(BUCKET, KEY, s3=client))

    assert error is type(result.error)
    assert str(result.error).startswith(f"{URI}: ")
    assert all(word in str(result.error) for word in (*words, "S3's own words"))
    assert isinstance(result.error, Exception)
    assert isinstance(result.error.__cause__, boto.ClientError)


@pytest.mark.parametrize(
    ("code", "error"), [("SlowDown", SourceUnavailableError), ("AccessDenied", ConfigError)]
)
def test_a_refused_resume_is_told_apart(
    s3: "S3Client", code: str, error: type[PipelineError]
) -> None:
    """The request for the rest is read like the first one, after the whole lines so far."""

    class Refusing(CuttingS3):
        def answer(self, request: dict[str, str]) -> dict[str, Any]:
            if "Range" in request:
                raise boto.ClientError({"Error": {"Code": code, "Message": ""}}, "GetObject")
            return super().answer(request)

    put(s3, TEXT)
    result = Refusing(s3, Cut(60)).read()

    assert LINES[0] == result.text
    assert error is type(result.error)


def test_a_store_that_can_not_be_reached_is_unavailable() -> None:
    """A connection that is refused may be taken later."""
    with BreakingServer(b"", hang_up=0) as server:
        client = server.client()
    result = read(with_isal.read_object(BUCKET, KEY, s3=client))

    assert isinstance(result.error, SourceUnavailableError)
    assert str(result.error).startswith(f"{URI}: S3 can not be reached: ")
    assert isinstance(result.error.__cause__, boto.EndpointConnectionError)


def test_a_request_that_can_not_be_made_is_a_setting_to_mend(s3: "S3Client") -> None:
    """What botocore itself refuses, no retry mends."""
    result = read(with_isal.read_object("no bucket's name", KEY, s3=s3))

    assert isinstance(result.error, ConfigError)
    assert isinstance(result.error.__cause__, boto.ParamValidationError)


def test_an_unreadable_local_file_is_the_users_to_mend() -> None:
    """An OSError of a local file is let out as it is."""

    class Unreadable(io.BytesIO):
        def read(self, _: int | None = -1) -> bytes:
            raise IsADirectoryError

    with pytest.raises(IsADirectoryError):
        list(with_isal.read_stream(Unreadable(), name="a folder"))


def test_isal_is_used_where_it_is_installed() -> None:
    """Both decompressors are really under test."""
    fast, plain = (param.values[0] for param in CODECS)

    assert "isal" in type(cast("Any", fast)._new_decoder(-15)).__module__
    assert isinstance(cast("Any", plain)._new_decoder(-15), type(zlib.decompressobj()))
