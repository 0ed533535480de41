"""
Send messages to a queue in batches, and say of each whether it is there.

A request may succeed as a whole and fail for single messages: those alone are sent again, until the
deadline. A message whose answer was lost is in the queue twice, which is harmless: ids see to that.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING

from pipeline.aws_refusals import Action, aws_errors
from pipeline.deadline import Deadline
from pipeline.errors import ConfigError, PipelineError, RetriableError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import BatchResultErrorEntryTypeDef as Refused

MOST_MESSAGES = 10
MOST_BYTES = 262_144
"""What one request may hold."""

_LEAST_SECONDS = 0.1
"""What a request may take at the very end: a client with less has no time to connect."""


def batches_of(messages: Iterable[str]) -> Iterator[list[str]]:
    """Yield the messages in batches that each fit into one request; a larger one is alone."""
    batch: list[str] = []
    size = 0
    for message in messages:
        length = len(message.encode())
        if batch and (len(batch) == MOST_MESSAGES or size + length > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += length
    if batch:
        yield batch


class BatchSender:
    """
    Send batches of messages about one subject to one queue.

    `client` returns the client for a request that may take no more than so many seconds.
    """

    def __init__(self, url: str, client: "Callable[[float], SQSClient]", subject: str) -> None:
        self._url, self._client, self._subject = url, client, subject

    def send(self, messages: Sequence[str], deadline: Deadline) -> list[PipelineError | None]:
        """Send one batch; return for each message the error by which it is not queued, or None."""
        waiting = dict(enumerate(messages))
        errors: dict[int, PipelineError | None] = {}
        for attempt in count():
            sent = self._attempt(waiting, max(_LEAST_SECONDS, deadline.seconds_left))
            errors |= sent
            waiting = {at: messages[at] for at in sent if isinstance(sent[at], RetriableError)}
            if not waiting or not deadline.back_off(attempt):
                break
        return [errors[at] for at in range(len(messages))]

    def _attempt(
        self, messages: Mapping[int, str], seconds: float
    ) -> Mapping[int, PipelineError | None]:
        """Send messages once; return for each its error, unless SQS has confirmed it."""
        try:
            with aws_errors(Action.SEND_MESSAGE, self._subject):
                answer = self._client(seconds).send_message_batch(
                    QueueUrl=self._url,
                    Entries=[{"Id": f"{at}", "MessageBody": messages[at]} for at in messages],
                )
        except PipelineError as error:
            return dict.fromkeys(messages, error)
        confirmed = {each["Id"] for each in answer.get("Successful", ())}
        refused = {each["Id"]: each for each in answer.get("Failed", ())}
        return {
            at: None if f"{at}" in confirmed else self._refusal(refused.get(f"{at}"))
            for at in messages
        }

    def _refusal(self, refused: "Refused | None") -> PipelineError:
        """Return our error for a message that SQS refuses, or of which it says nothing."""
        if refused is None:
            return RetriableError(f"{self._subject} cannot be queued now: SQS confirms nothing")
        why = f"{refused['Code']}: {refused.get('Message', '')}"
        if refused["SenderFault"] and "Throttl" not in refused["Code"]:
            return ConfigError(f"{self._subject} cannot be queued: {why}: see the queue's settings")
        return RetriableError(f"{self._subject} cannot be queued now: {why}")
