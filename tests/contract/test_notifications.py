"""
Every way in which AWS says that an object is there, as AWS writes it.

The literal messages below are pinned: they follow AWS's documentation of the S3 event message
(2.1 to 2.6), the EventBridge event, the SNS envelope, the SQS and SNS events of Lambda and the
record for a Lambda destination.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import boto3
import pytest
from moto import mock_aws

from pipeline.alb.fields import Kind
from pipeline.alb.keys import ObjectName, Skipped, SkipReason
from pipeline.errors import NotificationError
from pipeline.source.notifications import MAX_DEPTH, objects_in_event, objects_in_message
from pipeline.source.objects import ObjectRef

Json = dict[str, Any]

REGION: Final = "eu-central-1"

BASENAME = (
    "123456789012_elasticloadbalancing_eu-central-1"
    "_app.shop.50dc6c495c0c9188_20260910T2340Z_10.0.0.7_4xk2vq1m.log.gz"
)
KEY = f"prod/AWSLogs/123456789012/elasticloadbalancing/eu-central-1/2026/09/10/{BASENAME}"
NAME = ObjectName(
    kind=Kind.ACCESS,
    account="123456789012",
    region="eu-central-1",
    load_balancer="app/shop/50dc6c495c0c9188",
    end_time=datetime(2026, 9, 10, 23, 40, tzinfo=UTC),
    node_ip="10.0.0.7",
)

S3_NOTIFICATION: Json = {
    "Records": [
        {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "eu-central-1",
            "eventTime": "2026-09-10T23:45:12.345Z",
            "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": "AWS:AIDAJDPLRKLG7UEXAMPLE"},
            "requestParameters": {"sourceIPAddress": "203.0.113.9"},
            "responseElements": {
                "x-amz-request-id": "C3D13FE58DE4C810",
                "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7S",
            },
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "alb-logs",
                "bucket": {
                    "name": "acme-logs",
                    "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                    "arn": "arn:aws:s3:::acme-logs",
                },
                "object": {
                    "key": KEY,
                    "size": 51234,
                    "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                    "versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko",
                    "sequencer": "0055AED6DCD90281E5",
                },
            },
        }
    ]
}
S3_REF = ObjectRef(
    bucket="acme-logs",
    key=KEY,
    name=NAME,
    size=51234,
    etag="d41d8cd98f00b204e9800998ecf8427e",
    version_id="096fKKXTRTtl3on89fVO.nfljtsv6qko",
    created=datetime(2026, 9, 10, 23, 45, 12, 345000, tzinfo=UTC),
)

BRIDGE_EVENT: Json = {
    "version": "0",
    "id": "17793124-05d4-b198-2fde-7ededc63b103",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "account": "123456789012",
    "time": "2026-09-10T23:45:12Z",
    "region": "eu-central-1",
    "resources": ["arn:aws:s3:::acme-logs"],
    "detail": {
        "version": "0",
        "bucket": {"name": "acme-logs"},
        "object": {
            "key": KEY,
            "size": 51234,
            "etag": "b1946ac92492d2347c6235b4d2611184",
            "version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
            "sequencer": "617f08299329d189",
        },
        "request-id": "N4N7GDK58NMKJ12R",
        "requester": "123456789012",
        "source-ip-address": "203.0.113.9",
        "reason": "CompleteMultipartUpload",
    },
}
BRIDGE_REF = ObjectRef(
    bucket="acme-logs",
    key=KEY,
    name=NAME,
    size=51234,
    etag="b1946ac92492d2347c6235b4d2611184",
    version_id="IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
    created=datetime(2026, 9, 10, 23, 45, 12, tzinfo=UTC),
)

TEST_EVENT: Json = {
    "Service": "Amazon S3",
    "Event": "s3:TestEvent",
    "Time": "2026-09-10T10:00:00.000Z",
    "Bucket": "acme-logs",
    "RequestId": "5582815E1AEA5ADF",
    "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE",
}


def as_is(event: Json) -> Json:
    """Deliver without an envelope: directly to Lambda, or to SQS from SNS in raw delivery."""
    return event


def in_sqs_event(event: Json) -> Json:
    """Deliver as the event source mapping of SQS does."""
    return {
        "Records": [
            {
                "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
                "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
                "body": json.dumps(event),
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1789084000000",
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": "1789084000001",
                },
                "messageAttributes": {},
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:alb-logs",
                "awsRegion": "eu-central-1",
            }
        ]
    }


def in_sns_envelope(event: Json) -> Json:
    """Deliver as SNS does to SQS."""
    return {
        "Type": "Notification",
        "MessageId": "63a3f6b6-d533-4a47-aef9-fcf5cf758c76",
        "TopicArn": "arn:aws:sns:eu-central-1:123456789012:alb-logs",
        "Subject": "Amazon S3 Notification",
        "Message": json.dumps(event),
        "Timestamp": "2026-09-10T23:45:13.000Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLEnTrFPa37tnVO0FF9Iau3MGzjlJLRfySEoWz4uZHSj6ycK4ph71Zmdv0NtJ4dC",
        "SigningCertURL": "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService.pem",
        "UnsubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe",
    }


def in_sns_event(event: Json) -> Json:
    """Deliver as SNS does to Lambda."""
    return {
        "Records": [
            {
                "EventVersion": "1.0",
                "EventSubscriptionArn": "arn:aws:sns:eu-central-1:123456789012:alb-logs:21be56ed",
                "EventSource": "aws:sns",
                "Sns": {
                    "SignatureVersion": "1",
                    "Timestamp": "2026-09-10T23:45:13.000Z",
                    "Signature": "tcc6faL2yUC6dgZdmrwh1Y4cGa/ebXEkAi6RibDsvpi+tE/1+82j...65r==",
                    "SigningCertUrl": "https://sns.eu-central-1.amazonaws.com/Simple.pem",
                    "MessageId": "95df01b4-ee98-5cb9-9903-4c221d41eb5e",
                    "Message": json.dumps(event),
                    "MessageAttributes": {},
                    "Type": "Notification",
                    "UnsubscribeUrl": "https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe",
                    "TopicArn": "arn:aws:sns:eu-central-1:123456789012:alb-logs",
                    "Subject": "Amazon S3 Notification",
                },
            }
        ]
    }


def in_invocation_record(event: Json) -> Json:
    """Deliver as Lambda does to the on-failure destination of an asynchronous invocation."""
    return {
        "version": "1.0",
        "timestamp": "2026-09-10T23:50:08.651Z",
        "requestContext": {
            "requestId": "e4b46cbf-b738-xmpl-8880-a18cdf61200e",
            "functionArn": "arn:aws:lambda:eu-central-1:123456789012:function:alb-logs:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": event,
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled",
        },
        "responsePayload": {
            "errorMessage": "RequestId: e4b46cbf Process exited before completing request",
            "Records": [],
        },
    }


def in_bridged_invocation_record(event: Json) -> Json:
    """Deliver as Lambda does to an on-failure destination that is an event bus."""
    return {
        "version": "0",
        "id": "ad15f6b5-c8cf-4b5b-a0b8-2f4b2d5a4d11",
        "detail-type": "Lambda Function Invocation Result - Failure",
        "source": "lambda",
        "account": "123456789012",
        "time": "2026-09-10T23:50:08Z",
        "region": "eu-central-1",
        "resources": ["arn:aws:lambda:eu-central-1:123456789012:function:alb-logs:$LATEST"],
        "detail": in_invocation_record(event),
    }


WRAPPERS = [
    pytest.param((), id="as it is"),
    pytest.param((in_sns_event,), id="SNS to Lambda"),
    pytest.param((in_sns_envelope,), id="SNS to SQS"),
    pytest.param((in_sqs_event,), id="SQS to Lambda"),
    pytest.param((in_sns_envelope, in_sqs_event), id="SNS, SQS"),
    pytest.param((in_invocation_record,), id="on-failure record"),
    pytest.param((in_sns_event, in_invocation_record), id="SNS, on-failure record"),
    pytest.param((in_invocation_record, in_sqs_event), id="on-failure record, SQS"),
    pytest.param((in_sns_event, in_invocation_record, in_sqs_event), id="SNS, record, SQS"),
    pytest.param((in_invocation_record, in_sns_envelope, in_sqs_event), id="record, SNS, SQS"),
    pytest.param((in_bridged_invocation_record, in_sqs_event), id="record, event bus, SQS"),
]


def wrapped(event: Json, wrappers: tuple[Callable[[Json], Json], ...]) -> Json:
    """Put an event into envelopes, the innermost first."""
    for wrapper in wrappers:
        event = wrapper(event)
    return event


def with_record(**changes: object) -> Json:
    """Make the pinned S3 notification with other fields in its record; None removes one."""
    record = S3_NOTIFICATION["Records"][0] | changes
    return {"Records": [{name: value for name, value in record.items() if value is not None}]}


def with_s3_object(**changes: object) -> Json:
    """Make the pinned S3 notification with other facts about its object."""
    stored = S3_NOTIFICATION["Records"][0]["s3"]
    return with_record(s3=stored | {"object": stored["object"] | changes})


def with_bridge_object(**changes: object) -> Json:
    """Make the pinned EventBridge event with other facts about its object."""
    detail = BRIDGE_EVENT["detail"]
    return BRIDGE_EVENT | {"detail": detail | {"object": detail["object"] | changes}}


def only_ref(event: Mapping[str, Any]) -> ObjectRef:
    """Give the one object of an event."""
    (ref,) = objects_in_event(event)
    assert isinstance(ref, ObjectRef)
    return ref


@pytest.mark.parametrize("wrappers", WRAPPERS)
@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param(S3_NOTIFICATION, S3_REF, id="S3"),
        pytest.param(BRIDGE_EVENT, BRIDGE_REF, id="EventBridge"),
        pytest.param(
            TEST_EVENT, Skipped(SkipReason.TEST_EVENT, bucket="acme-logs"), id="test event"
        ),
    ],
)
def test_every_shape_in_every_envelope(
    event: Json, expected: ObjectRef | Skipped, wrappers: tuple[Callable[[Json], Json], ...]
) -> None:
    """However an event travels, as a Lambda event or as the text of a message, it says the same."""
    delivered = wrapped(event, wrappers)

    assert [expected] == list(objects_in_event(delivered))
    assert [expected] == list(objects_in_message(json.dumps(delivered)))


@pytest.mark.parametrize(
    ("written", "folder"),
    [
        pytest.param("red+flower/", "red flower/", id="+ is a space"),
        pytest.param("a%2Bb/", "a+b/", id="%2B is a plus"),
        pytest.param("year%3D2026/", "year=2026/", id="%3D is an equals sign"),
        pytest.param("AWSLogs%2Fx%2F", "AWSLogs/x/", id="an encoded slash"),
        pytest.param("100%25/", "100%/", id="%25 is a percent sign"),
        pytest.param("a%252Fb/", "a%2Fb/", id="decoded once"),
        pytest.param("%C3%BCber/", "über/", id="UTF-8"),
        pytest.param("%F0%9F%98%80/", "😀/", id="UTF-8 of four bytes"),
        pytest.param("über/", "über/", id="not encoded at all"),
    ],
)
def test_keys_of_s3_notifications_are_decoded(written: str, folder: str) -> None:
    """S3 writes keys form-URL-encoded, in every notification."""
    ref = only_ref(with_s3_object(key=written + BASENAME))

    assert folder + BASENAME == ref.key
    assert NAME == ref.name


@pytest.mark.parametrize("folder", ["a+b/", "year%3D2026/", "a b/", "%/", "über/"])
def test_keys_of_eventbridge_are_plain(folder: str) -> None:
    """EventBridge writes keys as they are: decoding one would name another object."""
    assert folder + BASENAME == only_ref(with_bridge_object(key=folder + BASENAME)).key


@pytest.mark.parametrize(
    "event_name",
    [
        "ObjectCreated:Put",
        "ObjectCreated:Post",
        "ObjectCreated:Copy",
        "ObjectCreated:CompleteMultipartUpload",
        "s3:ObjectCreated:Put",
    ],
)
def test_every_creation_is_ingested(event_name: str) -> None:
    """The load balancer puts, posts and uploads in parts; copies are logs as well."""
    assert S3_REF == only_ref(with_record(eventName=event_name))


@pytest.mark.parametrize(
    "event_name",
    [
        "ObjectRemoved:Delete",
        "ObjectRemoved:DeleteMarkerCreated",
        "ObjectRestore:Completed",
        "s3:ObjectRestore:Post",
        "ObjectTagging:Put",
        "LifecycleExpiration:Delete",
        "ReducedRedundancyLostObject",
        "ObjectCreatedLater:Put",
        "",
        7,
    ],
)
def test_other_s3_events_are_noise(event_name: object) -> None:
    """What happens to an object later is not ingested; it is said which object it was."""
    expected = Skipped(SkipReason.NOT_CREATED, bucket="acme-logs", key=KEY)

    assert [expected] == list(objects_in_event(with_record(eventName=event_name)))


@pytest.mark.parametrize(
    ("source", "detail_type"),
    [
        ("aws.s3", "Object Deleted"),
        ("aws.s3", "Object Restore Completed"),
        ("aws.s3", "Object Tags Added"),
        ("aws.s3", None),
        ("acme.s3", "Object Created"),
        ("aws.events", "Scheduled Event"),
        (None, "Object Created"),
    ],
)
def test_other_eventbridge_events_are_noise(source: str | None, detail_type: str | None) -> None:
    """A rule that is too wide, or a timer, sends events that announce no object."""
    event = BRIDGE_EVENT | {"source": source, "detail-type": detail_type}

    assert [Skipped(SkipReason.NOT_CREATED)] == list(objects_in_event(event))


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({}, id="empty"),
        pytest.param({"Records": []}, id="no record"),
        pytest.param({"Records": None}, id="null"),
        pytest.param({"source": "keep-warm"}, id="something else"),
        pytest.param({"Type": "SubscriptionConfirmation", "Token": "2336"}, id="SNS handshake"),
        pytest.param(in_sqs_event({}), id="SQS with an empty object"),
    ],
)
def test_a_message_without_records_is_noise(event: Json) -> None:
    """An object without any record asks for nothing."""
    assert [Skipped(SkipReason.NO_RECORDS)] == list(objects_in_event(event))


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.2", "2.3", "2.6", "2.10", "2", None])
def test_minor_versions_do_not_matter(version: str | None) -> None:
    """AWS raises the minor version for new fields only; one made by hand may have none."""
    assert S3_REF == only_ref(with_record(eventVersion=version))


@pytest.mark.parametrize("version", ["3.0", "1.9", "20.1", "", 2.1])
def test_another_major_version_is_refused_by_name(version: object) -> None:
    """A new major version may mean other things by the same fields: it fails and is named."""
    with pytest.raises(NotificationError, match=f"version is {version!r}.* 2.x is known"):
        list(objects_in_event(with_record(eventVersion=version)))


def test_eventbridge_has_a_version_of_its_own() -> None:
    """The event-version of the detail counts, not the envelope's version; absent, it passes."""
    detail = BRIDGE_EVENT["detail"]

    known = BRIDGE_EVENT | {"version": "9", "detail": detail | {"event-version": "1.4"}}
    assert BRIDGE_REF == only_ref(known)
    unknown = BRIDGE_EVENT | {"detail": detail | {"event-version": "2.0"}}
    with pytest.raises(NotificationError, match=r"version is '2.0'.* 1.x is known"):
        list(objects_in_event(unknown))


