"""Objects are handed to a queue, each as one message, however many there are."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import boto3
import pytest
from moto import mock_aws

from pipeline.alb.keys import ObjectName, classify_key
from pipeline.errors import ConfigError, PipelineError, RetriableError
from pipeline.jobs.fanout import message_of, send_objects
from pipeline.source.notifications import objects_in_message
from pipeline.source.objects import ObjectRef
from pipeline.wiring import Queue
from tests.support.deadlines import at_once
from tests.support.factories import KEY
from tests.support.queues import URL, Entry, ScriptedSqs, confirming, failing, refusing

CREATED = datetime(2026, 11, 20, 10, 5, 12, tzinfo=UTC)


def ref(number: int = 0) -> ObjectRef:
    """Return an object as a listing finds it."""
    key = KEY.replace("3q2xk9fz", f"n{number}")
    name = classify_key(key)
    assert isinstance(name, ObjectName)
    return ObjectRef("bucket", key, name, size=7, etag="0f", created=CREATED)


def test_an_object_is_announced_as_by_s3() -> None:
    """The message is what S3 itself would send, with a form-URL-encoded key."""
    odd = replace(ref(), key=f"a b+ü%/{KEY}", version_id="v1")

    assert {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "eu-central-1",
                "eventTime": "2026-11-20T10:05:12Z",
                "eventName": "ObjectCreated:Put",
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "bucket": {"name": "bucket", "arn": "arn:aws:s3:::bucket"},
                    "object": {
                        "key": f"a+b%2B%C3%BC%25/{KEY}",
                        "size": 7,
                        "eTag": "0f",
                        "versionId": "v1",
                    },
                },
            }
        ]
    } == json.loads(message_of(odd))


def test_a_queue_holds_every_object_once() -> None:
    """What is read from the queue are the objects that were sent; each batch is told of."""
    refs, told = [ref(number) for number in range(123)], list[int]()
    with mock_aws():
        sqs = boto3.client("sqs", region_name="eu-central-1")
        url = sqs.create_queue(QueueName="q")["QueueUrl"]

        assert 123 == send_objects(iter(refs), Queue(url, sqs), watch=told.append)

        found = list[object]()
        while taken := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for each in taken:
                found += objects_in_message(each["Body"])
    assert sorted(refs, key=str) == sorted(found, key=str)
    assert [10] * 12 + [3] == told


def test_nothing_is_nothing() -> None:
    """Without an object no request is made."""
    sqs = ScriptedSqs()

    assert 0 == send_objects([], sqs.queue)
    assert [] == sqs.requests


def test_a_failing_part_of_a_batch_is_sent_again() -> None:
    """A partial failure costs a pause and no object."""
    sqs = ScriptedSqs([failing("27"), failing("7")])

    assert 20 == send_objects(map(ref, range(20)), sqs.queue, deadline=at_once())
    assert sorted(message_of(ref(number)) for number in range(20)) == sorted(sqs.bodies)


@pytest.mark.parametrize(
    ("code", "status", "kind", "fix"),
    [
        ("AccessDenied", 403, ConfigError, "grant sqs:SendMessage"),
        ("ServiceUnavailable", 503, RetriableError, "cannot be queued now"),
    ],
)
def test_a_queue_that_refuses_ends_it(
    code: str, status: int, kind: type[PipelineError], fix: str
) -> None:
    """The error says how many objects are queued and what to do; few more are tried."""
    sqs = ScriptedSqs([confirming] * 3 + [refusing(code, status)] * 10_000)
    told = list[int]()

    with pytest.raises(kind, match=fix) as caught:
        send_objects(
            map(ref, range(10_000)), sqs.queue, watch=told.append, deadline=at_once(end=0.0)
        )

    assert 30 == sum(told) == len(sqs.bodies)
    assert "30 objects are queued: run it again" in str(caught.value)
    assert len(sqs.requests) < 20


def test_objects_are_taken_as_they_are_sent() -> None:
    """Memory stays flat: hardly more objects are listed than are under way."""
    sqs, taken, ahead = ScriptedSqs(), 0, list[int]()

    def listed() -> Iterator[ObjectRef]:
        nonlocal taken
        for number in range(3_000):
            taken += 1
            yield ref(number)

    def watch(_queued: int) -> None:
        ahead.append(taken - 10 * len(ahead))

    send_objects(listed(), sqs.queue, watch=watch)

    assert max(ahead) <= 10 * 8 + 1


def test_a_listing_that_fails_waits_for_no_retry() -> None:
    """Its error is passed on at once, though a batch is waiting for its next attempt."""

    def listed() -> Iterator[ObjectRef]:
        yield from map(ref, range(10))
        yield ref(10)
        raise ConfigError("no such bucket")

    def busy(entries: list[Entry]) -> dict[str, object]:
        return failing(each["Id"] for each in entries)(entries)

    with pytest.raises(ConfigError, match="no such bucket"):
        send_objects(listed(), ScriptedSqs([busy] * 1_000).queue)


def test_a_fifo_queue_is_refused() -> None:
    """S3 cannot notify one, so it is not the function's; nothing is sent."""
    sqs = ScriptedSqs()

    with pytest.raises(ConfigError, match=r"alb-logs\.fifo is a FIFO queue.* standard queue"):
        send_objects([ref()], Queue(f"{URL}.fifo", sqs.client))

    assert [] == sqs.requests
