"""An object is carried on where it was left: at any chunk, in any gzip, by a message."""

import gzip
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from pipeline.alb.keys import Skipped
from pipeline.errors import NotificationError, SourceUnavailableError
from pipeline.source.continuation import Continuation, Place, Trail, read_continuation
from pipeline.source.notifications import objects_in_message
from pipeline.source.objects import ObjectRef
from pipeline.source.reading import Chunk, LongLine, read_object
from tests.factories import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

BUCKET = "alb-log-bucket"
LINES = [b"line %d %s\n" % (number, b"x" * (number * 7 % 90)) for number in range(400)]
TEXT = b"".join(LINES)
PLACE = Place(offset=10, etag="e", member=3, member_offset=5)
CONTINUATION = Continuation(BUCKET, KEY, hop=2, place=PLACE, tally={"lines": 7})


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
    """Give an S3 with an empty bucket."""
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
    place: Place | None = None
    text = b""
    for _ in range(1_000):
        trail = Trail()
        chunks = read_object(BUCKET, "k", s3=s3, chunk_bytes=size, place=place, trail=trail)
        for _number, chunk in zip(range(data.draw(st.integers(1, 9))), chunks, strict=False):
            assert isinstance(chunk, Chunk)
            assert chunk.offset == len(text)
            text += chunk.data
            trail.forget(chunk.offset)
        if place == (place := trail.place(len(text))):
            break

    assert text == TEXT


def test_a_changed_object_is_not_carried_on(s3: "S3Client") -> None:
    """The rest of another version is not the rest: its own notification brings that one."""
    s3.put_object(Bucket=BUCKET, Key="changed", Body=TEXT)
    trail = Trail()
    next(read_object(BUCKET, "changed", s3=s3, chunk_bytes=500, trail=trail))
    place = trail.place(500)
    s3.put_object(Bucket=BUCKET, Key="changed", Body=TEXT + b"more\n")

    with pytest.raises(SourceUnavailableError, match="it changed while it was read"):
        list(read_object(BUCKET, "changed", s3=s3, place=place))


def test_a_trail_keeps_only_the_members_it_needs() -> None:
    """Of the members passed, the one that holds the place is kept and no earlier one."""
    trail = Trail(etag="e")
    for number in range(100):
        trail.members.append((number * 10, number * 4))

    place = trail.place(555)

    assert place == Place(offset=555, etag="e", member=55 * 4, member_offset=550)
    assert len(trail.members) == 45


@pytest.mark.parametrize("continuation", [CONTINUATION, replace(CONTINUATION, place=None)])
def test_a_message_brings_the_continuation_back(continuation: Continuation) -> None:
    """What is sent to the queue is found in it, with what the key says."""
    (found,) = objects_in_message(continuation.message())

    assert isinstance(found, ObjectRef)
    assert (found.bucket, found.key, found.continuation) == (BUCKET, KEY, continuation)
    assert found.name
    assert found.name.load_balancer == "app/frontend-alb/50dc6c495c0c9188"


def test_a_continuation_of_a_key_that_was_asked_for_has_no_name() -> None:
    """A key that is not recognised stays without a name."""
    (found,) = objects_in_message(replace(CONTINUATION, key="x.log").message())

    assert isinstance(found, ObjectRef)
    assert found.name is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"version": 2}, id="version"),
        pytest.param({"place": {"offset": 1}}, id="place"),
        pytest.param({"place": 7}, id="no place"),
        pytest.param({"tally": {"lines": "many"}}, id="count"),
        pytest.param({"tally": []}, id="tally"),
        pytest.param({"hop": None}, id="hop"),
    ],
)
def test_a_continuation_not_understood_fails(change: dict[str, Any]) -> None:
    """A message of ours that is not as we write it is an error, never a guess."""
    message = json.loads(CONTINUATION.message())
    message["albLogsContinuation"] |= change

    with pytest.raises(NotificationError, match="continuation"):
        list(objects_in_message(json.dumps(message)))


def test_other_messages_are_no_continuations() -> None:
    """A message without our envelope is left to others."""
    assert read_continuation({"Records": []}) is None
    (found,) = objects_in_message("{}")
    assert isinstance(found, Skipped)


def test_a_long_line_does_not_mislead(s3: "S3Client") -> None:
    """The offset after a long line counts its line end."""
    s3.put_object(Bucket=BUCKET, Key="long", Body=b"a\n" + b"x" * 300_000 + b"\r\nb\n")

    first, long, last = read_object(BUCKET, "long", s3=s3)

    assert isinstance(first, Chunk)
    assert isinstance(long, LongLine)
    assert last == Chunk(offset=300_004, data=b"b\n", lines=1)
