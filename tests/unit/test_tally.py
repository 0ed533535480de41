"""The tally of an object: every line is counted once, and a line too few or too many is seen."""

from dataclasses import replace

import pytest

from pipeline.errors import AccountingError
from pipeline.outcome import Outcome, Tally, tally_of
from pipeline.sink.bulk import Replies
from pipeline.sink.encoding import Batch, Reject, create_action
from pipeline.sink.refusals import Refused

TERMS = ("indexed", "duplicates", "rejected", "filtered", "blank", "truncated")
"""What a line can become."""

FULL = Tally(
    lines=21,
    indexed=1,
    duplicates=2,
    rejected=3,
    filtered=4,
    blank=5,
    truncated=6,
    repeated=7,
    bytes=8,
)


def test_a_balanced_tally_passes() -> None:
    """Lines that are each accounted for once are in order, and so is no line at all."""
    FULL.check()
    Tally().check()


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("wrong_by", [-1, 1])
def test_each_term_is_in_the_equation(term: str, wrong_by: int) -> None:
    """One line too few or too many in any term is an error that shows all terms."""
    wrong = replace(FULL, **{term: getattr(FULL, term) + wrong_by})

    with pytest.raises(AccountingError, match=f"21 lines were read but {21 + wrong_by} are") as it:
        wrong.check()

    assert str(wrong) in str(it.value)


@pytest.mark.parametrize("wrong_by", [-1, 1])
def test_a_line_that_is_not_accounted_for_is_seen(wrong_by: int) -> None:
    """A line read and not accounted for is an error, and so is one accounted for and not read."""
    with pytest.raises(AccountingError, match=f"^{21 + wrong_by} lines were read but 21 are"):
        replace(FULL, lines=21 + wrong_by).check()


def test_what_is_told_besides_is_in_no_equation() -> None:
    """Repeated lines are among the duplicates, and bytes are no lines."""
    replace(FULL, repeated=100, bytes=100).check()


def test_tallies_are_added_term_by_term() -> None:
    """The sum of two tallies has the sum of each term."""
    one = Tally(1, 2, 3, 4, 5, 6, 7, 8, 9)
    other = Tally(10, 20, 30, 40, 50, 60, 70, 80, 90)

    assert Tally(11, 22, 33, 44, 55, 66, 77, 88, 99) == one + other
    assert one == one + Tally()


def test_the_terms_have_names() -> None:
    """Every term has its name, for logs and metrics."""
    assert {
        "lines": 21,
        "indexed": 1,
        "duplicates": 2,
        "rejected": 3,
        "filtered": 4,
        "blank": 5,
        "truncated": 6,
        "repeated": 7,
        "bytes": 8,
    } == FULL.as_dict()


def batch(*ids: str, rejects: int = 0, blank: int = 0) -> Batch:
    """Return a batch of documents with these ids, and of other lines."""
    return Batch(
        read=len(ids) + rejects + blank,
        size=100,
        actions=[create_action(id_, "index", b"{}") for id_ in ids],
        rejects=[Reject(str(n), "bad_time", "no time", b"x", n) for n in range(rejects)],
        blank=blank,
    )


def test_a_batch_is_counted_by_its_replies() -> None:
    """Each term comes from where it happened: replies, acknowledged letters, blank lines."""
    replies = Replies(created=2, duplicates=1, refused={3: Refused("x", "y")})

    counted = tally_of(batch("a", "b", "c", "d", rejects=2, blank=1), replies, 3)

    assert Tally(lines=7, indexed=2, duplicates=1, rejected=3, blank=1, bytes=100) == counted
    counted.check()


def test_equal_lines_of_a_batch_are_told() -> None:
    """Lines whose equal stood before them in the batch are `repeated`, whatever their replies."""
    counted = tally_of(batch("a", "b", "a", "a"), Replies(created=2, duplicates=2), 0)

    assert 2 == counted.repeated
    counted.check()


@pytest.mark.parametrize(
    ("replies", "letters"),
    [
        pytest.param(Replies(created=1), 1, id="a reply lost"),
        pytest.param(Replies(created=3), 1, id="a reply too many"),
        pytest.param(Replies(created=2), 0, id="a letter not acknowledged"),
        pytest.param(Replies(created=2), 2, id="a letter too many"),
        pytest.param(Replies(created=1, refused={1: Refused("x", "y")}), 1, id="a refusal dropped"),
    ],
)
def test_no_term_is_found_by_subtraction(replies: Replies, letters: int) -> None:
    """A wrong count is not made up for by another: the check finds it."""
    counted = tally_of(batch("a", "b", rejects=1), replies, letters)

    with pytest.raises(AccountingError):
        counted.check()


def test_an_outcome_without_error_is_a_success() -> None:
    """An outcome has an error only where one is given."""
    assert Outcome(FULL).error is None
