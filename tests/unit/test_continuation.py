"""An object is carried on where it was left: at any chunk, in any gzip, by a message."""

import gzip
import json
from dataclasses import fields, replace
from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from pipeline.errors import NotificationError, SourceUnavailableError
from pipeline.outcome import Tally
from pipeline.source.continuation import MOST_HOPS, Continuation, ResumePoint
from pipeline.source.notifications import objects_in_event, objects_in_message
from pipeline.source.objects import ObjectRef
from pipeline.source.reading import Chunk, LongLine, ObjectReader
from tests.support.factories import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

BUCKET = "alb-log-bucket"
LINES = [b"line %d %s\n" % (number, b"x" * (number * 7 % 90)) for number in range(400)]
TEXT = b"".join(LINES)
START = ResumePoint(offset=10, etag="e", member=3, member_offset=5, version_id="v2")
CONTINUATION = Continuation(
    BUCKET,
    KEY,
    hop=2,
    start=START,
    tally={"lines": 7, "indexed": 4, "rejected": 3, "bytes": 10},
    created=datetime(2026, 11, 20, 10, 5, tzinfo=UTC),
    etag="e",
    version_id="v2",
)
NOT_BEGUN = Continuation(BUCKET, KEY, hop=0)


def members(*sizes: int, pad: bytes = b"") -> bytes:
    """Compress the text in members of these sizes, the rest in a last one."""
    stored, at = b"", 0
    for size in (*sizes, len(TEXT)):
        stored += gzip.compress(TEXT[at : at + size], mtime=0) + pad
        at += size
    return stored


BODIES = [
    pytest.param(TEXT, id="plain"),
    pytest.param(gzip.compress(TEXT), id="one-member"),
    pytest.param(members(*[997] * 12), id="members"),
    pytest.param(members(5_000, 0, 1, 3_000, pad=b"\0\0"), id="padded-and-empty-members"),
]


