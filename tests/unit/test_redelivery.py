"""A message that failed comes again soon at first, and never runs out of time for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.jobs.redelivery import Patience, read_patience


def test_early_failures_come_again_soon() -> None:
    """As deployed: after a minute, then later and later, at last by the queue's own timeout."""
    patience = Patience(visibility=1_830, receives=15)

    assert [57, 114, 228, 457, 915, *[1_830] * 10] == [
        patience.pause(number) for number in range(1, 16)
    ]


def test_what_can_not_wait_is_not_hurried_more() -> None:
    """A queue that is patient for longer hurries no more than five deliveries."""
    assert [57, 114, 228, 457, 915, 1_830] == [
        Patience(1_830, 1_000).pause(number) for number in range(1, 7)
    ]


def test_wishes_fit_into_requests() -> None:
    """Ten to a request, each of its own id; who is to wait is in none."""
    failed = [
        {"receiptHandle": f"r{n}", "attributes": {"ApproximateReceiveCount": f"{1 + n % 6}"}}
        for n in range(24)
    ]

    requests = list(Patience(1_830, 10).wishes(failed))

    assert [10, 10] == [len(request) for request in requests]
    entries = [entry for request in requests for entry in request]
    assert [f"r{n}" for n in range(24) if n % 6 != 5] == [e["ReceiptHandle"] for e in entries]
    assert {57, 114, 228, 457, 915} == {entry["VisibilityTimeout"] for entry in entries}
    assert len(entries) == len({entry["Id"] for entry in entries})


@given(st.integers(1, 43_200), st.integers(1, 1_000), st.integers(1, 2_000))
def test_nothing_comes_later_than_by_itself(visibility: int, receives: int, number: int) -> None:
    """Every pause is at least a second, and at most what the queue would take."""
    assert 1 <= Patience(visibility, receives).pause(number) <= visibility


@given(st.integers(1, 43_200), st.integers(1, 1_000))
def test_half_of_the_time_remains(visibility: int, receives: int) -> None:
    """However queues are set up, a message is tried for half of what it had without hurry."""
    patience = Patience(visibility, receives)
    pauses = [patience.pause(number) for number in range(1, receives + 1)]

    assert pauses == sorted(pauses)
    assert sum(pauses) >= visibility * receives / 2


def test_a_queue_that_hides_nothing_is_not_waited_for() -> None:
    """A visibility timeout of zero leaves nothing to shorten."""
    assert 0 == Patience(0).pause(1)


@pytest.mark.parametrize(
    ("redrive_policy", "patience"),
    [
        (None, Patience(30, 10)),
        ("", Patience(30, 10)),
        ('{"deadLetterTargetArn": "a", "maxReceiveCount": 7}', Patience(30, 7)),
        ('{"deadLetterTargetArn": "a", "maxReceiveCount": "7"}', Patience(30, 7)),
    ],
)
def test_patience_is_what_the_queue_says(redrive_policy: str | None, patience: Patience) -> None:
    """SQS gives numbers as text, and a redrive policy, where there is one, as JSON."""
    assert patience == read_patience("30", redrive_policy)