def test_a_notification_made_by_hand_suffices() -> None:
    """Bucket and key are enough to have an object ingested again."""
    by_hand = {"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": BASENAME}}}]}

    assert [ObjectRef("b", BASENAME, NAME)] == list(objects_in_event(by_hand))


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("AWSLogs/123456789012/ELBAccessLogTestFile", SkipReason.TEST_FILE),
        (KEY.replace("_app.", "_net."), SkipReason.NETWORK_LOAD_BALANCER),
        ("readme.txt", SkipReason.FOREIGN_KEY),
    ],
)
def test_other_objects_are_skipped_with_their_address(key: str, reason: SkipReason) -> None:
    """An object that is no log of ours is named in full, for whoever reads the counts."""
    expected = [Skipped(reason, bucket="acme-logs", key=key)]

    assert expected == list(objects_in_event(with_s3_object(key=key)))
    assert expected == list(objects_in_event(with_bridge_object(key=key)))


@pytest.mark.parametrize(
    ("etag", "expected"),
    [
        pytest.param('"d41d8cd9"', "d41d8cd9", id="quoted"),
        pytest.param("d41d8cd9-7", "d41d8cd9-7", id="multipart"),
        pytest.param("", None, id="empty"),
        pytest.param('""', None, id="only quotes"),
        pytest.param(None, None, id="null"),
        pytest.param(7, None, id="no text"),
    ],
)
def test_etags_have_no_quotes(etag: object, expected: str | None) -> None:
    """An ETag is the same text wherever it comes from."""
    assert expected == only_ref(with_s3_object(eTag=etag)).etag
    assert expected == only_ref(with_bridge_object(etag=etag)).etag


