"""Messages are sent in batches, and what became of each is known."""

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.deadline import Deadline
from pipeline.errors import ConfigError, RetriableError
from pipeline.jobs.sending import MOST_BYTES, MOST_MESSAGES, BatchSender, batches_of
from tests.support.deadlines import at_once, longest_pause
from tests.support.queues import URL, Answer, ScriptedSqs, failing, refusing

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


def sender_to(sqs: ScriptedSqs, seconds: list[float] | None = None) -> BatchSender:
    """Return a sender; the seconds that its requests may take are noted."""

    def client(most: float) -> "SQSClient":
        if seconds is not None:
            seconds.append(most)
        return sqs.client

    return BatchSender(URL, client, "what is sent")


@given(st.lists(st.integers(1, 2 * MOST_BYTES) | st.integers(1, 50_000), max_size=40))
def test_batches_fit_into_requests(sizes: list[int]) -> None:
    """No batch has too many messages or bytes, none is lost, and their order stays."""
    messages = ["é" * (size // 2) + "x" * (size % 2) for size in sizes]

    batches = list(batches_of(messages))

    assert messages == [each for batch in batches for each in batch]
    for batch in batches:
        assert 1 <= len(batch) <= MOST_MESSAGES
        assert len(batch) == 1 or sum(len(each.encode()) for each in batch) <= MOST_BYTES


@given(st.integers(0, 55))
def test_batches_are_as_large_as_may_be(number: int) -> None:
    """Small messages go ten by ten: a request costs the same with one."""
    assert math.ceil(number / MOST_MESSAGES) == len(list(batches_of(["m"] * number)))


def test_only_what_failed_is_sent_again() -> None:
    """Of a batch that failed in part, each message ends up in the queue once."""
    sqs = ScriptedSqs([failing("137"), failing("3")])
    pauses: list[float] = []

    errors = sender_to(sqs).send([f"m{n}" for n in range(10)], at_once(pauses))

    assert [None] * 10 == errors
    assert [[f"{n}" for n in range(10)], ["1", "3", "7"], ["3"]] == sqs.requests
    assert sorted(f"m{n}" for n in range(10)) == sorted(sqs.bodies)
    assert all(pause <= longest_pause(attempt) for attempt, pause in enumerate(pauses))
    assert 2 == len(pauses)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(refusing("ServiceUnavailable", 503), id="unavailable"),
        pytest.param(refusing("ThrottlingException", 400), id="throttled"),
        pytest.param(failing("01", "KMS.ThrottlingException", sender=True), id="key-throttled"),
        pytest.param(lambda _: {}, id="no-word"),
    ],
)
def test_what_may_pass_is_tried_again(answer: Answer) -> None:
    """A queue that is busy is asked again; a message that it says nothing of counts as not sent."""
    sqs = ScriptedSqs([answer, answer])

    assert [None, None] == sender_to(sqs).send(["a", "b"], at_once())
    assert ["a", "b"] == sqs.bodies
    assert 3 == len(sqs.requests)


@pytest.mark.parametrize(
    ("answer", "fix"),
    [
        (refusing("AccessDenied", 403), "grant sqs:SendMessage"),
        (refusing("AWS.SimpleQueueService.NonExistentQueue", 400), "address of the"),
        (failing("0", "InvalidParameterValue", sender=True), "see the queue's settings"),
    ],
)
def test_what_stays_refused_is_sent_once(answer: Answer, fix: str) -> None:
    """What only the operator can fix is an error at once, that names the fix."""
    sqs = ScriptedSqs([answer])

    (error,) = sender_to(sqs).send(["a"], at_once())

    assert isinstance(error, ConfigError)
    assert fix in str(error)
    assert 1 == len(sqs.requests)


def test_one_refused_message_does_not_hide_another() -> None:
    """Each message has its own end: refused, failed until the deadline, or queued."""
    sqs = ScriptedSqs([failing("0", "InvalidMessageContents", sender=True)])

    errors = sender_to(sqs).send(["a", "b"], at_once())

    assert [ConfigError, type(None)] == [type(each) for each in errors]


def test_a_deadline_ends_it() -> None:
    """With no time for another attempt the message is not sent, and the error says why."""
    sqs = ScriptedSqs([failing("0")])
    seconds: list[float] = []

    (error,) = sender_to(sqs, seconds).send(["a"], Deadline(end=0.0))

    assert isinstance(error, RetriableError)
    assert "cannot be queued now: InternalError" in str(error)
    assert seconds == [0.1]
