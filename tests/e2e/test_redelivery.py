"""Messages that fail, and only those, are hidden for less time than their queue would."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from devstack.process import free_port
from pipeline.errors import ConfigError, SinkUnavailableError
from pipeline.sink.store import Store
from tests.support.factories import KEY, alb_line, gz, s3_event
from tests.support.invocations import Function

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

BUCKET = "alb-log-bucket"
GOOD = s3_event(BUCKET, KEY)
BAD = {"Records": "of no known shape"}


@dataclass(slots=True)
class World:
    """The function with its queue, and for how long it had each message hidden."""

    function: Function
    sqs: "SQSClient"
    url: str
    hidden: dict[str, int] = field(default_factory=dict)

    def taken(self, *bodies: object, receives: int = 1) -> dict[str, Any]:
        """Return the event by which Lambda hands over messages at their nth receive."""
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=json.dumps(body))
        taken = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)["Messages"]
        return {
            "Records": [
                {
                    "messageId": message["Body"],
                    "receiptHandle": message["ReceiptHandle"],
                    "body": message["Body"],
                    "attributes": {"ApproximateReceiveCount": str(receives)},
                    "messageAttributes": {},
                    "eventSource": "aws:sqs",
                }
                for message in taken
            ]
        }

    def watch(self) -> None:
        """Note what the handler's own client asks for, and of which message."""
        queue = self.function.module.wired.queue()

        def note(params: dict[str, Any], **_: object) -> None:
            for asked in json.loads(params["body"])["Entries"]:
                self.hidden[asked["ReceiptHandle"]] = asked["VisibilityTimeout"]

        queue.patient.meta.events.register("before-call.sqs.ChangeMessageVisibilityBatch", note)


@pytest.fixture
def world(
    handler_module: ModuleType,
    store: Store,
    elasticsearch_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[World]:
    """Yield a function that is fed by a queue as deployed."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("ALB_LOGS_ES_URL", elasticsearch_url)
    monkeypatch.setenv("ALB_LOGS_INDEX_PREFIX", store.prefix)
    with mock_aws():
        s3, sqs = boto3.client("s3"), boto3.client("sqs")
        where = {"LocationConstraint": "eu-central-1"}
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)  # type: ignore[arg-type]
        s3.put_object(Bucket=BUCKET, Key=KEY, Body=gz(alb_line(1)))
        dlq = sqs.create_queue(QueueName="dlq")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dlq, AttributeNames=["QueueArn"])["Attributes"]
        redrive = {"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": 10}
        url = sqs.create_queue(
            QueueName="alb-logs",
            Attributes={"VisibilityTimeout": "1830", "RedrivePolicy": json.dumps(redrive)},
        )["QueueUrl"]
        monkeypatch.setenv("ALB_LOGS_QUEUE_URL", url)
        made = World(Function(handler_module, capsys), sqs, url)
        made.watch()
        yield made


def handles(event: dict[str, Any]) -> dict[str, str]:
    """Return the receipt handle of each message, by its body."""
    return {record["body"]: record["receiptHandle"] for record in event["Records"]}


@pytest.mark.parametrize(("receives", "pause"), [(1, 57), (2, 114), (5, 915)])
def test_what_fails_comes_again_soon(world: World, receives: int, pause: int) -> None:
    """Of a batch the message that fails comes again soon; the one that is done is left alone."""
    event = world.taken(GOOD, BAD, receives=receives)

    invocation = world.function(event)

    assert [json.dumps(BAD)] == invocation.failed
    assert {handles(event)[json.dumps(BAD)]: pause} == world.hidden


def test_late_failures_wait_for_the_queue(world: World) -> None:
    """From the sixth receive on a message comes by the queue's own timeout, counted from then."""
    event = world.taken(BAD, receives=6)

    assert [json.dumps(BAD)] == world.function(event).failed
    assert {} == world.hidden


def test_a_start_that_fails_comes_again_soon(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Elasticsearch is away at a cold start, the whole batch fails, and comes again soon."""
    monkeypatch.setenv("ALB_LOGS_ES_URL", f"http://127.0.0.1:{free_port()}")
    event = world.taken(GOOD, BAD)

    invocation = world.function(event)

    assert isinstance(invocation.error, SinkUnavailableError)
    assert dict.fromkeys(handles(event).values(), 57) == world.hidden


def test_a_wrong_setting_is_still_what_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the settings cannot be read, messages come again late, and the setting is named."""
    world.function.module.wired.forget()
    monkeypatch.setenv("ALB_LOGS_ES_CONNECTIONS", "many")

    invocation = world.function(world.taken(GOOD))

    assert isinstance(invocation.error, ConfigError)
    assert "ALB_LOGS_ES_CONNECTIONS" in str(invocation.error)
    assert ["failed messages come again late"] == [line["message"] for line in invocation.logs]


def test_a_queue_that_refuses_hides_no_error(world: World) -> None:
    """Where the queue refuses, the message fails as ever, and a warning says so."""
    event = world.taken(BAD)
    world.sqs.delete_queue(QueueUrl=world.url)

    invocation = world.function(event)

    assert [json.dumps(BAD)] == invocation.failed
    assert "WARNING" == invocation.logs[-1]["level"]
    assert "failed messages come again late" == invocation.logs[-1]["message"]


def test_a_stale_handle_holds_up_no_other(world: World) -> None:
    """A message that is not ours any more is logged; the others come again soon all the same."""
    event = world.taken(BAD, {"Records": "nor this"}, {"Records": "nor that"})
    event["Records"][0]["receiptHandle"] = "stale"

    invocation = world.function(event)

    assert 3 == len(invocation.failed) == len(world.hidden)
    assert "failed messages come again late" == invocation.logs[-1]["message"]
    assert "ReceiptHandleIsInvalid" in invocation.logs[-1]["error"]


def test_a_record_without_a_count_spoils_no_answer(world: World) -> None:
    """What the answer is does not depend on whether messages can be hurried."""
    event = world.taken(BAD)
    del event["Records"][0]["attributes"]["ApproximateReceiveCount"]

    assert [json.dumps(BAD)] == world.function(event).failed


def test_with_no_time_left_nothing_is_asked(world: World) -> None:
    """Shortly before the timeout the answer goes first."""
    assert [json.dumps(BAD)] == world.function(world.taken(BAD), seconds=0.5).failed
    assert {} == world.hidden


def test_without_a_queue_nothing_is_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that does not know its queue leaves messages to it."""
    world.function.module.wired.forget()
    monkeypatch.delenv("ALB_LOGS_QUEUE_URL")

    invocation = world.function(world.taken(BAD))

    assert [json.dumps(BAD)] == invocation.failed
    assert ["notification not understood"] == [line["message"] for line in invocation.logs]