@pytest.mark.parametrize(
    ("size", "expected"), [(0, 0), (2**40, 2**40), (-1, None), (True, None), ("7", None)]
)
def test_a_size_is_a_whole_number(size: object, expected: int | None) -> None:
    """A size that is none is left out: it is only a hint."""
    assert expected == only_ref(with_s3_object(size=size)).size


@pytest.mark.parametrize("version_id", [None, "", 7])
def test_without_versioning_there_is_no_version_id(version_id: object) -> None:
    """AWS writes null, or nothing, for a bucket without versions."""
    assert only_ref(with_s3_object(versionId=version_id)).version_id is None


@pytest.mark.parametrize(
    ("event_time", "expected"),
    [
        pytest.param(
            "2026-09-11T01:45:12+02:00", datetime(2026, 9, 10, 23, 45, 12, tzinfo=UTC), id="offset"
        ),
        pytest.param("2026-09-10T23:45:12", None, id="no zone"),
        pytest.param("yesterday", None, id="no time"),
        pytest.param("0001-01-01T00:00:00+14:00", None, id="before all time"),
        pytest.param(1789084000, None, id="a number"),
        pytest.param(None, None, id="absent"),
    ],
)
def test_times_are_utc_or_absent(event_time: object, expected: datetime | None) -> None:
    """A time that can not be told for certain is left out: it only measures the delay."""
    created = only_ref(with_record(eventTime=event_time)).created

    assert expected == created
    assert created is None or created.tzinfo is UTC


