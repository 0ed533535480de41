"""
Run an AWS emulator (moto) as a process of its own, and wire up a log bucket in it.

It holds S3, SQS, SNS, EventBridge, Secrets Manager and SSM, and delivers notifications between
them. It differs from AWS in details (it escapes the slashes of a key and has no `sequencer`), so it
shows that the parts fit together, not what AWS sends: the contract tests pin that.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/ways-to-add-notification-config-to-bucket.html
"""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import boto3

from devstack.process import HOST, Command, Server, free_port, http_status

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.literals import BucketLocationConstraintType
    from mypy_boto3_sqs import SQSClient

REGION = "eu-central-1"

_ACCESS_KEY = "devstack"
_START_SECONDS = 60.0
_OK = 200


@dataclass(frozen=True, slots=True)
class LogBucket:
    """A bucket, the queue that its new objects are announced to, and that queue's dead letters."""

    bucket: str
    queue_url: str
    dlq_url: str


class AwsServer(Server):
    """One emulated AWS, empty at first."""

    def ready(self) -> bool:
        """Return whether the emulator answers."""
        return http_status(f"{self.url}/moto-api/") == _OK

    def s3(self) -> "S3Client":
        """Return a client for its S3."""
        return _session().client("s3", endpoint_url=self.url)

    def sqs(self) -> "SQSClient":
        """Return a client for its SQS."""
        return _session().client("sqs", endpoint_url=self.url)


def start_aws(settings: Mapping[str, str] | None = None) -> AwsServer:
    """
    Start an emulated AWS on a free port of 127.0.0.1 and return when it is ready.

    `settings` are the emulator's own, by environment variable (docs.getmoto.org).
    """
    folder = Path(tempfile.mkdtemp(prefix="alb-logs-aws-"))
    port = free_port()
    command = Command(
        name="The AWS emulator",
        argv=(sys.executable, "-P", "-m", "moto.server", "-H", HOST, "-p", str(port)),
        log_path=folder / "console.log",
        env={**os.environ, **(settings or {})},  # noqa: TID251  what a process inherits
    )
    return AwsServer(f"http://{HOST}:{port}", command, scratch=folder).start(within=_START_SECONDS)


def environment(url: str) -> dict[str, str]:
    """Return the variables that send every AWS client of a child process to `url` only."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_ACCESS_KEY_ID": _ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": _ACCESS_KEY,
        "AWS_SESSION_TOKEN": _ACCESS_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": HOST,
        "no_proxy": HOST,
    }


def create_log_bucket(
    *, s3: "S3Client", sqs: "SQSClient", bucket: str, queue: str, max_receive_count: int = 5
) -> LogBucket:
    """
    Make a bucket whose new objects are announced to a queue.

    A message received `max_receive_count` times without being deleted moves to `<queue>-dlq`.
    """
    region = cast("BucketLocationConstraintType", s3.meta.region_name)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
    dlq_url = sqs.create_queue(QueueName=f"{queue}-dlq")["QueueUrl"]
    redrive = {
        "deadLetterTargetArn": _queue_arn(sqs, dlq_url),
        "maxReceiveCount": max_receive_count,
    }
    queue_url = sqs.create_queue(
        QueueName=queue, Attributes={"RedrivePolicy": json.dumps(redrive)}
    )["QueueUrl"]
    _announce_objects(s3, bucket, _queue_arn(sqs, queue_url))
    return LogBucket(bucket, queue_url, dlq_url)


def _session() -> boto3.Session:
    return boto3.Session(
        aws_access_key_id=_ACCESS_KEY, aws_secret_access_key=_ACCESS_KEY, region_name=REGION
    )


def _queue_arn(sqs: "SQSClient", url: str) -> str:
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    return attributes["QueueArn"]


def _announce_objects(s3: "S3Client", bucket: str, queue_arn: str) -> None:
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": queue_arn, "Events": ["s3:ObjectCreated:*"]}]
        },
    )
