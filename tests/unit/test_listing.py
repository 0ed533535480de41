"""Listing a range of time: which folders are walked, which objects are wanted, at what cost."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from pipeline.alb.fields import Kind
from pipeline.alb.keys import SkipReason
from pipeline.errors import ConfigError, SourceUnavailableError
from pipeline.source.listing import Listed, Wanted, objects_between
from tests.support.keys import ACCOUNT, FIVE_MINUTES, LOAD_BALANCER, fill, log_key, put, utc, wanted

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "alb-test-bucket"
OTHER_ACCOUNT = "210987654321"
ORGANISATION = "o-a1b2c3d4e5/"
A_DAY = wanted("2026-11-01", "2026-11-02")


@pytest.fixture
def s3() -> Iterator["S3Client"]:
    """Start an emulated S3 with an empty bucket."""
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


def listed(s3: "S3Client", of: Wanted = A_DAY, prefix: str = "") -> list[str]:
    """Return the keys that are listed."""
    return [ref.key for ref in objects_between(BUCKET, of, s3=s3, prefix=prefix)]


def requests_of(s3: "S3Client") -> list[dict[str, Any]]:
    """Return a list that gets the parameters of each request from now on."""
    made: list[dict[str, Any]] = []
    s3.meta.events.register(
        "provide-client-params.s3.ListObjectsV2", lambda params, **_: made.append(params)
    )
    return made


# --- which objects -------------------------------------------------------------------------------


def test_an_object_is_described(s3: "S3Client") -> None:
    """What the listing says of an object is there: size, ETag without quotes, time, and name."""
    key = log_key("2026-11-01T10:05")
    before = datetime.now(UTC) - timedelta(seconds=2)
    etag = s3.put_object(Bucket=BUCKET, Key=key, Body=b"12345")["ETag"]

    (ref,) = objects_between(BUCKET, A_DAY, s3=s3)

    assert (BUCKET, key, 5, etag.strip('"')) == (ref.bucket, ref.key, ref.size, ref.etag)
    assert ref.name is not None
    assert (LOAD_BALANCER, utc("2026-11-01T10:05")) == (ref.name.load_balancer, ref.name.end_time)
    assert ref.created is not None
    assert before <= ref.created <= datetime.now(UTC)
    assert ref.version_id is None


@pytest.mark.parametrize(
    ("end", "inside"),
    [
        pytest.param("2026-11-01T09:59", False, id="ended before"),
        pytest.param("2026-11-01T10:00", True, id="ends at the first instant"),
        pytest.param("2026-11-01T10:02", True, id="ends within"),
        pytest.param("2026-11-01T11:00", True, id="ends with the range"),
        pytest.param("2026-11-01T11:04", True, id="begins within"),
        pytest.param("2026-11-01T11:05", False, id="begins at the end"),
    ],
)
def test_five_minutes_that_overlap_the_range(s3: "S3Client", end: str, inside: bool) -> None:  # noqa: FBT001
    """An object is wanted if its interval, of which the end belongs to it, overlaps the range."""
    key = log_key(end)
    put(s3, BUCKET, key)

    assert [key] * inside == listed(s3, wanted("2026-11-01T10:00", "2026-11-01T11:00"))


@pytest.mark.parametrize(
    "midnight",
    [
        pytest.param("2026-11-02", id="a day"),
        pytest.param("2026-12-01", id="a month"),
        pytest.param("2027-01-01", id="a year"),
        pytest.param("2028-02-29", id="a leap day begins"),
        pytest.param("2028-03-01", id="a leap day ends"),
    ],
)
def test_a_midnight_file_is_of_the_day_before(s3: "S3Client", midnight: str) -> None:
    """The object named T0000Z holds the last minutes of a day: it is found with that day."""
    end = utc(midnight)
    last, first = log_key(end), log_key(end + FIVE_MINUTES)
    put(s3, BUCKET, last, first)
    day = timedelta(days=1)

    assert [last] == listed(s3, Wanted(end - day, end, late_days=0))
    assert [last, first] == listed(s3, Wanted(end, end + day, late_days=0))


@pytest.mark.parametrize(
    ("delivered", "late_days", "found"),
    [
        pytest.param(date(2026, 11, 1), 0, True, id="in time"),
        pytest.param(date(2026, 11, 2), 0, False, id="late, none allowed"),
        pytest.param(date(2026, 11, 2), 1, True, id="a day late"),
        pytest.param(date(2026, 11, 3), 1, False, id="too late"),
        pytest.param(date(2026, 11, 3), 2, True, id="two days late"),
        pytest.param(date(2026, 10, 31), 1, False, id="before it happened"),
    ],
)
def test_folders_are_days_of_delivery(
    s3: "S3Client",
    delivered: date,
    late_days: int,
    found: bool,  # noqa: FBT001
) -> None:
    """An object may be in a later folder, as many days as are allowed; however long the range."""
    key = log_key("2026-11-01T10:05", delivered=delivered)
    put(s3, BUCKET, key)

    for end in ("2026-11-01T10:05", "2026-11-05"):
        assert [key] * found == listed(s3, wanted("2026-11-01", end, late_days=late_days))


# --- layouts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "logs", "logs/", "a/b"])
@pytest.mark.parametrize(
    "layout",
    [
        pytest.param({}, id="default"),
        pytest.param({"organisation": ORGANISATION}, id="organisation"),
        pytest.param({"hive": True}, id="hive"),
    ],
)
def test_layouts(s3: "S3Client", prefix: str, layout: dict[str, Any]) -> None:
    """Accounts and regions are found in every layout, under any prefix, and in no other."""
    before = f"{prefix.rstrip('/')}/" if prefix else ""
    keys = {
        log_key("2026-11-01T10:05", account=account, region=region, prefix=before, **layout)
        for account in (ACCOUNT, OTHER_ACCOUNT)
        for region in ("eu-central-1", "us-gov-west-1")
    }
    put(s3, BUCKET, *keys, log_key("2026-11-01T10:05", prefix="other/"), "AWSLogs")

    assert keys == set(listed(s3, prefix=prefix))
    assert keys == set(listed(s3, prefix=f"{before}AWSLogs/"))


def test_layouts_side_by_side(s3: "S3Client") -> None:
    """A bucket may hold all layouts, and much else."""
    keys = [
        log_key("2026-11-01T10:05"),
        log_key("2026-11-01T10:05", organisation=ORGANISATION),
        log_key("2026-11-01T10:05", hive=True),
    ]
    others = [
        f"AWSLogs/{ACCOUNT}/CloudTrail/eu-central-1/2026/11/01/x.json.gz",
        f"AWSLogs/{ACCOUNT}/ELBAccessLogTestFile",
        "AWSLogs/readme/x",
        f"AWSLogs/{ORGANISATION}CloudTrail/x",
        f"AWSLogs/{ACCOUNT}/elasticloadbalancing/Not a region/x",
    ]
    put(s3, BUCKET, *keys, *others)

    assert set(keys) == set(listed(s3))


def test_days_come_in_order(s3: "S3Client") -> None:
    """All accounts and regions of a day come before the next day."""
    ends = ["2026-11-01T10:05", "2026-11-02T10:05", "2026-11-03T10:05"]
    accounts = (ACCOUNT, OTHER_ACCOUNT)
    put(s3, BUCKET, *(log_key(end, account=each) for each in accounts for end in ends))

    refs = list(objects_between(BUCKET, wanted("2026-11-01", "2026-11-04"), s3=s3))

    days = [ref.name.end_time for ref in refs if ref.name]
    assert 6 == len(days)
    assert sorted(days) == days


def test_siblings_are_counted_and_left(s3: "S3Client") -> None:
    """What else lies in a day's folder is no object; how much of it there is is said."""
    good, next_day = log_key("2026-11-01T10:05"), log_key("2026-11-02T00:05")
    folder = good.rpartition("/")[0]
    other = log_key("2026-11-01T10:05", account=OTHER_ACCOUNT).rpartition("/")[2]
    network = good.replace("_app.", "_net.")
    put(s3, BUCKET, good, next_day, network, f"{folder}/{other}", f"{folder}/x")
    told: list[Listed] = []

    refs = list(objects_between(BUCKET, A_DAY, s3=s3, watch=told.append))

    assert [good] == [ref.key for ref in refs]
    assert [date(2026, 10, 31) + timedelta(each) for each in range(4)] == [e.day for e in told]
    assert [(0, 0), (1, 0), (0, 1), (0, 0)] == [(each.wanted, each.unwanted) for each in told]
    assert f"{folder}/" == told[1].folder
    assert {
        SkipReason.NETWORK_LOAD_BALANCER: 1,
        SkipReason.CONTRADICTORY_KEY: 1,
        SkipReason.FOREIGN_KEY: 1,
    } == dict(told[1].skipped)