UNREADABLE = [
    pytest.param("", id="empty"),
    pytest.param("Hello world!", id="no JSON"),
    pytest.param('{"Records": ', id="cut"),
    pytest.param("[" * 100_000, id="endless"),
    pytest.param("[]", id="a list"),
    pytest.param('"text"', id="a string"),
    pytest.param("null", id="null"),
    pytest.param("7", id="a number"),
    pytest.param('{"Records": {}}', id="Records is an object"),
    pytest.param('{"Records": "x"}', id="Records is text"),
    pytest.param('{"Records": 0}', id="Records is a number"),
    pytest.param('{"Records": [7]}', id="a record is a number"),
    pytest.param('{"Records": [{}]}', id="a record is empty"),
    pytest.param(
        '{"Records": [{"eventSource": "aws:kinesis", "kinesis": {"data": ""}}]}', id="Kinesis"
    ),
    pytest.param('{"Records": [{"eventSource": "aws:s3"}]}', id="S3 without s3"),
    pytest.param('{"Records": [{"s3": null}]}', id="s3 is null"),
    pytest.param('{"Records": [{"s3": {"object": {"key": "k"}}}]}', id="no bucket"),
    pytest.param('{"Records": [{"s3": {"bucket": {"name": "b"}}}]}', id="no object"),
    pytest.param(
        '{"Records": [{"s3": {"bucket": {"name": "b"}, "object": {}}}]}', id="no key in the object"
    ),
    pytest.param(
        '{"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": ""}}}]}', id="empty key"
    ),
    pytest.param(
        '{"Records": [{"s3": {"bucket": {"name": ""}, "object": {"key": "k"}}}]}',
        id="empty bucket",
    ),
    pytest.param(
        '{"Records": [{"s3": {"bucket": {"name": 7}, "object": {"key": "k"}}}]}', id="bucket 7"
    ),
    pytest.param(
        '{"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "%FF"}}}]}',
        id="a key that is not UTF-8",
    ),
    pytest.param('{"Type": "Notification", "Message": "Hello world!"}', id="SNS, no JSON"),
    pytest.param('{"Type": "Notification", "Message": {}}', id="SNS, no text"),
    pytest.param('{"Records": [{"Sns": {"Message": "?"}}]}', id="SNS to Lambda, no JSON"),
    pytest.param('{"Records": [{"eventSource": "aws:sqs", "body": "?"}]}', id="SQS, no JSON"),
    pytest.param('{"requestPayload": "text"}', id="on-failure record of no event"),
    pytest.param('{"source": "aws.s3", "detail-type": "Object Created"}', id="no detail"),
    pytest.param(
        '{"source": "aws.s3", "detail-type": "Object Created", "detail": {"object": {}}}',
        id="EventBridge without bucket",
    ),
    pytest.param(json.dumps(BRIDGE_EVENT["detail"]), id="EventBridge's InputPath $.detail"),
    pytest.param('{"bucket": "b", "key": "k"}', id="EventBridge's input transformer"),
    pytest.param(json.dumps(S3_NOTIFICATION["Records"][0]), id="a record without Records"),
]


