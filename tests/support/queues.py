"""A queue that answers as a test says, and what was sent to it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from pipeline.wiring import Queue

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

URL = "https://sqs.eu-central-1.amazonaws.com/123456789012/alb-logs"

Entry = dict[str, str]
Answer = Callable[[list[Entry]], dict[str, Any]]


@dataclass
class ScriptedSqs:
    """Answer each request by the next of these functions, and when there is none, confirm all."""

    answers: list[Answer] = field(default_factory=list)
    requests: list[list[str]] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)

    def send_message_batch(self, *, QueueUrl: str, Entries: list[Entry]) -> dict[str, Any]:  # noqa: N803  as boto3 calls them
        """Take a request; the bodies of what is confirmed are kept."""
        assert QueueUrl == URL
        self.requests.append([each["Id"] for each in Entries])
        answer = self.answers.pop(0)(Entries) if self.answers else confirming(Entries)
        confirmed = {each["Id"] for each in answer.get("Successful", ())}
        self.bodies += [each["MessageBody"] for each in Entries if each["Id"] in confirmed]
        return answer

    @property
    def client(self) -> "SQSClient":
        """Return itself as boto3's client."""
        return cast("SQSClient", self)

    @property
    def queue(self) -> Queue:
        """Return the queue."""
        return Queue(URL, self.client)


def confirming(entries: list[Entry]) -> dict[str, Any]:
    """Answer that all messages are queued."""
    return {"Successful": [{"Id": each["Id"]} for each in entries]}


def failing(ids: Iterable[str], code: str = "InternalError", *, sender: bool = False) -> Answer:
    """Answer that these messages are not queued, and all others are."""
    refused = set(ids)

    def answer(entries: list[Entry]) -> dict[str, Any]:
        failed = [each["Id"] for each in entries if each["Id"] in refused]
        return {
            "Successful": [{"Id": each["Id"]} for each in entries if each["Id"] not in refused],
            "Failed": [{"Id": each, "Code": code, "SenderFault": sender} for each in failed],
        }

    return answer


def refusing(code: str, status: int) -> Answer:
    """Refuse the whole request."""

    def answer(_entries: list[Entry]) -> dict[str, Any]:
        said = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        raise ClientError(cast("Any", said), "SendMessageBatch")

    return answer