# --- filters -------------------------------------------------------------------------------------

FILTERED = {
    "access": log_key("2026-11-01T10:05"),
    "connection": log_key("2026-11-01T10:05", kind="conn_log_"),
    "api": log_key("2026-11-01T10:05", load_balancer="app/api-alb/aaaa"),
    "api again": log_key("2026-11-01T10:05", load_balancer="app/api-alb/bbbb"),
    "account": log_key("2026-11-01T10:05", account=OTHER_ACCOUNT),
    "region": log_key("2026-11-01T10:05", region="eu-west-1"),
}


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ({"load_balancers": ["api-alb"]}, {"api", "api again"}),
        ({"load_balancers": ["app/api-alb/bbbb"]}, {"api again"}),
        ({"load_balancers": ["api-alb", LOAD_BALANCER]}, {*FILTERED}),
        ({"load_balancers": ["api"]}, set()),
        ({"accounts": [OTHER_ACCOUNT]}, {"account"}),
        ({"regions": ["eu-west-1"]}, {"region"}),
        ({"accounts": [ACCOUNT, OTHER_ACCOUNT], "regions": ["eu-west-1"]}, {"region"}),
        ({"kinds": [Kind.CONNECTION]}, {"connection"}),
        ({"kinds": [Kind.CONNECTION], "accounts": [OTHER_ACCOUNT]}, set()),
        ({}, {*FILTERED}),
    ],
    ids=range(10),
)
def test_filters(s3: "S3Client", names: dict[str, Any], found: set[str]) -> None:
    """Filters of one kind add up, those of different kinds narrow one another."""
    put(s3, BUCKET, *FILTERED.values())

    assert {FILTERED[each] for each in found} == set(
        listed(s3, wanted("2026-11-01", "2026-11-02", **names))
    )


