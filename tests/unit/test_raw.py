"""Finding raw lines in a bucket alone: where is looked, what is passed over, what is refused."""

import gzip
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from botocore.stub import Stubber
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig
from elasticsearch import ApiError, Elasticsearch, NotFoundError
from moto import mock_aws

from devstack.traffic import line_id
from pipeline.alb.fields import Kind
from pipeline.cli import main
from pipeline.errors import ConfigError
from pipeline.jobs.hints import Hint, Index
from pipeline.jobs.raw import Finder, Ids, Place, RawLine, Traced, root_of
from tests.support.commands import Run
from tests.support.factories import alb_line, gz
from tests.support.keys import REGION, log_key, utc

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "alb-test-bucket"
LINE = alb_line(1, time="2026-11-20T10:02:00.000000Z")
ID = line_id(LINE)
AT = utc("2026-11-20T10:02")
KEY = log_key("2026-11-20T10:05")
HERE = Place(BUCKET)


@pytest.fixture
def s3() -> Iterator["S3Client"]:
    """Start an emulated S3 with a bucket that holds one object."""
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        client.put_object(Bucket=BUCKET, Key=KEY, Body=gz(LINE))
        yield client


def finder(s3: "S3Client", place: Place | None = HERE) -> Finder:
    """Return a search in a bucket alone."""
    return Finder(lambda _: s3, place=place)


def found(s3: "S3Client", *hints: Hint, place: Place | None = HERE) -> list[RawLine]:
    """Return the lines of hints."""
    return list(finder(s3, place).find(Ids(hint.id for hint in hints), hints))


# --- where is looked -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "there"),
    [
        pytest.param("2026-11-20T09:55", False, id="two intervals before"),
        pytest.param("2026-11-20T10:00", True, id="an interval before"),
        pytest.param("2026-11-20T10:05", True, id="its own interval"),
        pytest.param("2026-11-20T10:10", True, id="an interval after"),
        pytest.param("2026-11-20T10:15", False, id="two intervals after"),
    ],
)
def test_an_interval_more_on_both_sides(s3: "S3Client", end: str, there: bool) -> None:  # noqa: FBT001
    """A line is looked for in its own five minutes, and in those before and after."""
    line = alb_line(2, time="2026-11-20T10:02:00.000000Z")
    s3.put_object(Bucket=BUCKET, Key=log_key(end), Body=gz(line))

    assert there == bool(found(s3, Hint(line_id(line), AT)))


@pytest.mark.parametrize(
    ("hint", "there"),
    [
        (Hint(ID, AT, Kind.ACCESS, "app/frontend-alb/50dc6c495c0c9188", "123456789012", REGION), 1),
        (Hint(ID, AT, load_balancer="frontend-alb"), 1),
        (Hint(ID, AT, load_balancer="another-alb"), 0),
        (Hint(ID, AT, Kind.CONNECTION), 0),
        (Hint(ID, bucket=BUCKET, key=KEY), 1),
        (Hint(ID, AT, bucket="another", key=KEY), 1),
        (Hint(ID, bucket="another", key=KEY), 0),
        (Hint(ID), 0),
    ],
    ids=str,
)
def test_what_a_document_says(s3: "S3Client", hint: Hint, there: int) -> None:
    """What is known of a line narrows where it is looked for; another bucket is never read."""
    assert there == len(found(s3, hint))


def test_without_a_bucket_nothing_is_listed(s3: "S3Client") -> None:
    """Only the object that a document names is read then."""
    assert not found(s3, Hint(ID, AT), place=None)
    assert found(s3, Hint(ID, AT, bucket=BUCKET, key=KEY), place=None)


