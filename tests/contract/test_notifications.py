"""
Every way in which AWS says that an object is there, as AWS writes it.

The literal messages below are pinned: they follow AWS's documentation of the S3 event message
(2.1 to 2.6), the EventBridge event, CloudTrail's record of a call, the SNS envelope, the SQS and
SNS events of Lambda and the record for a Lambda destination.
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

API_CALL: Json = {
    "version": "0",
    "id": "5627b6e8-8bea-8ac7-3424-0ceb86ace103",
    "detail-type": "AWS API Call via CloudTrail",
    "source": "aws.s3",
    "account": "123456789012",
    "time": "2026-09-10T23:45:14Z",
    "region": "eu-central-1",
    "resources": [],
    "detail": {
        "eventVersion": "1.08",
        "userIdentity": {"type": "AWSService", "invokedBy": "delivery.logs.amazonaws.com"},
        "eventTime": "2026-09-10T23:45:12Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "PutObject",
        "awsRegion": "eu-central-1",
        "sourceIPAddress": "delivery.logs.amazonaws.com",
        "userAgent": "delivery.logs.amazonaws.com",
        "requestParameters": {
            "bucketName": "acme-logs",
            "Host": "acme-logs.s3.eu-central-1.amazonaws.com",
            "key": KEY,
            "x-amz-acl": "bucket-owner-full-control",
        },
        "responseElements": {
            "x-amz-server-side-encryption": "AES256",
            "x-amz-version-id": "qFH0nRDXmMkQjT9TmCLwRR3AvkQ0Zmzb",
        },
        "additionalEventData": {
            "SignatureVersion": "SigV4",
            "bytesTransferredIn": 51234.0,
            "AuthenticationMethod": "AuthHeader",
            "bytesTransferredOut": 0.0,
        },
        "requestID": "FNQMP9GW6T92Y09S",
        "eventID": "4851a383-e007-40d2-b5a3-087d2a7177dc",
        "readOnly": False,
        "resources": [
            {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::acme-logs/{KEY}"},
            {
                "accountId": "123456789012",
                "type": "AWS::S3::Bucket",
                "ARN": "arn:aws:s3:::acme-logs",
            },
        ],
        "eventType": "AwsApiCall",
        "managementEvent": False,
        "recipientAccountId": "123456789012",
        "eventCategory": "Data",
    },
}
API_CALL_REF = ObjectRef(
    bucket="acme-logs",
    key=KEY,
    name=NAME,
    version_id="qFH0nRDXmMkQjT9TmCLwRR3AvkQ0Zmzb",
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


def with_call(**changes: object) -> Json:
    """Make the pinned call that CloudTrail recorded with other facts; None removes one."""
    call = API_CALL["detail"] | changes
    return API_CALL | {"detail": {name: value for name, value in call.items() if value is not None}}


def only_ref(event: Mapping[str, Any]) -> ObjectRef:
    """Return the one object of an event."""
    (ref,) = objects_in_event(event)
    assert isinstance(ref, ObjectRef)
    return ref


@pytest.mark.parametrize("wrappers", WRAPPERS)
@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param(S3_NOTIFICATION, S3_REF, id="S3"),
        pytest.param(BRIDGE_EVENT, BRIDGE_REF, id="EventBridge"),
        pytest.param(API_CALL, API_CALL_REF, id="CloudTrail"),
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
    """EventBridge and CloudTrail write keys as they are: decoding one would name another object."""
    call = with_call(requestParameters={"bucketName": "b", "key": folder + BASENAME})

    assert folder + BASENAME == only_ref(with_bridge_object(key=folder + BASENAME)).key
    assert folder + BASENAME == only_ref(call).key


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
    ],
)
def test_other_s3_events_are_noise(event_name: str) -> None:
    """What happens to an object later is not ingested; it is said which object it was."""
    expected = Skipped(SkipReason.NOT_CREATED, bucket="acme-logs", key=KEY)

    assert [expected] == list(objects_in_event(with_record(eventName=event_name)))


@pytest.mark.parametrize(
    "detail_type",
    [
        "Object ACL Updated",
        "Object Access Tier Changed",
        "Object Deleted",
        "Object Restore Completed",
        "Object Restore Expired",
        "Object Restore Initiated",
        "Object Storage Class Changed",
        "Object Tags Added",
        "Object Tags Deleted",
    ],
)
def test_other_eventbridge_events_of_s3_are_noise(detail_type: str) -> None:
    """A rule for all events of S3 sends those of what happens to an object later."""
    event = BRIDGE_EVENT | {"detail-type": detail_type}

    assert [Skipped(SkipReason.NOT_CREATED)] == list(objects_in_event(event))


INSTANCE = {"detail": {"instance-id": "i-0abcd1111", "state": "running"}}


@pytest.mark.parametrize(
    "changed",
    [
        {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}},
        {"source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification", **INSTANCE},
        {"source": "aws.s3", "detail-type": "S3 Storage Lens Metrics", "detail": {"bucket": "b"}},
        {
            "source": "acme.shop",
            "detail-type": "order",
            "detail": {"tags": [{"key": "colour", "value": "red"}]},
        },
    ],
)
def test_eventbridge_events_of_other_sources_are_noise(changed: Json) -> None:
    """A rule that is too wide, or a timer, sends events that name no object."""
    assert [Skipped(SkipReason.NOT_CREATED)] == list(objects_in_event(BRIDGE_EVENT | changed))


@pytest.mark.parametrize(
    "event_name", ["PutObject", "PostObject", "CopyObject", "CompleteMultipartUpload"]
)
def test_every_call_that_creates_is_ingested(event_name: str) -> None:
    """CloudTrail records four calls by which an object comes into being."""
    assert API_CALL_REF == only_ref(with_call(eventName=event_name))


@pytest.mark.parametrize(
    "changes",
    [
        {"eventName": "GetObject"},
        {"eventName": "DeleteObject"},
        {"eventName": "UploadPart"},
        {"eventName": "CreateMultipartUpload"},
        {"eventName": "PutObjectTagging"},
        {"eventName": "PutBucketPolicy", "requestParameters": {"bucketName": "acme-logs"}},
        {"errorCode": "AccessDenied", "errorMessage": "Access Denied"},
        {"eventName": "DeleteObjects", "errorCode": "AccessDenied"},
    ],
)
def test_other_calls_are_noise(changes: Json) -> None:
    """A call that creates no object, or that S3 refused, announces none."""
    assert [Skipped(SkipReason.NOT_CREATED)] == list(objects_in_event(with_call(**changes)))


@pytest.mark.parametrize(
    "response", [None, {}, {"x-amz-version-id": None}, {"x-amz-version-id": 7}, "text"]
)
def test_a_call_to_a_bucket_without_versions_names_none(response: object) -> None:
    """CloudTrail repeats the version's id where S3 answered with one."""
    assert only_ref(with_call(responseElements=response)).version_id is None


