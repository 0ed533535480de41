"""
Play Lambda's poller of a queue: pass its messages to the real handler, in this process.

Messages look as AWS delivers them, failed ones return to the queue one by one, and one in every few
is delivered twice, as AWS may. Run as `python -m devstack.poller QUEUE_URL`; it ends when the queue
is empty.

docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
"""

import argparse
import importlib
import os
import time
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

BATCH = 10


@dataclass(slots=True)
class Invocation:
    """The part of Lambda's context that the handler uses: its name, and the time left."""

    seconds: float = 300.0
    function_name: str = "alb-logs"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:alb-logs"
    aws_request_id: str = "devstack"
    began: float = field(default_factory=time.monotonic)

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left, as Lambda's context does."""
        return int((self.began + self.seconds - time.monotonic()) * 1_000)


def poll(queue_url: str, *, sqs: "SQSClient", twice_every: int = 0) -> None:
    """Pass every message to the handler until the queue is empty."""
    handler = importlib.import_module("lambda.handler").handler
    numbers = count(1)
    for messages in _batches(queue_url, sqs):
        again = [m for m in messages if twice_every and next(numbers) % twice_every == 0]
        failed = _invoke(handler, messages)
        _invoke(handler, again)
        done = [message for message in messages if message["MessageId"] not in failed]
        for message in done:
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])


def _invoke(handler: Any, messages: "list[MessageTypeDef]") -> set[str]:  # noqa: ANN401
    """Invoke the handler and return the ids of the messages that failed."""
    if not messages:
        return set()
    answer = handler({"Records": [_record(message) for message in messages]}, Invocation())
    return {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}


def _record(message: "MessageTypeDef") -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:alb-logs",
        "awsRegion": "eu-central-1",
    }


def _batches(queue_url: str, sqs: "SQSClient") -> "Iterator[list[MessageTypeDef]]":
    while waiting(queue_url, sqs):
        messages = sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=BATCH,
            WaitTimeSeconds=1,
            AttributeNames=["ApproximateReceiveCount"],
        ).get("Messages", [])
        if messages:
            yield messages


def waiting(queue_url: str, sqs: "SQSClient") -> int:
    """Return how many messages are in a queue, including those being processed."""
    attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"]) + int(
        attributes["ApproximateNumberOfMessagesNotVisible"]
    )


def main() -> None:
    """Poll the queue that the command line names."""
    parser = argparse.ArgumentParser(description="Give a queue's messages to the Lambda handler.")
    parser.add_argument("queue_url")
    parser.add_argument("--twice-every", type=int, default=0, metavar="N")
    given = parser.parse_args()
    os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "alb-logs")  # noqa: TID251  as Lambda would
    poll(given.queue_url, sqs=boto3.client("sqs"), twice_every=given.twice_every)


if __name__ == "__main__":
    main()