def test_near_lines_are_listed_together(s3: "S3Client") -> None:
    """Lines of one day need one listing; each object is read once, and none beyond the last."""
    lines = [alb_line(n, time=f"2026-11-20T10:0{n}:30.000000Z") for n in range(5)]
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=gz(*lines))
    later = alb_line(9, time="2026-11-20T22:01:00.000000Z")
    s3.put_object(Bucket=BUCKET, Key=log_key("2026-11-20T22:05"), Body=gz(later))
    s3.put_object(Bucket=BUCKET, Key=log_key("2026-11-20T23:05"), Body=gz(alb_line(10)))
    hints = [Hint(line_id(line), AT) for line in lines]
    hints.append(Hint(line_id(later), utc("2026-11-20T22:01")))
    made: list[str] = []
    s3.meta.events.register("before-call.s3", lambda model, **_: made.append(model.name))

    assert [*lines, later] == [each.line for each in found(s3, *hints)]

    assert 2 == made.count("GetObject")
    assert 2 + 2 == made.count("ListObjectsV2")  # accounts, regions, two days


def test_an_account_that_is_not_there(s3: "S3Client", caplog: pytest.LogCaptureFixture) -> None:
    """A line of an account that the bucket lacks does not keep others from being found."""
    elsewhere = Hint("A" * 20, AT, account="0" * 12)

    assert [LINE] == [each.line for each in found(s3, elsewhere, Hint(ID, AT))]
    assert "holds no logs of the account 000000000000" in caplog.text


# --- what is read --------------------------------------------------------------------------------


def test_lines_as_they_are(s3: "S3Client") -> None:
    """Line ends of either kind, none at the end, blank lines and other bytes: all are kept."""
    odd, last = b"\xff\x00 is no log line\r", alb_line(3)
    text = b"\n" + LINE + b"\r\n" + odd + b"\n" + b"x" * 300_000 + b"\n" + last
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=gzip.compress(text))

    lines = found(s3, *(Hint(line_id(each), AT) for each in (LINE, odd[:-1], last)))

    assert [LINE, odd[:-1], last] == [each.line for each in lines]
    for each in lines:
        assert each.line == text[each.offset :][: len(each.line)]
        assert (BUCKET, KEY) == (each.bucket, each.key)


@pytest.mark.parametrize("body", [gz(LINE)[:40], b"\x1f\x8bdamaged"], ids=["cut", "damaged"])
def test_a_damaged_object_is_passed_over(
    s3: "S3Client", body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """An object that cannot be read is named, and the next one is read."""
    s3.put_object(Bucket=BUCKET, Key=log_key("2026-11-20T10:00"), Body=body)

    assert [LINE] == [each.line for each in found(s3, Hint(ID, AT))]
    assert "T1000Z" in caplog.text


def test_what_is_read_is_said(s3: "S3Client", caplog: pytest.LogCaptureFixture) -> None:
    """With -v every object that is read is named."""
    caplog.set_level(logging.INFO)

    found(s3, Hint(ID, AT))

    assert f"reading s3://{BUCKET}/{KEY}" in caplog.text


def test_a_permission_that_is_missing_ends_it(s3: "S3Client") -> None:
    """Who may not read is told so at once: the next object would be refused as well."""
    with Stubber(s3) as stubber:
        stubber.add_client_error("get_object", "AccessDenied", "no", 403)
        with pytest.raises(ConfigError, match="grant s3:GetObject"):
            found(s3, Hint(ID, bucket=BUCKET, key=KEY))


# --- traces --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "root"),
    [
        ("Root=1-2-3", "1-2-3"),
        ("Self=1-6-7;Root=1-2-3", "1-2-3"),
        ("Self=1-6-7; Root=1-2-3;Sampled=1", "1-2-3"),
        ("1-2-3", "1-2-3"),
        ("TID_7", "TID_7"),
    ],
)
def test_the_root_of_a_trace(header: str, root: str) -> None:
    """A trace header stands for the id in it."""
    assert root == root_of(header)


def test_a_trace_is_a_whole_id(s3: "S3Client") -> None:
    """A line is found by the trace id that its column has, not by text that looks like it."""
    lines = [
        alb_line(1, trace_id='"Root=1-2-3"'),
        alb_line(2, trace_id='"Root=1-2-34"'),
        alb_line(3, user_agent='"Root=1-2-3"'),
        b"1-2-3 is no log line",
        alb_line(4, trace_id='"Self=1;Root=1-2-3"'),
        alb_line(1, trace_id='"Root=1-2-3"'),
    ]
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=gz(*lines))

    search = finder(s3).find(Traced("1-2-3"), [Hint("1-2-3", AT)])

    assert [lines[0], lines[4]] == [each.line for each in search]


