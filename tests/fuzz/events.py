"""Fuzz notifications: whatever a message holds, objects are named, skipped or the one error."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

from pipeline.alb.keys import Skipped
from pipeline.errors import NotificationError
from pipeline.source.continuation import Continuation, ResumePoint
from pipeline.source.notifications import objects_in_event, objects_in_message
from pipeline.source.objects import ObjectRef
from tests.fuzz.mutations import damaged_bytes, damaged_message
from tests.support.factories import KEY, s3_event, sqs_event


def _messages() -> list[dict[str, Any]]:
    """Return whole messages of every source, to be damaged."""
    notification: dict[str, Any] = s3_event(
        "some-logs", KEY, KEY.replace("frontend", "with space=+%é")
    )
    bridge = {
        "version": "0",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "time": "2026-11-20T10:05:12Z",
        "detail": {
            "version": "0",
            "bucket": {"name": "some-logs"},
            "object": {"key": KEY, "size": 5, "etag": "0" * 32, "version-id": "v"},
            "reason": "PutObject",
        },
    }
    call = {
        "version": "0",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.s3",
        "detail": {
            "eventVersion": "1.08",
            "eventTime": "2026-11-20T10:05:12Z",
            "eventName": "PutObject",
            "requestParameters": {"bucketName": "some-logs", "key": KEY},
            "responseElements": {"x-amz-version-id": "v"},
        },
    }
    start = ResumePoint(10, "0" * 32, member=3, member_offset=5, version_id="v")
    tally = {"lines": 3, "indexed": 2, "rejected": 1, "bytes": 10}
    rest = Continuation("some-logs", KEY, 2, start, tally, datetime(2026, 11, 20, tzinfo=UTC))
    test = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "some-logs"}
    wrapped = {"Type": "Notification", "MessageId": "m", "Message": json.dumps(notification)}
    record = {"EventSource": "aws:sns", "Sns": wrapped}
    failed = {"version": "1.0", "requestContext": {}, "requestPayload": {"Records": [record]}}
    plain = [notification, bridge, call, test, wrapped, {"Records": [record]}, failed]
    plain.append(json.loads(rest.message()))
    return [*plain, sqs_event(*plain), *(sqs_event(each) for each in plain)]


_MESSAGES = _messages()
_PER_CASE = 200


def case_of_events(rng: Random) -> bytes:
    """Return messages whose values, names and envelopes are damaged, each on a line."""
    return b"\n".join(
        json.dumps(damaged_message(rng.choice(_MESSAGES), rng)).encode() for _ in range(_PER_CASE)
    )


def case_of_bodies(rng: Random) -> bytes:
    """Return bodies of SQS messages, JSON whose bytes are damaged, each on a line."""
    messages = (json.dumps(rng.choice(_MESSAGES)).encode() for _ in range(_PER_CASE))
    return b"\n".join(damaged_bytes(body, rng).replace(b"\n", b" ") for body in messages)


def check_events(case: bytes) -> int:
    """Look for objects in any message: each is named or skipped, or the one error is raised."""
    inputs = case.split(b"\n")
    for each in inputs:
        text = each.decode("utf-8", "surrogateescape")
        _check_found(objects_in_message(text))
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            continue
        first = _check_found(objects_in_event(event))
        assert first == _check_found(objects_in_event(event))
    return len(inputs)


def _check_found(objects: Iterator[ObjectRef | Skipped]) -> list[ObjectRef | Skipped]:
    found = []
    try:
        for each in objects:
            found.append(each)
            assert isinstance(each, ObjectRef | Skipped)
            if isinstance(each, ObjectRef):
                assert each.bucket.encode()
                assert each.key.encode()
                assert each.name
                assert each.created is None or each.created.tzinfo is UTC
    except NotificationError:
        pass
    return found
