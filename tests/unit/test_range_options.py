"""The options by which commands choose objects: what they mean, and how they are refused."""

from datetime import UTC, datetime, timedelta

import click
import pytest
from click.testing import CliRunner, Result

from pipeline.alb.fields import Kind
from pipeline.cli.ranges import Range, range_options

GIVEN: list[Range] = []


@click.command
@range_options()
@click.option("--other")
def command(chosen: Range, other: str | None) -> None:
    """Take what was chosen."""
    assert other is None
    GIVEN.append(chosen)


@click.command
@range_options(bucket_required=False)
def without_bucket(chosen: Range) -> None:
    """Take what was chosen."""
    GIVEN.append(chosen)


def run(*arguments: str) -> Result:
    """Run the command for a bucket."""
    return CliRunner().invoke(command, ["--bucket", "logs", *arguments])


def chosen(*arguments: str) -> Range:
    """Return what is chosen."""
    result = run(*arguments)
    assert 0 == result.exit_code, result.output
    return GIVEN.pop()


def instant(text: str) -> datetime:
    """Return an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_range() -> None:
    """The range is from one time up to another, and nothing is filtered."""
    range_ = chosen("--from", "2025-11-01", "--to", "2025-11-02T10:00")

    assert ("logs", "", UTC) == (range_.bucket, range_.prefix, range_.zone)
    wanted = range_.wanted
    assert (instant("2025-11-01"), instant("2025-11-02T10:00")) == (wanted.first, wanted.end)
    assert 1 == wanted.late_days
    assert not wanted.load_balancers | wanted.accounts | wanted.regions | wanted.kinds


@pytest.mark.parametrize("end", [[], ["--to", "now"], ["--to", "2099-01-01"]], ids=str)
def test_a_range_ends_now_at_the_latest(end: list[str]) -> None:
    """Without an end, or with one that is to come, the range ends now."""
    before = datetime.now(UTC)

    found = chosen("--from", "2h ago", *end).wanted

    assert before - timedelta(seconds=5) <= found.end <= datetime.now(UTC)
    assert timedelta(hours=2) <= found.end - found.first < timedelta(hours=2, seconds=5)


def test_the_zone_may_come_last() -> None:
    """The zone counts for both times, wherever it stands."""
    arguments = ["--from", "2025-07-01", "--to", "2025-07-02", "--time-zone", "Europe/Berlin"]

    found = chosen(*arguments)

    assert instant("2025-06-30T22:00") == found.wanted.first
    assert instant("2025-07-01T22:00") == found.wanted.end
    assert "Europe/Berlin" == str(found.zone)


def test_filters() -> None:
    """Every filter may be repeated; a load balancer's ARN stands for its name."""
    arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/shop/50dc"
    pairs = [
        ("--load-balancer", "frontend-alb"),
        ("--load-balancer", arn),
        ("--account", "123456789012"),
        ("--account", "210987654321"),
        ("--region", "eu-central-1"),
        ("--kind", "connection"),
        ("--kind", "health-check"),
        ("--late-days", "3"),
        ("--prefix", "logs/"),
    ]

    found = chosen("--from", "1d ago", *(each for pair in pairs for each in pair))

    assert "logs/" == found.prefix
    assert {"frontend-alb", "app/shop/50dc"} == found.wanted.load_balancers
    assert {"123456789012", "210987654321"} == found.wanted.accounts
    assert {"eu-central-1"} == found.wanted.regions
    assert {Kind.CONNECTION, Kind.HEALTH_CHECK} == found.wanted.kinds
    assert 3 == found.wanted.late_days


def test_before_there_were_logs_nothing_is_walked() -> None:
    """A range begins no earlier than the first Application Load Balancer."""
    assert instant("2016-01-01") == chosen("--from", "1990-01-01").wanted.first


def test_a_bucket_may_be_left_out() -> None:
    """Where objects can be named in another way there may be no bucket."""
    result = CliRunner().invoke(without_bucket, ["--from", "1d ago"])

    assert 0 == result.exit_code
    assert GIVEN.pop().bucket is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing option '--from'"),
        (["--from", "2025-11-02", "--to", "2025-11-01"], "is not before --to"),
        (["--from", "2025-11-02", "--to", "2025-11-02"], "is not before --to"),
        (["--from", "2099-01-01"], "is in the future"),
        (["--from", "soon"], "is no time: write it as"),
        (["--from", "1d ago", "--to", "soon"], "is no time: write it as"),
        (["--from", "1d ago", "--time-zone", "Mars"], "no time zone 'Mars'"),
        (["--from", "1d ago", "--account", "12"], "twelve digits"),
        (["--from", "1d ago", "--region", "eu/central"], "is not a region"),
        (["--from", "1d ago", "--load-balancer", "net/x/y"], "Application Load Balancer"),
        (["--from", "1d ago", "--kind", "auto"], "'auto' is not one of"),
        (["--from", "1d ago", "--late-days", "-1"], "late-days"),
        (["--from", "1d ago", "--bucket", "s3://logs/x"], "name the bucket alone"),
        (["--from", "1d ago", "--bucket", ""], "name the bucket alone"),
    ],
    ids=str,
)
def test_refused(arguments: list[str], said: str) -> None:
    """What makes no sense is a wrong call, in one sentence."""
    result = run(*arguments)

    assert 2 == result.exit_code
    assert said in " ".join(result.output.split())
    assert not GIVEN
