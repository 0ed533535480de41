"""
Decide how soon a failed message comes again: at first sooner than by the queue's own timeout.

A queue's visibility timeout must outlast the longest invocation, so a brief failure of
Elasticsearch would cost half an hour. The first tries of a message come sooner, each later than the
one before, and at least half of the time until the message is given up remains.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.deadline import Deadline
from pipeline.wiring import Queue

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import ChangeMessageVisibilityBatchRequestEntryTypeDef as Entry

_RECEIVES_WITHOUT_REDRIVE = 10
_MOST_HURRIED = 5
_MOST_ENTRIES = 10
_LEAST_SECONDS = 0.6


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How patient a queue is.

    `visibility` is the seconds before an unacknowledged message comes again, `receives` how often
    it comes before it is given up.
    """

    visibility: int
    receives: int = _RECEIVES_WITHOUT_REDRIVE

    def pause(self, receives: int) -> int:
        """
        Return the seconds until a message whose nth receive failed should come again.

        The first five receives are hurried, but no more than half of all: the last of them waits
        half of `visibility`, each one before it half as long as the next. It is at least a second,
        and never above `visibility`.
        """
        halvings = max(0, min(_MOST_HURRIED, self.receives // 2) - receives + 1)
        return min(self.visibility, max(1, self.visibility >> halvings))

    def wishes(self, failed: Sequence[dict[str, Any]]) -> "Iterator[list[Entry]]":
        """
        Yield the entries of each ChangeMessageVisibilityBatch request for failed SQS records.

        A message that is not hurried is in none of them.

        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html
        """
        entries: list[Entry] = []
        for number, record in enumerate(failed):
            pause = self.pause(int(record["attributes"]["ApproximateReceiveCount"]))
            handle = record["receiptHandle"]
            if pause < self.visibility:
                entries.append(
                    {"Id": f"{number}", "ReceiptHandle": handle, "VisibilityTimeout": pause}
                )
        for at in range(0, len(entries), _MOST_ENTRIES):
            yield entries[at : at + _MOST_ENTRIES]


def read_patience(visibility_timeout: str, redrive_policy: str | None = None) -> Patience:
    """
    Read the attributes VisibilityTimeout and RedrivePolicy; not every queue has the second.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
    """
    policy = json.loads(redrive_policy or "{}")
    receives = int(policy.get("maxReceiveCount", _RECEIVES_WITHOUT_REDRIVE))
    return Patience(int(visibility_timeout), receives)


def ask_again_soon(
    failed: Sequence[dict[str, Any]], queue: Callable[[], Queue | None], deadline: Deadline
) -> list[str]:
    """
    Ask the queue, if there is one, for messages that failed again soon; return why it refuses some.

    With hardly any time left nothing is asked: the messages come again by themselves.
    """
    if not failed or deadline.seconds_left < _LEAST_SECONDS or (its := queue()) is None:
        return []
    requests = 1 + math.ceil(len(failed) / _MOST_ENTRIES)
    sqs = its.client((deadline.seconds_left - _LEAST_SECONDS / 2) / requests)
    found = sqs.get_queue_attributes(
        QueueUrl=its.url, AttributeNames=["VisibilityTimeout", "RedrivePolicy"]
    )["Attributes"]
    patience = read_patience(found["VisibilityTimeout"], found.get("RedrivePolicy"))
    late: list[str] = []
    for entries in patience.wishes(failed):
        answer = sqs.change_message_visibility_batch(QueueUrl=its.url, Entries=entries)
        late += [f"{each['Code']}: {each.get('Message')}" for each in answer.get("Failed", [])]
    return late
