"""What is the same for every line of an object, built from what is known of the object."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from pipeline.alb.document import Context, Period
from pipeline.alb.fields import Kind
from pipeline.alb.keys import ObjectName

NOW = datetime(2026, 12, 31, 12, 30, 59, 999_999, tzinfo=UTC)
NAME = ObjectName(
    kind=Kind.CONNECTION,
    account="123456789012",
    region="eu-central-1",
    load_balancer="app/shop/1234567890abcdef",
    end_time=NOW,
    node_ip="10.0.0.7",
)


def test_clocks_may_be_wrong_by_a_day() -> None:
    """The last instant that an event may have is a day from now, whole seconds counting."""
    assert Context(latest="2027-01-01T12:30:59Z") == Context.of(NOW)


@pytest.mark.parametrize(
    ("end", "earliest", "latest"),
    [
        pytest.param("2026-11-20T10:05Z", "2026-11-19T10:05", "2026-11-21T10:05", id="past"),
        pytest.param("2026-12-31T12:35Z", "2026-12-30T12:35", "2027-01-01T12:30:59", id="now"),
        pytest.param("2031-01-01T00:00Z", "2030-12-31T00:00", "2027-01-01T12:30:59", id="future"),
        pytest.param("2016-01-01T12:00Z", "2016-01-01T00:00", "2016-01-02T12:00", id="the first"),
        pytest.param("0001-01-01T00:00Z", "2016-01-01T00:00", "0001-01-02T00:00", id="no such"),
    ],
)
def test_a_name_says_which_events_an_object_may_hold(end: str, earliest: str, latest: str) -> None:
    """They are at most a day before or after the end time in its name, nor ahead of now."""
    context = Context.of(NOW, name=replace(NAME, end_time=datetime.fromisoformat(end)))

    assert context.earliest.startswith(earliest)
    assert context.latest.startswith(latest)


def test_a_name_says_kind_account_and_region() -> None:
    """Three facts come from the object's name."""
    context = Context.of(NOW, name=NAME)

    assert (Kind.CONNECTION, "123456789012", "eu-central-1") == (
        context.kind,
        context.account,
        context.region,
    )


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        pytest.param(NAME, Kind.HEALTH_CHECK, Kind.HEALTH_CHECK, id="over the name's"),
        pytest.param(None, Kind.ACCESS, Kind.ACCESS, id="without a name"),
        pytest.param(None, None, None, id="neither: each line says it"),
    ],
)
def test_a_chosen_kind_counts_more_than_the_name(
    name: ObjectName | None, kind: Kind | None, expected: Kind | None
) -> None:
    """The kind is the chosen one, else the name's, else left to each line."""
    assert expected == Context.of(NOW, name=name, kind=kind).kind


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(NOW, id="UTC"),
        pytest.param(NOW.astimezone(timezone(timedelta(hours=2))), id="another zone"),
    ],
)
def test_the_moment_is_stored_only_where_it_is_asked_for(now: datetime) -> None:
    """`event.ingested` is now, in UTC and milliseconds; without the stamp there is none."""
    assert "2026-12-31T12:30:59.999Z" == Context.of(now, stamped=True).ingested
    assert Context.of(now).ingested is None


def test_settings_are_taken_over() -> None:
    """Whatever the caller knows of store and object stands in the context as it was given."""
    context = Context.of(
        NOW, prefix="shop", period=Period.MONTH, bucket="logs", key="a.log.gz", keep_original=True
    )

    assert context == Context(
        latest="2027-01-01T12:30:59Z",
        prefix="shop",
        period=Period.MONTH,
        bucket="logs",
        key="a.log.gz",
        keep_original=True,
    )
