"""
No line costs much more than ordinary lines of its length, whatever its writer puts into it.

CPU time of this thread, and ratios to ordinary lines in the same minute: other processes and slow
machines make little difference.
"""

import pytest

from devstack.traffic import ordinary_lines
from pipeline.source.reading import LONGEST_LINE
from tests.fuzz.hostile import (
    all_cases,
    dearest,
    ordinary_seconds,
    seconds,
    seconds_of,
)
from tests.support.factories import START

KIB = 1024
MOST_SECONDS = 0.010
"""For the longest line, where ordinary lines of that length take 2 ms; a slow machine has more."""

pytestmark = pytest.mark.no_cover


def test_time_grows_with_the_length_alone() -> None:
    """Four times as long is about four times as dear; the longest line costs 10 ms."""
    ordinary = ordinary_seconds(LONGEST_LINE)
    for case in dearest(all_cases(every_column=False), 64 * KIB, 12):
        short, long = (seconds(case, length, 7) for length in (64 * KIB, LONGEST_LINE))
        assert long < 8 * short, case
        assert long <= max(MOST_SECONDS, 5 * ordinary), case


@pytest.mark.parametrize("length", [4 * KIB, 16 * KIB])
def test_no_byte_costs_ten_times_an_ordinary_one(length: int) -> None:
    """Lines as long as real ones can be cost less than ten times as much as ordinary ones."""
    ordinary = ordinary_seconds(length)

    for case in dearest(all_cases(every_column=False), length, 12):
        assert seconds(case, length, 15) < 10 * ordinary, case


@pytest.mark.parametrize(
    "agent",
    [
        pytest.param(b'"Mozilla/5.0 \\x22x\\x22', id="escaped-quote"),
        pytest.param(b'"Mozilla/5.0 \\xC3\\xA9', id="not-ascii"),
        pytest.param(b'"Mozilla/5.0 "x"', id="stray-quote"),
        pytest.param(b'Mozilla/5.0 "', id="stray-quote-outside"),
    ],
)
def test_an_odd_user_agent_costs_little(agent: bytes) -> None:
    """Lines that are ordinary but for their user agent cost less than ten times as much."""
    lines = ordinary_lines(1, 6_000, start=START)
    pairs = [
        (line, line.replace(b'"Mozilla/5.0', agent, 1)) for line in lines if b'"Mozilla/5.0' in line
    ]
    assert len(pairs) > 3_000

    before, after = (seconds_of(list(each), 5) for each in zip(*pairs, strict=True))

    assert after < 10 * before
