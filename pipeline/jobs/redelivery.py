"""
Say how soon a message that failed comes again: early failures sooner than the queue would have it.

A queue's visibility timeout must outlast the longest invocation, so that a blip of Elasticsearch
would cost half an hour. A message tried for the first times comes back sooner, then ever later, and
keeps at least half of the time that it has before it is given up.

docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import ChangeMessageVisibilityBatchRequestEntryTypeDef as Entry

_RECEIVES_WITHOUT_REDRIVE = 10
_MOST_HURRIED = 5
_MOST_ENTRIES = 10


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How patient a queue is.

    `visibility`: seconds before an unacknowledged message comes again; `receives`: how often it
    comes before it is given up.
    """

    visibility: int
    receives: int = _RECEIVES_WITHOUT_REDRIVE

    def pause(self, receives: int) -> int:
        """
        Give the seconds until a message that failed at its so manyth receive should come again.

        The first five receives are hurried, but no more than half of all: the last of them by half,
        each before it by half of the next. Never above `visibility`; a second, if that leaves one.
        """
        halvings = max(0, min(_MOST_HURRIED, self.receives // 2) - receives + 1)
        return min(self.visibility, max(1, self.visibility >> halvings))

    def wishes(self, failed: Sequence[dict[str, Any]]) -> "Iterator[list[Entry]]":
        """
        Give the entries of ChangeMessageVisibilityBatch requests for SQS records that failed.

        A message that is to come when it would by itself is in none of them.
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
    """Read a queue's attributes of these names, as SQS gives them; not every queue has the last."""
    policy = json.loads(redrive_policy or "{}")
    receives = int(policy.get("maxReceiveCount", _RECEIVES_WITHOUT_REDRIVE))
    return Patience(int(visibility_timeout), receives)