def test_unwanted_accounts_are_not_walked(s3: "S3Client") -> None:
    """A filter on accounts and regions saves the requests for the others."""
    put(s3, BUCKET, *FILTERED.values())
    made = requests_of(s3)

    listed(s3, wanted("2026-11-01", "2026-11-02", accounts=[ACCOUNT], regions=["eu-west-1"]))

    walked = [each["Prefix"] for each in made]
    assert ["AWSLogs/", f"AWSLogs/{ACCOUNT}/elasticloadbalancing/"] == walked[:2]
    assert all("/eu-west-1/" in each for each in walked[2:])
    assert 2 + 4 == len(walked)


# --- what it costs -------------------------------------------------------------------------------


def test_the_size_of_the_bucket_costs_nothing(s3: "S3Client") -> None:
    """Over 100,000 keys of other days take no request more: days x accounts x regions do."""
    keys = {
        log_key(utc(day) + FIVE_MINUTES, account=account, region=region)
        for day in ("2026-11-01", "2026-11-02", "2026-11-03")
        for account in (ACCOUNT, OTHER_ACCOUNT)
        for region in ("eu-central-1", "eu-west-1")
    }
    put(s3, BUCKET, *keys)
    others = (
        log_key(utc("2026-09-01") + number * FIVE_MINUTES, account=account, tag=tag)
        for number in range(10_000)
        for account in (ACCOUNT, OTHER_ACCOUNT)
        for tag in ("a", "b", "c", "d", "e")
    )
    begun = utc("2026-09-01") + 10_000 * FIVE_MINUTES
    assert begun < utc("2026-10-31")
    fill(s3, BUCKET, others)
    made = requests_of(s3)

    assert keys == set(listed(s3, wanted("2026-11-01", "2026-11-04")))

    root, accounts = 1, 2
    assert root + accounts + (3 + 2) * 2 * 2 + 2 * 2 == len(made)