def test_a_call_of_another_major_version_is_refused() -> None:
    """CloudTrail's records have a version of their own, which is 1.x."""
    with pytest.raises(NotificationError, match=r"version is '2.0'.* 1.x is known"):
        list(objects_in_event(with_call(eventVersion="2.0")))


def test_a_notification_without_records_is_noise() -> None:
    """A list of no record asks for nothing."""
    assert [Skipped(SkipReason.NO_RECORDS)] == list(objects_in_event({"Records": []}))
    assert [Skipped(SkipReason.NO_RECORDS)] == list(objects_in_message('{"Records": []}'))


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
    """A time that is not certain is left out: it only measures the delay."""
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
    pytest.param("{}", id="an empty object"),
    pytest.param('{"Records": null}', id="Records is null"),
    pytest.param(json.dumps({"Records": []} | {"records": [1]}), id="Records, and something else"),
    pytest.param('{"source": "keep-warm"}', id="something else"),
    pytest.param('{"hello": ["world", {"n": 1}]}', id="any JSON"),
    pytest.param('{"Type": "SubscriptionConfirmation", "Token": "2336"}', id="SNS handshake"),
    pytest.param(json.dumps({"detail": BRIDGE_EVENT["detail"]}), id="a detail without its type"),
    pytest.param(
        json.dumps({k: v for k, v in BRIDGE_EVENT.items() if k != "source"}), id="no source"
    ),
    pytest.param(json.dumps(BRIDGE_EVENT | {"detail-type": None}), id="type null"),
    pytest.param(json.dumps(BRIDGE_EVENT | {"source": "acme.s3"}), id="another source's object"),
    pytest.param(
        json.dumps(BRIDGE_EVENT | {"detail-type": "Object Renamed"}), id="an unknown type of S3"
    ),
    pytest.param(
        json.dumps(
            {
                "source": "aws.guardduty",
                "detail-type": "GuardDuty Malware Protection Object Scan Result",
                "detail": {"s3ObjectDetails": {"bucketName": "b", "objectKey": "k"}},
            }
        ),
        id="another service's finding about an object",
    ),
    pytest.param(f'{{"Bucket": "b", "Key": "{KEY}"}}', id="Bucket and Key"),
    pytest.param(f'{{"bucketName": "b", "objectKey": "{KEY}"}}', id="bucketName and objectKey"),
    pytest.param(json.dumps({"records": S3_NOTIFICATION["Records"]}), id="records"),
    pytest.param(json.dumps({"event": S3_NOTIFICATION}), id="event"),
    pytest.param(json.dumps({"body": json.dumps(S3_NOTIFICATION)}), id="body outside a record"),
    pytest.param(json.dumps({"Message": json.dumps(S3_NOTIFICATION)}), id="SNS without its type"),
    pytest.param(json.dumps({"responsePayload": S3_NOTIFICATION}), id="only a response"),
    pytest.param(json.dumps(TEST_EVENT | {"Key": KEY}), id="a test event with a key"),
    pytest.param(json.dumps(with_record(eventName="")), id="eventName is empty"),
    pytest.param(json.dumps(with_record(eventName=7)), id="eventName is a number"),
    pytest.param(json.dumps(with_call(eventName=None)), id="a call without its name"),
    pytest.param(json.dumps(with_call(eventName="")), id="a call whose name is empty"),
    pytest.param(json.dumps(with_call(eventName=["PutObject"])), id="a call with two names"),
    pytest.param(json.dumps(with_call(requestParameters=None)), id="a call without parameters"),
    pytest.param(
        json.dumps(with_call(requestParameters={"bucketName": "b", "key": ""})),
        id="a call without a key",
    ),
    pytest.param(json.dumps(API_CALL | {"detail": None}), id="CloudTrail without detail"),
    pytest.param(json.dumps({"Records": [API_CALL["detail"]]}), id="a file of CloudTrail"),
]


