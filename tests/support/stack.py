"""
Deploy `serverless.yml` with osls into an emulated AWS, beside a bucket whose objects it ingests.

The emulator runs the packaged zip, enforces the role and the queue's policy, and has a real
Elasticsearch behind a gate that a test can shut.
"""

import io
import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from elasticsearch import Elasticsearch

from deploy.lambda_zip import HOST as ARCHITECTURE
from devstack.aws import REGION
from devstack.ministack import Message, MiniStack, start_ministack
from devstack.process import log_tail
from pipeline.cluster.templates import Layout, apply_setup, plan_setup
from tests.support.cluster import remove
from tests.support.deployment import deployed, package, service_folder
from tests.support.factories import documents
from tests.support.gate import Gate

STAGE = "e2e"
NAME = f"alb-logs-{STAGE}"
BUCKET = "the-logs"
KEY_PARAMETER = "/elastic/key"

TIMEOUT = 6
VISIBILITY = 8
MAX_RECEIVES = 5
# A message that fails each time is seen this long; machines that do much else take their time.
PATIENCE = MAX_RECEIVES * VISIBILITY + 60

PARAMETERS = {
    "architecture": ARCHITECTURE,
    "bucket": BUCKET,
    "es-api-key-parameter": KEY_PARAMETER,
    "timeout": TIMEOUT,
    "batch-size": 1,  # so that every message has that time to itself, and is not hidden for longer
    "batching-window": 0,
    "visibility-timeout": VISIBILITY,
    "max-receive-count": MAX_RECEIVES,
    "maximum-concurrency": 3,
}


@dataclass(frozen=True, slots=True)
class Stack:
    """What was deployed, and what stands around it."""

    aws: MiniStack
    es: Elasticsearch
    gate: Gate
    prefix: str
    outputs: dict[str, str]

    @property
    def queue_url(self) -> str:
        """Return the address of the queue that feeds the function."""
        return self.aws.sqs().get_queue_url(QueueName=NAME)["QueueUrl"]

    @property
    def dlq_url(self) -> str:
        """Return the address of the queue of what was given up."""
        return self.outputs["DeadLetterQueueUrl"]

    def put(self, key: str, body: bytes) -> None:
        """Put an object into the bucket."""
        self.aws.s3().upload_fileobj(io.BytesIO(body), BUCKET, key)

    def send(self, event: object) -> None:
        """Send a message as if the bucket had."""
        self.aws.sqs().send_message(QueueUrl=self.queue_url, MessageBody=json.dumps(event))

    def waiting(self) -> list[Message]:
        """Return the messages of the queue."""
        return self.aws.messages(self.queue_url)

    def given_up(self) -> list[Message]:
        """Return the messages of the dead-letter queue."""
        return self.aws.messages(self.dlq_url)

    def counted(self, numbers: range) -> Counter[int]:
        """Count the documents of each line of these numbers."""
        every = (document_number(each) for each in documents(self.es, self.prefix).values())
        return Counter(number for number in every if number in numbers)

    def announce(self) -> None:
        """Have the bucket notify the queue of new objects."""
        queue = {"QueueArn": self.outputs["QueueArn"], "Events": ["s3:ObjectCreated:*"]}
        self.aws.s3().put_bucket_notification_configuration(
            Bucket=BUCKET,
            NotificationConfiguration={"QueueConfigurations": [queue]},  # type: ignore[list-item]
        )

    @contextmanager
    def unannounced(self) -> Iterator[None]:
        """Have the bucket notify nobody for a while."""
        self.aws.s3().put_bucket_notification_configuration(
            Bucket=BUCKET, NotificationConfiguration={}
        )
        try:
            yield
        finally:
            self.announce()

    def wait_until(self, claim: Callable[[], bool], *, within: float = PATIENCE) -> None:
        """Wait for a claim to come true; if it does not, show what the emulator printed."""
        deadline = time.monotonic() + within
        while not claim():
            if time.monotonic() > deadline:
                raise AssertionError(log_tail(self.aws.log_path))
            time.sleep(0.3)

    def settled(self) -> bool:
        """Return whether every message was taken, or given up."""
        return not self.waiting()

    def told(self, message: str, key: str) -> list[dict[str, Any]]:
        """Return what the function logged about an object, in these words."""
        logs = self.aws.session().client("logs", endpoint_url=self.aws.url)
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{NAME}")
        lines = [event["message"] for page in pages for event in page["events"]]
        records = [json.loads(line) for line in lines if line.startswith("{")]
        return [
            each for each in records if each.get("message") == message and each.get("key") == key
        ]


def document_number(document: dict[str, Any]) -> int:
    """Return the number of the line that a document was made of."""
    return int(document["url"]["path"].removeprefix("/cart/"))


@contextmanager
def started_stack(
    elasticsearch_url: str, es: Elasticsearch, factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Deploy as docs/deploy.md says, and let the bucket that exists notify the queue."""
    address = urlsplit(elasticsearch_url)
    with ExitStack() as ending:
        aws = ending.enter_context(start_ministack())
        gate = ending.enter_context(Gate(address.hostname or "", address.port or 80))
        prefix = f"t{uuid.uuid4().hex[:10]}"
        ending.callback(remove, es, prefix)
        apply_setup(es, plan_setup(es, Layout(prefix=prefix, replicas=0)))
        _prepare(aws)
        service = service_folder(factory.mktemp("service"), package(factory))
        given = {**PARAMETERS, "es-url": gate.url, "index-prefix": prefix}
        deployed(service, STAGE, given, env={**aws.environment(), "HOME": str(service)})
        stack = Stack(aws, es, gate, prefix, _outputs(aws))
        stack.announce()
        yield stack


def _prepare(aws: MiniStack) -> None:
    """Make what is there before: the bucket, and the key of Elasticsearch."""
    aws.session().client("ssm", endpoint_url=aws.url).put_parameter(
        Name=KEY_PARAMETER, Value="a2V5OnNlY3JldA==", Type="SecureString"
    )
    where = {"LocationConstraint": REGION}
    aws.s3().create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)  # type: ignore[arg-type]


def _outputs(aws: MiniStack) -> dict[str, str]:
    formation = aws.session().client("cloudformation", endpoint_url=aws.url)
    (found,) = formation.describe_stacks(StackName=NAME)["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