# --- Elasticsearch that is none ------------------------------------------------------------------


def refusing(error: type[ApiError], status: int) -> Elasticsearch:
    """Return a client of something that refuses, and is not Elasticsearch."""
    meta = ApiResponseMeta(status, "1.1", HttpHeaders(), 0.0, NodeConfig("http", "x", 80))

    class Refusing(Elasticsearch):
        def perform_request(self, *_: object, **__: object) -> Any:  # noqa: ANN401
            raise error("no", meta, {})

    return Refusing("http://127.0.0.1:1")


def test_something_that_is_not_elasticsearch() -> None:
    """A page that is missing somewhere else is not an index that is missing."""
    es = refusing(cast("type[ApiError]", NotFoundError), 404)

    with pytest.raises(ConfigError, match="something that is not Elasticsearch 8"):
        list(Index(es, "alb-logs").hints_of([ID]))


def test_a_line_without_a_time_is_in_no_entry() -> None:
    """The ledger is asked by a time, so of a dead letter it is not asked."""
    es = refusing(cast("type[ApiError]", NotFoundError), 404)

    assert [] == Index(es, "alb-logs").objects_near(Hint(ID))


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture
def raw(
    s3: "S3Client",  # noqa: ARG001  the command's own client finds it
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Run]:
    """Return the command, run in this process without an Elasticsearch."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("ALB_LOGS_ES_URL", raising=False)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    def run(*arguments: str) -> Run:
        with pytest.raises(SystemExit) as ended:
            main(["raw", *arguments])
        captured = capsys.readouterr()
        return Run(ended.value.code, captured.out, captured.err)

    return run


WHERE = ("--bucket", BUCKET, "--at", "2026-11-20T10:02")


def test_by_a_time_alone(raw: Callable[..., Run]) -> None:
    """A bucket and a time are enough; the number of objects is said, unless it is not wanted."""
    run, quiet = raw(ID, *WHERE), raw(ID, "-q", *WHERE)

    assert (0, LINE.decode() + "\n") == (run.code, run.out)
    assert "1 found, objects read: 1" == run.said
    assert (0, run.out, "") == (quiet.code, quiet.out, quiet.err)


def test_a_line_that_is_not_there(raw: Callable[..., Run]) -> None:
    """Ids and traces that no object holds are named, each with what it may be."""
    both = raw("A" * 20, ID, *WHERE)
    trace = raw("--trace", "1-0-0", *WHERE)

    assert (1, LINE.decode() + "\n") == (both.code, both.out)
    assert f"{'A' * 20} was not found: no object of that time in the bucket holds it" in both.err
    assert (1, "") == (trace.code, trace.out)
    assert "1-0-0 was not found: no object of that time" in trace.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name documents by their ids, or a trace by --trace"),
        ([ID, "--trace", "1-2-3"], "name documents by their ids, or a trace by --trace"),
        ([ID, "--at", "now"], "name it by --bucket"),
        ([ID, "--prefix", "x"], "name it by --bucket"),
        ([ID, "--region", "eu-central-1"], "name it by --bucket"),
        (["1-58337262-36d228ad5d99923122bbe354"], "is no id of a document"),
        ([ID[:-1]], "is no id of a document"),
        ([ID], "ALB_LOGS_ES_URL is not set"),
        ([ID, *WHERE[:3], "soon"], "is no time: write it as"),
        ([ID, *WHERE[:3], "9999-12-31"], "no load balancer has written logs then"),
    ],
    ids=str,
)
def test_wrong_calls(raw: Callable[..., Run], arguments: list[str], said: str) -> None:
    """What makes no sense is refused before anything is read."""
    run = raw(*arguments)

    assert 2 == run.code
    assert said in " ".join(run.err.split())
