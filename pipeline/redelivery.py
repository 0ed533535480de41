"""
Say how soon a message that failed comes again: early failures sooner than the queue would have it.

A queue's visibility timeout must outlast the longest invocation, so that a blip of Elasticsearch
would cost half an hour. A message tried for the first times comes back sooner, then ever later, and
keeps at least half of the time that it has before it is given up.

docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
"""

import json
from dataclasses import dataclass

_RECEIVES_WITHOUT_REDRIVE = 10


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

        Half of the receives are hurried, the last of them by half, each before it by half of the
        next; never above `visibility`, never below a second (or what `visibility` leaves).
        """
        halvings = max(0, self.receives // 2 - receives + 1)
        return min(self.visibility, max(1, self.visibility >> halvings))


def read_patience(visibility_timeout: str, redrive_policy: str | None = None) -> Patience:
    """Read a queue's attributes of these names, as SQS gives them; not every queue has the last."""
    policy = json.loads(redrive_policy or "{}")
    receives = int(policy.get("maxReceiveCount", _RECEIVES_WITHOUT_REDRIVE))
    return Patience(int(visibility_timeout), receives)
