"""The configuration that `connect` makes of the one that is there: ids, filters, overlaps."""

from typing import Any

import pytest

from pipeline.jobs.subscription import (
    Change,
    Configuration,
    Overlap,
    Subscription,
    changes,
    configuration_of,
    connect,
    covering,
    difference,
    disconnect,
    policy_statement,
    rules,
    unknown_elements,
)
from tests.support.notifying import ALL, FOLDER, OTHER_QUEUE, OTHERS, QUEUE, TOPIC
from tests.support.subscriptions import configured, entry


def test_ids_are_stable() -> None:
    """Ids are pinned: a later version must know what an earlier one made."""
    assert [
        "alb-logs-adc03e899ddde051",
        "alb-logs-ddc1158c4a8a87c8",
        "alb-logs-10b4d950e5a9afee",
    ] == [
        Subscription(QUEUE).id,
        Subscription(QUEUE, "AWSLogs/").id,
        Subscription(TOPIC, "AWSLogs/é/").id,
    ]


@pytest.mark.parametrize(
    ("prefix", "value"),
    [
        ("AWSLogs/123456789012/", "AWSLogs/123456789012/"),
        ("AWSLogs/aws-account-id=1/", "AWSLogs/aws-account-id%3D1/"),
        ("my logs+more/", "my+logs%2Bmore/"),
        ("é!-_.*'()/", "%C3%A9!-_.*'()/"),
    ],
)
def test_a_prefix_is_written_as_s3_wants_it(prefix: str, value: str) -> None:
    """A filter holds the URL-encoded form of a prefix, without which it would match no key."""
    after = connect({}, Subscription(QUEUE, prefix))

    assert isinstance(after, dict)
    (made,) = after["QueueConfigurations"]
    assert {"Key": {"FilterRules": [{"Name": "prefix", "Value": value}]}} == made["Filter"]
    assert [prefix] == [rule.prefix for rule in rules(after)]


@pytest.mark.parametrize(
    "name", ["alb-logs-queue", "alb-logs-ADC03E899DDDE051", "alb-logs-adc03e899ddde051-2", "x", ""]
)
def test_only_ids_of_our_form_are_ours(name: str) -> None:
    """A name that somebody else may give is not taken for ours."""
    (rule,) = rules(configured(entry(QUEUE, name=name)))

    assert not rule.ours


def test_one_made_by_other_means_will_do() -> None:
    """Where Terraform sends all that is wanted to the queue, there is nothing to do or to undo."""
    present = configured(entry(QUEUE, name="tf-s3-queue-1", prefix="AWSLogs/"))
    wanted = Subscription(QUEUE, FOLDER)

    assert present == connect(present, wanted) == disconnect(present, wanted)
    assert "tf-s3-queue-1" in str(covering(present, wanted))


def test_an_id_is_there_once() -> None:
    """A notification with our Id that was turned elsewhere is turned back: Ids must be unique."""
    wanted = Subscription(QUEUE, "AWSLogs/")
    present = configured(entry(OTHER_QUEUE, name=wanted.id, prefix="b/"))

    after = connect(present, wanted)

    assert isinstance(after, dict)
    assert [(wanted.id, QUEUE)] == [(rule.id, rule.arn) for rule in rules(after)]


@pytest.mark.parametrize(
    "partly",
    [
        entry(QUEUE, suffix=".log.gz"),
        entry(QUEUE, events=("s3:ObjectCreated:Put",)),
        entry(QUEUE, prefix="AWSLogs/1/"),
    ],
    ids=["suffix", "events", "prefix"],
)
def test_one_that_sends_less_will_not_do(partly: dict[str, Any]) -> None:
    """One to the same queue that sends only some of it is an overlap, reported and not replaced."""
    wanted = Subscription(QUEUE, "AWSLogs/")

    after = connect(configured(partly), wanted)

    (rule,) = rules(configured(partly))
    assert Overlap(rule, wanted) == after


def test_changes_are_named() -> None:
    """Each notification that differs is named once, with its change."""
    before = {**configured(entry(name="a"), entry(name="b")), "EventBridgeConfiguration": {}}
    after = configured(entry(name="b", prefix="b/"), entry(name="c"))

    assert [
        Change("added", f"queue {OTHER_QUEUE} for {ALL} of * (Id c)"),
        Change("changed", f"queue {OTHER_QUEUE} for {ALL} of b/* (Id b)"),
        Change("removed", "EventBridge, for the whole bucket"),
        Change("removed", f"queue {OTHER_QUEUE} for {ALL} of * (Id a)"),
    ] == changes(before, after)
    assert [] == changes(before, before)


@pytest.mark.parametrize(
    "present",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"EventBridgeConfiguration": {}}, id="eventbridge"),
        pytest.param(configured(entry(prefix="a/"), entry(TOPIC, prefix="t/")), id="others"),
    ],
)
def test_a_diff_shows_only_what_changes(present: Configuration) -> None:
    """What is added has a + before it, and no line of another notification is touched."""
    after = connect(present, Subscription(QUEUE, FOLDER))

    assert isinstance(after, dict)
    lines = difference(present, after, "s3://logs").splitlines()
    assert ["--- s3://logs (now)", "+++ s3://logs (then)"] == lines[:2]
    removed = {line for line in lines[2:] if line.startswith("-")}
    assert removed <= {"-{}"}
    assert f'+      "QueueArn": "{QUEUE}"' in lines


def test_the_policy_statement_is_narrow() -> None:
    """S3 alone may send, for this bucket of this account alone, in every partition."""
    arn = "arn:aws-cn:sns:cn-north-1:123456789012:new-logs"

    assert {
        "Sid": "AllowBucketNotifications",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": arn,
        "Condition": {
            "ArnLike": {"aws:SourceArn": "arn:aws-cn:s3:::logs"},
            "StringEquals": {"aws:SourceAccount": "123456789012"},
        },
    } == policy_statement(Subscription(arn), "logs")
    assert "sqs:SendMessage" == policy_statement(Subscription(QUEUE), "logs")["Action"]


@pytest.mark.parametrize(
    ("xml", "unknown"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(OTHERS.encode(), [], id="all-that-is-known"),
        pytest.param(b"<Id>&lt;Loft&gt;</Id>", [], id="text-is-no-element"),
        pytest.param(b'<s3:Id/><Loft a="1"/><Bird/></Loft>', ["Bird", "Loft"], id="unknown"),
    ],
)
def test_unknown_elements_are_found(xml: bytes, unknown: list[str]) -> None:
    """Every element that a written configuration would lack is named."""
    assert unknown == unknown_elements(xml)


def test_what_boto3_adds_is_no_configuration() -> None:
    """Of an answer only what S3 configures is kept: EventBridge's emptiness means on."""
    answer = {
        "ResponseMetadata": {"HTTPStatusCode": 200},
        "TopicConfigurations": [],
        **configured(entry()),
        "EventBridgeConfiguration": {},
    }

    assert {**configured(entry()), "EventBridgeConfiguration": {}} == configuration_of(answer)
