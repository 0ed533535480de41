"""A failed message comes again soon at first, and keeps half of its time for later tries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.jobs.redelivery import Patience, read_patience


def test_early_failures_come_again_soon() -> None:
    """As deployed: after a minute, then later each time, in the end after the queue's timeout."""
    patience = Patience(visibility=1_830, receives=15)

    assert [57, 114, 228, 457, 915, *[1_830] * 10] == [
        patience.pause(number) for number in range(1, 16)
    ]


def test_no_more_than_five_receives_are_hurried() -> None:
    """A queue that delivers a message more often hurries no more than the first five."""
    assert [57, 114, 228, 457, 915, 1_830] == [
        Patience(1_830, 1_000).pause(number) for number in range(1, 7)
    ]


def test_wishes_fit_into_requests() -> None:
    """A request has at most ten entries of different ids; a message that is to wait is in none."""
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
    """Every pause is at least a second, and at most the queue's own timeout."""
    assert 1 <= Patience(visibility, receives).pause(number) <= visibility


@given(st.integers(1, 43_200), st.integers(1, 1_000))
def test_half_of_the_time_remains(visibility: int, receives: int) -> None:
    """For any queue, the tries span at least half of the time that they would span unhurried."""
    patience = Patience(visibility, receives)
    pauses = [patience.pause(number) for number in range(1, receives + 1)]

    assert pauses == sorted(pauses)
    assert sum(pauses) >= visibility * receives / 2


def test_a_queue_without_a_timeout_is_not_hurried() -> None:
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
    """SQS returns numbers as text, and a redrive policy, where there is one, as JSON."""
    assert patience == read_patience("30", redrive_policy)