@pytest.mark.parametrize("body", UNREADABLE)
def test_what_should_name_an_object_and_does_not_is_an_error(body: str) -> None:
    """Acknowledged, such a message would hide a wiring mistake: it fails, into the DLQ."""
    with pytest.raises(NotificationError):
        list(objects_in_message(body))


def test_errors_show_what_came() -> None:
    """The beginning of the message is in the error, and no more of it than that."""
    with pytest.raises(NotificationError, match="Hello, wrong topic") as caught:
        list(objects_in_message("Hello, wrong topic! " * 1000))
    assert len(str(caught.value)) < 300


def test_a_malformed_record_hides_no_other() -> None:
    """All good records of a message are given out before its first error is raised."""
    good = S3_NOTIFICATION["Records"][0]
    refs = objects_in_event({"Records": [good, {"first": 1}, good, {"second": 2}, good]})

    assert [S3_REF] * 3 == [next(refs) for _ in range(3)]
    with pytest.raises(NotificationError, match="first"):
        next(refs)


def test_a_malformed_message_hides_no_other_of_its_batch() -> None:
    """The same holds across the messages of one SQS event."""
    batch = [in_sqs_event(event)["Records"][0] for event in (BRIDGE_EVENT, S3_NOTIFICATION)]
    batch.insert(1, {"body": "?"})
    refs = objects_in_event({"Records": batch})

    assert [BRIDGE_REF, S3_REF] == [next(refs), next(refs)]
    with pytest.raises(NotificationError):
        next(refs)