@pytest.fixture(scope="module")
def s3() -> "Iterator[S3Client]":
    """Yield an S3 with an empty bucket."""
    with mock_aws():
        client = boto3.client("s3", "us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.mark.parametrize("body", BODIES)
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_reading_goes_on_after_any_chunk(s3: "S3Client", body: bytes, data: st.DataObject) -> None:
    """Left after any chunk and taken up again and again, the text comes once, in order."""
    s3.put_object(Bucket=BUCKET, Key="k", Body=body)
    size = data.draw(st.integers(2_000, 9_000))
    start: ResumePoint | None = None
    text = b""
    for _ in range(1_000):
        reader = ObjectReader(BUCKET, "k", s3=s3, chunk_bytes=size, start=start)
        for _number, chunk in zip(range(data.draw(st.integers(1, 9))), reader, strict=False):
            assert isinstance(chunk, Chunk)
            assert chunk.offset == len(text)
            text += chunk.data
        if start == (start := reader.resume_point(len(text))):
            break

    assert text == TEXT


def test_a_changed_object_is_not_carried_on(s3: "S3Client") -> None:
    """The rest of another version is not the rest: its own notification brings that one."""
    s3.put_object(Bucket=BUCKET, Key="changed", Body=TEXT)
    reader = ObjectReader(BUCKET, "changed", s3=s3, chunk_bytes=500)
    next(iter(reader))
    start = reader.resume_point(500)
    s3.put_object(Bucket=BUCKET, Key="changed", Body=TEXT + b"more\n")

    with pytest.raises(SourceUnavailableError, match="it changed while it was read"):
        list(ObjectReader(BUCKET, "changed", s3=s3, start=start))


def test_a_reader_keeps_only_the_members_it_needs(s3: "S3Client") -> None:
    """Reading goes on in the last member that begins before the offset, not in an earlier one."""
    lengths = list(accumulate(map(len, LINES), initial=0))
    bodies = [gzip.compress(line, mtime=0) for line in LINES]
    begins = list(accumulate(map(len, bodies), initial=0))
    s3.put_object(Bucket=BUCKET, Key="members", Body=b"".join(bodies))
    reader = ObjectReader(BUCKET, "members", s3=s3, chunk_bytes=500)

    for chunk in reader:
        point = reader.resume_point(chunk.end)

        before = max(at for at, length in enumerate(lengths) if length <= chunk.end)
        member = min(before, len(LINES) - 1)
        assert point.offset == chunk.end
        assert (point.member, point.member_offset) == (begins[member], lengths[member])


PLAIN = replace(CONTINUATION, start=ResumePoint(offset=10, etag="0f-12", member=None))


@pytest.mark.parametrize(
    "continuation",
    [
        pytest.param(CONTINUATION, id="gzip"),
        pytest.param(PLAIN, id="plain"),
        pytest.param(NOT_BEGUN, id="not-begun"),
        pytest.param(replace(NOT_BEGUN, tally=Tally().as_dict()), id="nothing-counted"),
        pytest.param(replace(CONTINUATION, hop=MOST_HOPS), id="last-hop"),
        pytest.param(replace(CONTINUATION, version_id="null"), id="version-null"),
    ],
)
def test_a_message_brings_the_continuation_back(continuation: Continuation) -> None:
    """What is sent to the queue is found in it, with what the key says."""
    (found,) = objects_in_message(continuation.message())

    assert isinstance(found, ObjectRef)
    assert (found.bucket, found.key, found.continuation) == (BUCKET, KEY, continuation)
    assert (found.etag, found.version_id) == (continuation.etag, continuation.version_id)
    assert found.created == continuation.created
    assert found.name
    assert found.name.load_balancer == "app/frontend-alb/50dc6c495c0c9188"


@pytest.mark.parametrize(
    "key",
    [
        "x.log",
        "finance/salaries.csv",
        "AWSLogs/123456789012/CloudTrail/eu-central-1/2026/11/20/trail.json.gz",
        KEY.replace("_app.", "_net."),
        KEY.replace("AWSLogs/123456789012", "AWSLogs/999999999999"),
    ],
)
def test_only_alb_logs_are_continued(key: str) -> None:
    """Who may write to the queue cannot have any other object read: a notification could not."""
    with pytest.raises(NotificationError, match=r"no ALB log|another account"):
        list(objects_in_message(replace(CONTINUATION, key=key).message()))


def changed(**values: object) -> dict[str, Any]:
    """Return the message with other values; one of `start` is named start_…."""
    message: dict[str, Any] = json.loads(CONTINUATION.message())
    body = message["albLogsContinuation"]
    for name, value in values.items():
        of_start, _, inner = name.partition("start_")
        (body["start"] if inner and not of_start else body)[inner or name] = value
    return message


NO_COUNTS: list[object] = [-1, 2**53 + 1, 1.0, True, None, "7", [], {}]
NO_STARTS: list[object] = [7, [], {}, {"offset": 1}, "x", True]
NO_TALLIES: list[object] = [None, [], 7, {"lines": 1}, {"lines": 10**15}, {"indexed": 1}]
NO_TEXTS: list[object] = ["", 7, True, [], {}, "x" * 1_025, "\ud800"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("version", value) for value in [1, 2, 4, "3", 3.0, None, True]),
        *(("bucket", value) for value in [*NO_TEXTS, None]),
        *(("key", value) for value in [*NO_TEXTS, None]),
        *(("hop", value) for value in [*NO_COUNTS, MOST_HOPS + 1]),
        *(("start", value) for value in NO_STARTS),
        *(("start_offset", value) for value in NO_COUNTS),
        *(("start_member_offset", value) for value in [*NO_COUNTS, 11]),
        *(("start_member", value) for value in [-1, 1.0, True, "7", 0, None]),
        *(("start_etag", value) for value in [*NO_TEXTS, None, 'a"', "a b", "a\r\nX: y", "é"]),
        *(("start_version_id", value) for value in NO_TEXTS),
        *(("start_else", value) for value in [1, None]),
        *(("tally", value) for value in NO_TALLIES),
        *(("tally", {"lines": value, "indexed": value}) for value in NO_COUNTS),
        ("tally", {"lines": 0, "salaries": 0}),
        *(("tally", {"lines": 0, name: -1}) for name in Tally().as_dict() if name != "lines"),
        *(("created", value) for value in [7, True, "", "yesterday", "2026-11-20T10:05:00", []]),
        ("created", "0001-01-01T00:00:00+14:00"),
        *(("etag", value) for value in NO_TEXTS),
        *(("version_id", value) for value in NO_TEXTS),
        ("else", 1),
    ],
)
def test_a_continuation_not_understood_fails(name: str, value: object) -> None:
    """A message of ours that is not as we write it is an error, never a guess."""
    with pytest.raises(NotificationError, match="continuation"):
        list(objects_in_event(changed(**{name: value})))


