"""
The command `connect` as it is installed, before an emulated AWS that sends what it configures.

The emulator sends nothing to EventBridge and refuses next to nothing: what AWS keeps and refuses
is tested in tests/unit/connect; here it is what arrives.
"""

import os
import pty
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from devstack.aws import REGION, AwsServer, environment
from pipeline.source.notifications import objects_in_message
from tests.support.factories import KEY, alb_line, gz

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import NotificationConfigurationTypeDef
    from mypy_boto3_sqs import SQSClient

COMMAND = Path(sys.executable).parent / "alb-logs"
FOLDER = "AWSLogs/123456789012/elasticloadbalancing/"
PICTURE = "pictures/cat.jpg"

Command = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket, the pipeline's queue, and the queue of somebody who was there before."""

    s3: "S3Client"
    sqs: "SQSClient"
    bucket: str
    queue: str
    theirs: str

    def arn(self, queue: str) -> str:
        """Return a queue's ARN."""
        answer = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        return answer["Attributes"]["QueueArn"]

    def put(self, *keys: str) -> None:
        """Put objects into the bucket."""
        for key in keys:
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=gz(alb_line(1)))

    def arrived(self, queue: str) -> list[str]:
        """Return the keys that were announced to a queue, as the pipeline reads its messages."""
        found = []
        while messages := self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                found += list(objects_in_message(message["Body"]))
                self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [each.key for each in found if each.key]  # a test message has none

    def configuration(self) -> dict[str, Any]:
        """Return the bucket's notifications."""
        answer = self.s3.get_bucket_notification_configuration(Bucket=self.bucket)
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


@pytest.fixture
def place(aws: AwsServer) -> Place:
    """Return a bucket that already notifies somebody: of pictures, and of what is removed."""
    s3, sqs, name = aws.s3(), aws.sqs(), f"connect-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    queue, theirs = (sqs.create_queue(QueueName=f"{name}-{each}")["QueueUrl"] for each in "ab")
    place = Place(s3, sqs, name, queue, theirs)
    pictures: NotificationConfigurationTypeDef = {
        "QueueConfigurations": [
            {
                "Id": "pictures",
                "QueueArn": place.arn(theirs),
                "Events": ["s3:ObjectCreated:Put"],
                "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "pictures/"}]}},
            },
            {"Id": "removed", "QueueArn": place.arn(theirs), "Events": ["s3:ObjectRemoved:*"]},
        ]
    }
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=pictures)
    return place


@pytest.fixture
def settings(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process's own clients call the emulator too."""
    for name, text in environment(aws.url).items():
        monkeypatch.setenv(name, text)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.fixture
def alb_logs(aws: AwsServer, place: Place) -> Command:
    """Return the installed command, run on the bucket in an environment of nothing but AWS."""

    def run(*arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, "connect", "--bucket", place.bucket, *arguments],
            env={"PATH": os.defpath, **environment(aws.url)},
            stdin=stdin,
            capture_output=True,
            timeout=60,
            check=False,
            text=True,
        )

    return run


def test_objects_arrive_beside_those_of_others(place: Place, alb_logs: Command) -> None:
    """The pipeline's queue is notified of new logs, others as before, until --undo."""
    before = place.configuration()
    call = ("--queue-arn", place.arn(place.queue), "--prefix", FOLDER)

    connected = alb_logs(*call, "--yes")
    assert (0, "") == (connected.returncode, connected.stderr)
    place.put(KEY, PICTURE, "AWSLogs/123456789012/vpcflowlogs/x.log.gz")
    assert ([KEY], [PICTURE]) == (place.arrived(place.queue), place.arrived(place.theirs))

    again = alb_logs(*call)
    assert 0 == again.returncode
    assert "nothing to do" in again.stdout

    undone = alb_logs(*call, "--undo", "--yes")
    assert (0, before) == (undone.returncode, place.configuration())
    place.put(KEY, PICTURE)
    assert ([], [PICTURE]) == (place.arrived(place.queue), place.arrived(place.theirs))


@pytest.mark.usefixtures("settings")
def test_objects_arrive_by_a_topic(place: Place, alb_logs: Command) -> None:
    """With --sns objects arrive in every queue that is subscribed to the topic."""
    sns = boto3.client("sns")
    topic = sns.create_topic(Name=place.bucket)["TopicArn"]
    second = place.sqs.create_queue(QueueName=f"{place.bucket}-c")["QueueUrl"]
    for queue in (place.queue, second):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=place.arn(queue))

    assert 0 == alb_logs("--sns", topic, "--prefix", FOLDER, "--yes").returncode
    place.put(KEY, PICTURE)

    assert [[KEY], [KEY]] == [place.arrived(queue) for queue in (place.queue, second)]


@pytest.mark.usefixtures("settings")
def test_objects_arrive_by_eventbridge(place: Place, alb_logs: Command) -> None:
    """With --eventbridge objects arrive by a rule with the pattern that the command prints."""
    events = boto3.client("events")

    ended = alb_logs("--eventbridge", "--yes")
    assert 0 == ended.returncode
    pattern = ended.stdout.rpartition("A rule must send these on to the queue: ")[2]
    events.put_rule(Name=place.bucket, EventPattern=pattern)
    target = {"Id": "queue", "Arn": place.arn(place.queue)}
    events.put_targets(Rule=place.bucket, Targets=[target])
    place.put(KEY)

    assert [KEY] == place.arrived(place.queue)


def test_another_region_is_refused(place: Place, alb_logs: Command) -> None:
    """A queue in another region than the bucket's is refused, and the reason is given."""
    arn = place.arn(place.queue).replace(REGION, "us-east-1")

    ended = alb_logs("--queue-arn", arn, "--prefix", FOLDER, "--yes")

    assert 1 == ended.returncode
    assert "must be in the bucket's own region" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(("typed", "code", "more"), [(b"y\n", 0, 1), (b"\n", 1, 0)])
def test_it_asks_on_a_terminal(
    place: Place, alb_logs: Command, typed: bytes, code: int, more: int
) -> None:
    """On a real terminal it waits for an answer, and only a yes changes anything."""
    before = len(place.configuration()["QueueConfigurations"])
    ours, its = pty.openpty()
    os.write(ours, typed)
    try:
        ended = alb_logs("--queue-arn", place.arn(place.queue), "--prefix", FOLDER, stdin=its)
    finally:
        os.close(ours)
        os.close(its)

    assert code == ended.returncode
    assert "like this? [y/N]" in ended.stderr
    assert before + more == len(place.configuration()["QueueConfigurations"])