def test_several_records_are_several_objects() -> None:
    """One notification may name many objects, noise among them, in its order."""
    records = [
        with_s3_object(key=KEY)["Records"][0],
        with_record(eventName="ObjectRemoved:Delete")["Records"][0],
        with_s3_object(key=f"other/{BASENAME}")["Records"][0],
    ]

    found = list(objects_in_event({"Records": records}))

    assert [KEY, KEY, f"other/{BASENAME}"] == [one.key for one in found]
    assert [ObjectRef, Skipped, ObjectRef] == [type(one) for one in found]


@pytest.mark.parametrize("wrapper", [in_invocation_record, in_sns_envelope, in_sqs_event])
def test_envelopes_are_opened_to_a_limit(wrapper: Callable[[Json], Json]) -> None:
    """A message that wraps itself again and again ends in an error, not in the stack's end."""
    deepest = wrapped(S3_NOTIFICATION, (wrapper,) * MAX_DEPTH)

    assert [S3_REF] == list(objects_in_event(deepest))
    with pytest.raises(NotificationError, match=f"wrapped more than {MAX_DEPTH} times"):
        list(objects_in_event(wrapper(deepest)))


@pytest.fixture
def queue() -> Iterator[str]:
    """Give a queue that an emulated bucket tells of its objects by all three routes."""
    with mock_aws():
        s3, sqs = boto3.client("s3", REGION), boto3.client("sqs", REGION)
        sns, events = boto3.client("sns", REGION), boto3.client("events", REGION)
        url = sqs.create_queue(QueueName="q")["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:123456789012:q"
        topic = sns.create_topic(Name="t")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        events.put_rule(Name="r", EventPattern='{"source": ["aws.s3"]}')
        events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": arn}])
        s3.create_bucket(
            Bucket="acme-logs", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        s3.put_bucket_notification_configuration(
            Bucket="acme-logs",
            NotificationConfiguration={
                "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}],
                "TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}],
                "EventBridgeConfiguration": {},
            },
        )
        yield url


def test_an_emulator_is_understood(queue: str) -> None:
    """Messages that somebody else's code made, not ours, are read: tests, creation, noise."""
    key = f"a+b/year=2026/ü %/{BASENAME}"
    boto3.client("s3", REGION).put_object(Bucket="acme-logs", Key=key, Body=b"12345")
    received = boto3.client("sqs", REGION).receive_message(QueueUrl=queue, MaxNumberOfMessages=10)

    found = [one for message in received["Messages"] for one in objects_in_message(message["Body"])]

    refs = [one for one in found if isinstance(one, ObjectRef)]
    assert [("acme-logs", key, NAME, 5)] * 3 == [(r.bucket, r.key, r.name, r.size) for r in refs]
    assert {"827ccb0eea8a706c4c34a16891f84e7b"} == {ref.etag for ref in refs}
    reasons = [one.reason for one in found if isinstance(one, Skipped)]
    assert {SkipReason.TEST_EVENT, SkipReason.NOT_CREATED} == set(reasons)