@pytest.mark.parametrize("name", ["version", *(each.name for each in fields(Continuation))])
def test_a_continuation_lacks_nothing(name: str) -> None:
    """A field that is missing is no default."""
    message = json.loads(CONTINUATION.message())
    del message["albLogsContinuation"][name]

    with pytest.raises(NotificationError, match="its fields must be"):
        list(objects_in_message(json.dumps(message)))


@pytest.mark.parametrize("body", [None, 7, "x", [], {}])
def test_an_envelope_without_a_continuation_fails(body: object) -> None:
    """Our envelope is never noise."""
    with pytest.raises(NotificationError, match="continuation not understood"):
        list(objects_in_message(json.dumps({"albLogsContinuation": body})))


def test_nothing_stands_beside_a_continuation() -> None:
    """A message that says more than ours is not ours."""
    message = json.loads(CONTINUATION.message()) | {"Records": []}

    with pytest.raises(NotificationError, match="its fields must be albLogsContinuation"):
        list(objects_in_message(json.dumps(message)))


def test_lines_are_counted_only_before_the_start() -> None:
    """A continuation of all of an object has counted nothing."""
    with pytest.raises(NotificationError, match="before the object's begin"):
        list(objects_in_event(changed(start=None)))


@given(st.fixed_dictionaries(dict.fromkeys(Tally().as_dict(), st.integers(0, 2**40))))
def test_every_tally_goes_with_its_object(counts: dict[str, int]) -> None:
    """What an object's lines can come to is carried, term by term."""
    lines = sum(counts.values()) - counts["lines"] - counts["repeated"] - counts["bytes"]
    tally = Tally(**counts | {"lines": lines})
    tally.check()

    (found,) = objects_in_message(replace(CONTINUATION, tally=tally.as_dict()).message())

    assert isinstance(found, ObjectRef)
    assert found.continuation
    assert tally == Tally(**found.continuation.tally)


def test_a_version_is_read_on(s3: "S3Client") -> None:
    """Where the bucket keeps versions an object is read on as it was, though it was overwritten."""
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    version_id = s3.put_object(Bucket=BUCKET, Key="versions", Body=TEXT)["VersionId"]
    reader = ObjectReader(BUCKET, "versions", s3=s3, chunk_bytes=500)
    first = next(iter(reader))
    start = reader.resume_point(first.end)
    s3.put_object(Bucket=BUCKET, Key="versions", Body=b"another\n")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})

    rest = list(ObjectReader(BUCKET, "versions", s3=s3, start=start))

    assert version_id == start.version_id
    assert TEXT[first.end :] == b"".join(chunk.data for chunk in rest if isinstance(chunk, Chunk))


def test_a_long_line_does_not_mislead(s3: "S3Client") -> None:
    """The offset after a long line counts its line end."""
    s3.put_object(Bucket=BUCKET, Key="long", Body=b"a\n" + b"x" * 300_000 + b"\r\nb\n")

    first, long, last = ObjectReader(BUCKET, "long", s3=s3)

    assert isinstance(first, Chunk)
    assert isinstance(long, LongLine)
    assert last == Chunk(offset=300_004, data=b"b\n", lines=1)
