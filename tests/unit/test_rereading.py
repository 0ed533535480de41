"""Single lines of an object are read again at their offsets, in one pass."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest

from pipeline.alb.document import Period
from pipeline.deadline import Deadline
from pipeline.errors import ObjectMissingError
from pipeline.ingest import Options
from pipeline.jobs.rereading import LinesAt
from pipeline.sink.store import Store
from pipeline.source.reading import LONGEST_LINE, LongLine
from tests.support.factories import KEY, gz
from tests.support.letters import BUCKET, OneS3, emulated_s3, offsets_of, pipeline_of

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

LONG = b"y" * (LONGEST_LINE + 1)
LINES = [b"first", b"with a carriage return\r", b"", LONG, b"x" * 90, b"last"]
AT = offsets_of(LINES)


@pytest.fixture(scope="module")
def s3() -> Iterator[OneS3]:
    """Return an S3 that holds the lines."""
    with emulated_s3() as s3:
        s3.put(KEY, gz(*LINES))
        yield s3


@pytest.fixture
def lines(s3: OneS3) -> LinesAt:
    """Return the lines of the object, of which none was read yet."""
    s3.read.clear()
    return lines_of_object(s3, KEY)


def lines_of_object(s3: OneS3, key: str) -> LinesAt:
    """Return the lines of an object, whose chunks hold some 100 bytes."""
    store = Store(cast("Elasticsearch", None), "p", Period.DAY)
    return LinesAt(pipeline_of(store, s3, Options(bulk_bytes=200)), BUCKET, key, Deadline())


def test_each_line_is_at_its_offset(s3: OneS3, lines: LinesAt) -> None:
    """In one pass, without its line end; the same one as often as it is asked for."""
    found = [lines.at(offset) for offset in (AT[0], AT[0], AT[1], AT[2], AT[4], AT[5])]

    assert [LINES[0], LINES[0], LINES[1].removesuffix(b"\r"), b"", LINES[4], LINES[5]] == found
    assert [KEY] == s3.read


def test_a_long_line_is_not_held(lines: LinesAt) -> None:
    """It is described, where it begins and nowhere else."""
    assert isinstance(lines.at(AT[3]), LongLine)
    assert lines.at(AT[3] + 1) is None


def test_no_line_begins_within_another(lines: LinesAt) -> None:
    """Nor before what is read already, nor after the end."""
    assert lines.at(3) is None
    assert LINES[5] == lines.at(AT[5])
    assert lines.at(AT[1]) is None
    assert lines.at(10**9) is None


def test_an_object_that_cannot_be_read_is_asked_for_once(s3: OneS3) -> None:
    """Every line of it raises the same."""
    s3.read.clear()
    lines = lines_of_object(s3, KEY.replace("3q2xk9fz", "none"))

    for _ in range(3):
        with pytest.raises(ObjectMissingError):
            lines.at(0)
    assert 1 == len(s3.read)


def test_what_was_not_opened_is_closed_all_the_same(s3: OneS3, lines: LinesAt) -> None:
    """No request is made for an object that nobody asks a line of."""
    lines.close()

    assert [] == s3.read