def test_pages_are_read_as_they_are_needed(s3: "S3Client") -> None:
    """A folder of many pages is not read ahead of whoever takes its objects."""
    keys = [log_key("2026-11-01T10:05", tag=f"t{number}") for number in range(2_500)]
    put(s3, BUCKET, keys[0])
    fill(s3, BUCKET, keys[1:])
    made = requests_of(s3)

    refs = objects_between(BUCKET, wanted("2026-11-01T06:00", "2026-11-02", late_days=0), s3=s3)

    assert next(refs)
    assert 1 + 1 + 1 == len(made)


# --- what is wrong -------------------------------------------------------------------------------


def test_no_bucket(s3: "S3Client") -> None:
    """A bucket that does not exist is the user's error."""
    with pytest.raises(ConfigError, match="s3://no-such-bucket/AWSLogs/: there is no such bucket"):
        next(objects_between("no-such-bucket", A_DAY, s3=s3))


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        pytest.param("", "there is no folder s3://alb-test-bucket/AWSLogs/: ", id="none"),
        pytest.param("x", "there is no folder s3://alb-test-bucket/x/AWSLogs/: ", id="prefix"),
        pytest.param("logs", "no load balancer has written logs", id="only another service's"),
        pytest.param("logs/AWSLogs/123456789012", "end it before AWSLogs", id="goes on"),
        pytest.param("AWSLogs/x/", "end it before AWSLogs", id="goes on, with a slash"),
    ],
)
def test_no_folders(s3: "S3Client", prefix: str, said: str) -> None:
    """Where there are no logs the error says what was looked for: nothing listed is not enough."""
    put(s3, BUCKET, f"logs/AWSLogs/{ACCOUNT}/CloudTrail/x", "x/y")

    with pytest.raises(ConfigError, match=said):
        listed(s3, prefix=prefix)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"accounts": [ACCOUNT, "0" * 12]}, f"account 0{{12}}: check .* those of {ACCOUNT}$"),
        ({"regions": ["eu-nowhere-1"]}, "region eu-nowhere-1: .* those of eu-central-1, eu-west-1"),
    ],
)
def test_an_account_or_region_that_is_not_there(
    s3: "S3Client", names: dict[str, Any], said: str
) -> None:
    """A misspelled account or region is an error: an empty listing would hide it."""
    put(s3, BUCKET, FILTERED["access"], FILTERED["region"])

    with pytest.raises(ConfigError, match=said):
        listed(s3, wanted("2026-11-01", "2026-11-02", **names))


def test_many_accounts_are_not_all_named(s3: "S3Client") -> None:
    """An error stays one sentence."""
    put(s3, BUCKET, *(log_key("2026-11-01T10:05", account=f"{at:012}") for at in range(1, 13)))

    with pytest.raises(ConfigError, match=r"000000000010 and 2 more$"):
        listed(s3, wanted("2026-11-01", "2026-11-02", accounts=["0" * 12]))


@pytest.mark.parametrize(
    ("code", "status", "error", "said"),
    [
        ("AccessDenied", 403, ConfigError, "grant it on the bucket"),
        ("NoSuchBucket", 404, ConfigError, "there is no such bucket"),
        ("InvalidRequest", 400, ConfigError, "S3 refuses to list it"),
        ("SlowDown", 503, SourceUnavailableError, "cannot serve it now"),
    ],
)
def test_refusals(
    s3: "S3Client", code: str, status: int, error: type[Exception], said: str
) -> None:
    """A refusal names what was listed, and the fix."""
    with Stubber(s3) as stubber:
        stubber.add_client_error("list_objects_v2", code, "in its own words", status)
        with pytest.raises(error, match=f"^s3://{BUCKET}/AWSLogs/: .*{said}"):
            listed(s3)
