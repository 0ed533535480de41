"""What holds for any ranges of time: neighbours together hold what one range over both holds."""

from datetime import UTC, date, datetime, timedelta

import boto3
from hypothesis import example, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from pipeline.alb.keys import ObjectName, classify_key
from pipeline.source.listing import INTERVAL, Wanted, objects_between
from tests.support.keys import log_key, put, utc

DAY = timedelta(days=1)
BUCKET = "alb-test-bucket"
# Around what calendars do: ends of days, months and years, a leap day and none.
MIDNIGHTS = [utc(day) for day in ("2027-01-01", "2028-02-29", "2028-03-01", "2027-03-01")]

offsets = st.timedeltas(-3 * DAY, 3 * DAY) | st.sampled_from([INTERVAL, -INTERVAL, timedelta()])
midnights = st.sampled_from(MIDNIGHTS)
near = st.builds(lambda midnight, off: midnight + off, midnights, offsets)
ends = near.map(lambda time: time.replace(second=0, microsecond=0))
late = st.integers(0, 3)
splits = st.tuples(near, near, near).map(sorted)


def named(end: datetime) -> ObjectName:
    """Return the name of the object whose five minutes end then."""
    name = classify_key(log_key(end))
    assert isinstance(name, ObjectName)
    return name


def found(wanted: Wanted, folder: date, end: datetime) -> bool:
    """Return whether a listing finds an object in the folder of a day."""
    return folder in set(wanted.days()) and wanted.holds_in(folder, named(end))


@given(splits, ends, st.integers(-1, 5), late)
@example([MIDNIGHTS[0]] * 3, MIDNIGHTS[0], 0, 0)
@example([MIDNIGHTS[0] - DAY, MIDNIGHTS[0], MIDNIGHTS[0] + DAY], MIDNIGHTS[0], 0, 0)
def test_neighbours_hold_what_both_hold(
    instants: list[datetime], end: datetime, days_late: int, late_days: int
) -> None:
    """The objects of [a, c) are those of [a, b) and of [b, c), however late they were delivered."""
    a, b, c = instants
    folder = end.date() + days_late * DAY

    first, second, both = (
        found(Wanted(begin, until, late_days=late_days), folder, end)
        for begin, until in ((a, b), (b, c), (a, c))
    )

    assert both == (first or second)


@given(near, near, ends, late)
def test_no_folder_is_missed(a: datetime, b: datetime, end: datetime, late_days: int) -> None:
    """Every folder in which an object could be wanted is walked, and nothing far from the range."""
    wanted = Wanted(min(a, b), max(a, b), late_days=late_days)
    walked = list(wanted.days())

    for off in range(-2, late_days + 3):
        folder = end.date() + off * DAY
        assert folder in walked or not wanted.holds_in(folder, named(end))
    assert len(walked) <= (wanted.end + INTERVAL - wanted.first + INTERVAL) / DAY + 2 + late_days


@given(near, near, ends)
def test_every_line_is_in_a_wanted_object(a: datetime, b: datetime, end: datetime) -> None:
    """An object that holds a line of the range is wanted."""
    wanted = Wanted(min(a, b), max(a, b))

    lines = (end - INTERVAL + timedelta.resolution, end)  # the first and the last that it can hold
    if any(wanted.first <= line < wanted.end for line in lines):
        assert wanted.holds(named(end))


@settings(max_examples=15, deadline=None)
@given(
    midnights,
    st.tuples(offsets, offsets, offsets).map(sorted),
    st.lists(st.tuples(offsets, st.integers(0, 4), st.booleans()), max_size=6),
    late,
)
def test_listed_neighbours(
    midnight: datetime,
    instants: list[timedelta],
    stored: list[tuple[timedelta, int, bool]],
    late_days: int,
) -> None:
    """The same, of keys that S3 lists."""
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket=BUCKET)
        put(s3, BUCKET, log_key(datetime(2020, 1, 1, tzinfo=UTC)))  # so that there are folders
        for off, days, hive in stored:
            end = midnight + off
            put(s3, BUCKET, log_key(end, delivered=end.date() + days * DAY, hive=hive))
        a, b, c = (midnight + off for off in instants)

        first, second, both = (
            {ref.key for ref in objects_between(BUCKET, wanted, s3=s3)}
            for wanted in (
                Wanted(begin, until, late_days=late_days)
                for begin, until in ((a, b), (b, c), (a, c))
            )
        )

    assert both == first | second