@pytest.mark.parametrize("body", UNREADABLE)
def test_what_should_name_an_object_and_does_not_is_an_error(body: str) -> None:
    """Acknowledged, such a message would hide a wiring mistake: it fails, into the DLQ."""
    with pytest.raises(NotificationError):
        list(objects_in_message(body))


@pytest.mark.parametrize("body", [None, 7, {"Records": []}, ["x"]])
def test_a_body_that_is_no_text_is_an_error(body: object) -> None:
    """A message whose body is missing or no text fails like one that cannot be read."""
    with pytest.raises(NotificationError, match="not JSON text"):
        list(objects_in_message(body))


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(with_s3_object(key=f"\ud800/{BASENAME}"), id="S3"),
        pytest.param(with_bridge_object(key=f"\ud800/{BASENAME}"), id="EventBridge"),
        pytest.param(
            with_call(requestParameters={"bucketName": "b\udfff", "key": KEY}), id="CloudTrail"
        ),
    ],
)
def test_a_key_that_is_no_unicode_is_an_error(event: Json) -> None:
    """Half a surrogate pair can be asked of no store, nor be logged."""
    with pytest.raises(NotificationError, match="without"):
        list(objects_in_event(event))


@pytest.mark.parametrize("field", ["size", "eTag", "versionId", "sequencer"])
@pytest.mark.parametrize("value", [None, True, -1, 1.5, [], {}, "", "\ud800", "x" * 1_025])
def test_what_is_said_of_an_object_never_fails_it(field: str, value: object) -> None:
    """A missing or malformed fact is left out: bucket and key suffice."""
    (found,) = objects_in_event(with_s3_object(**{field: value}))

    assert KEY == found.key
    assert isinstance(found, ObjectRef)
    for fact in (found.etag, found.version_id):
        assert fact is None or 0 < len(fact.encode()) <= 1_024


CONTRADICTION = KEY.replace("AWSLogs/123456789012", "AWSLogs/999999999999")


def test_a_contradictory_key_is_an_error() -> None:
    """An object in one account's folder that calls itself another's is neither taken nor lost."""
    for event in (with_s3_object(key=CONTRADICTION), with_bridge_object(key=CONTRADICTION)):
        with pytest.raises(NotificationError, match="another account or region") as caught:
            list(objects_in_event(event))
        assert f"alb-logs ingest s3://acme-logs/{CONTRADICTION}" in str(caught.value)


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
    """A message that wraps itself again and again ends in an error, not in a stack overflow."""
    deepest = wrapped(S3_NOTIFICATION, (wrapper,) * MAX_DEPTH)

    assert [S3_REF] == list(objects_in_event(deepest))
    with pytest.raises(NotificationError, match=f"wrapped more than {MAX_DEPTH} times"):
        list(objects_in_event(wrapper(deepest)))


@pytest.fixture
def queue() -> Iterator[str]:
    """Yield a queue that an emulated bucket notifies of its objects by all three routes."""
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
