"""Which version of an object is read: the one that was announced, or what is there, with a word."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from devstack.poller import Invocation
from devstack.traffic import ordinary_lines
from pipeline.sink.store import Store
from pipeline.source.continuation import Continuation, ResumePoint
from tests.support.factories import (
    KEY,
    START,
    documents,
    gz,
    ids_of,
    no_log_lines,
    sqs_event,
    text_of,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import PutObjectOutputTypeDef as Put
    from mypy_boto3_sqs import SQSClient

BUCKET = "alb-log-bucket"
FIRST, SECOND, THIRD = (list(ordinary_lines(seed, 60, start=START)) for seed in (31, 32, 33))
LONG = list(ordinary_lines(34, 1_500, start=START))
LONG_TEXT = text_of(LONG)


@dataclass(frozen=True, slots=True)
class Told:
    """What one invocation answered, logged and counted."""

    failed: list[str]
    logged: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    queued: list[dict[str, Any]]

    def total(self, metric: str) -> float:
        """Return what a metric came to."""
        return sum(sum(each.get(metric, ())) for each in self.metrics)

    def levels(self, message: str) -> list[str]:
        """Return the levels of the log lines with a message."""
        return [each["levelname"] for each in self.logged if each["msg"] == message]


@dataclass(frozen=True, slots=True)
class World:
    """The handler with its queue and its bucket."""

    module: ModuleType
    s3: "S3Client"
    sqs: "SQSClient"
    queue_url: str
    output: pytest.CaptureFixture[str]
    log: pytest.LogCaptureFixture

    def versioning(self, status: Any) -> None:  # noqa: ANN401  a literal
        """Turn versioning on or off."""
        self.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": status})

    def put(self, lines: list[bytes]) -> "Put":
        """Overwrite the object."""
        return self.s3.put_object(Bucket=BUCKET, Key=KEY, Body=gz(*lines))

    def invoke(self, *bodies: object) -> Told:
        """Invoke the handler with messages and all the time in the world."""
        return self.invoke_with(sqs_event(*bodies))

    def invoke_with(self, event: object) -> Told:
        """Invoke the handler with an event."""
        self.output.readouterr()
        self.log.clear()
        answer = self.module.handler(event, Invocation(seconds=60.0))
        printed = self.output.readouterr().out.splitlines()
        taken = self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
        return Told(
            [each["itemIdentifier"] for each in answer["batchItemFailures"]],
            [vars(record) for record in self.log.records],
            [json.loads(line) for line in printed if line.startswith("{")],
            [json.loads(each["Body"]) for each in taken.get("Messages", [])],
        )


@pytest.fixture
def settings(store: Store, elasticsearch_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what the function needs to know."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("ALB_LOGS_ES_URL", elasticsearch_url)
    monkeypatch.setenv("ALB_LOGS_INDEX_PREFIX", store.prefix)


@pytest.fixture
def world(
    settings: None,  # noqa: ARG001  set before the clients are made
    handler_module: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Iterator[World]:
    """Yield a function with a bucket of its own."""
    with mock_aws():
        s3, sqs = boto3.client("s3"), boto3.client("sqs")
        where: Any = {"LocationConstraint": "eu-central-1"}
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
        queue_url = sqs.create_queue(QueueName="alb-logs")["QueueUrl"]
        monkeypatch.setenv("ALB_LOGS_QUEUE_URL", queue_url)
        yield World(handler_module, s3, sqs, queue_url, capsys, caplog)


def notification(put: "Put", version_id: str | None = None) -> dict[str, Any]:
    """Write S3's notification of an object that was put."""
    facts = {"key": KEY, "eTag": put["ETag"].strip('"')}
    version_id = version_id or put.get("VersionId")
    if version_id:
        facts["versionId"] = version_id
    stored = {"bucket": {"name": BUCKET}, "object": facts}
    return {"Records": [{"eventName": "ObjectCreated:Put", "s3": stored}]}


def half_read(
    put: "Put", lines: list[bytes], counts: dict[str, int] | None = None
) -> dict[str, Any]:
    """Write the continuation of a gzip object of which half of the lines were read."""
    half = len(text_of(lines[: len(lines) // 2]))
    version_id, etag = put.get("VersionId"), put["ETag"].strip('"')
    start = ResumePoint(half, etag, member=0, version_id=version_id)
    tally = counts or {"lines": len(lines) // 2, "indexed": len(lines) // 2, "bytes": half}
    rest = Continuation(BUCKET, KEY, 1, start, tally, etag=etag, version_id=version_id)
    message: dict[str, Any] = json.loads(rest.message())
    return message


def test_every_version_that_is_announced_is_read(world: World, store: Store) -> None:
    """A key that is overwritten twice in a versioned bucket loses none of its lines."""
    world.versioning("Enabled")
    events = [notification(world.put(lines)) for lines in (FIRST, SECOND, THIRD)]

    told = world.invoke(*events)

    assert [] == told.failed
    assert ids_of(FIRST + SECOND + THIRD) == set(documents(store.es, store.prefix))
    assert ["INFO"] * 3 == told.levels("ingested")
    assert 0 == told.total("ObjectsChanged")


def test_a_deleted_key_leaves_its_versions(world: World, store: Store) -> None:
    """A delete marker hides the object, but the version that was announced still exists."""
    world.versioning("Enabled")
    event = notification(world.put(FIRST))
    world.put(SECOND)
    world.s3.delete_object(Bucket=BUCKET, Key=KEY)

    assert [] == world.invoke(event).failed
    assert ids_of(FIRST) == set(documents(store.es, store.prefix))


def test_the_version_from_before_versioning_is_read(world: World, store: Store) -> None:
    """`null` names what was put while versioning was suspended, though newer versions came."""
    event = notification(world.put(FIRST), version_id="null")
    world.versioning("Enabled")
    world.put(SECOND)

    told = world.invoke(event)

    assert ids_of(FIRST) == set(documents(store.es, store.prefix))
    assert ["INFO"] == told.levels("ingested")


@pytest.mark.parametrize("version_id", [None, "null"])
def test_an_overwritten_object_is_read_as_it_is(
    world: World, store: Store, version_id: str | None
) -> None:
    """Without versions what is there now is read; that it is another is counted and warned of."""
    event = notification(world.put(FIRST), version_id)
    world.put(SECOND)

    told = world.invoke(event)

    assert [] == told.failed
    assert ids_of(SECOND) == set(documents(store.es, store.prefix))
    assert ["WARNING"] == told.levels("ingested")
    assert 1 == told.total("ObjectsChanged")
    (line,) = (each for each in told.logged if each["msg"] == "ingested")
    assert (BUCKET, KEY) == (line["bucket"], line["key"])
    assert "overwritten since it was announced" in line["warning"]


def test_an_object_as_it_was_announced_is_no_news(world: World) -> None:
    """An ETag that is right, or that nobody knows, warns of nothing."""
    put = world.put(FIRST)
    unknown = notification(put)
    del unknown["Records"][0]["s3"]["object"]["eTag"]

    told = world.invoke(notification(put), unknown)

    assert ["INFO", "INFO"] == told.levels("ingested")
    assert 0 == told.total("ObjectsChanged")


def test_a_version_that_is_gone_is_replaced_by_what_is_there(world: World, store: Store) -> None:
    """Where somebody deleted the version itself, the present one is read, with a warning."""
    world.versioning("Enabled")
    put = world.put(FIRST)
    world.put(SECOND)
    world.s3.delete_object(Bucket=BUCKET, Key=KEY, VersionId=put["VersionId"])

    told = world.invoke(notification(put))

    assert [] == told.failed
    assert ids_of(SECOND) == set(documents(store.es, store.prefix))
    assert ["WARNING"] == told.levels("ingested")
    assert 1 == told.total("ObjectsChanged")


def test_a_version_that_is_gone_with_its_key_is_missing(world: World) -> None:
    """Where nothing is there any more, that is said once."""
    world.versioning("Enabled")
    put = world.put(FIRST)
    world.s3.delete_object(Bucket=BUCKET, Key=KEY, VersionId=put["VersionId"])

    told = world.invoke(notification(put))

    assert [] == told.failed
    assert ["WARNING"] == told.levels("object missing")
    assert (1, 0) == (told.total("ObjectsMissing"), told.total("ObjectsChanged"))


def test_a_version_is_read_on_to_its_end(world: World, store: Store) -> None:
    """Overwritten between two continuations, a versioned object loses no line."""
    world.versioning("Enabled")
    put = world.put(LONG)
    world.put(SECOND)

    told = world.invoke(half_read(put, LONG))

    assert [] == told.failed
    assert ids_of(LONG[len(LONG) // 2 :]) == set(documents(store.es, store.prefix))
    assert ["INFO"] == told.levels("ingested")


@pytest.mark.parametrize("versioning", [None, "Enabled"])
def test_an_object_that_cannot_be_read_on_is_begun_again(
    world: World, store: Store, versioning: str | None
) -> None:
    """Without its version the present one is read from its start, counted and warned of."""
    if versioning:
        world.versioning(versioning)
    put = world.put(LONG)
    world.put(SECOND)
    if versioning:
        world.s3.delete_object(Bucket=BUCKET, Key=KEY, VersionId=put["VersionId"])

    told = world.invoke(half_read(put, LONG))

    assert [] == told.failed
    assert ids_of(SECOND) == set(documents(store.es, store.prefix))
    assert ["WARNING"] == told.levels("ingested")
    assert 1 == told.total("ObjectsChanged")


def test_what_is_not_begun_keeps_what_was_announced(world: World, store: Store) -> None:
    """An object passed on untouched is still read as announced, or warned of, by who begins it."""
    world.versioning("Enabled")
    event = notification(world.put(FIRST))
    world.module.handler(sqs_event(event), Invocation(seconds=1.1))
    world.put(SECOND)
    (message,) = world.invoke({"Records": []}).queued

    told = world.invoke(message)

    assert ids_of(FIRST) == set(documents(store.es, store.prefix))
    assert 0 == told.total("ObjectsChanged")


# What a message says of earlier invocations opens no door


def test_counts_of_a_message_make_no_alb_log(world: World, store: Store) -> None:
    """An object of something else fails, though a message says that it held good lines."""
    lines = no_log_lines(3_000)
    put = world.put(lines)

    told = world.invoke(half_read(put, lines, {"lines": 10**15, "indexed": 10**15}))

    assert ["m0"] == told.failed
    assert {} == documents(store.es, store.prefix, "dead-letter")
    assert ["ERROR"] == told.levels("failed")


def test_a_rest_of_bad_lines_is_judged_with_its_beginning(world: World, store: Store) -> None:
    """A log whose second half does not parse is a log: its bad lines become dead letters."""
    lines = LONG[:100] + no_log_lines(100)
    put = world.put(lines)

    told = world.invoke(half_read(put, lines))

    assert [] == told.failed
    assert ids_of(LONG[:100]) == set(documents(store.es, store.prefix))
    assert 100 == len(documents(store.es, store.prefix, "dead-letter"))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"Bucket": BUCKET, "Key": KEY}, id="a key in no known shape"),
        pytest.param({"albLogsContinuation": {"created": None}}, id="half a continuation"),
        pytest.param({"Records": [{"s3": None, "eventTime": None}]}, id="nothing but null"),
        pytest.param({}, id="nothing"),
        pytest.param("\ud800", id="no text"),
    ],
)
def test_no_message_fails_without_a_word(world: World, body: object) -> None:
    """Whatever a message lacks, its failure is logged and counted."""
    told = world.invoke(body)

    assert ["m0"] == told.failed
    assert ["ERROR"] == told.levels("notification not understood")
    assert 1 == told.total("NotificationErrors")


@pytest.mark.parametrize(
    "created", [None, 7, True, [], "", "yesterday", "2026-11-20T10:05:12", "9999-12-31T23:59:59-14"]
)
def test_a_time_that_is_none_fails_no_object(world: World, store: Store, created: object) -> None:
    """A notification's time only measures the delay: without one the object is ingested."""
    event = notification(world.put(FIRST))
    event["Records"][0]["eventTime"] = created

    assert [] == world.invoke(event).failed
    assert ids_of(FIRST) == set(documents(store.es, store.prefix))


def test_a_message_without_a_body_is_told(world: World) -> None:
    """A record of SQS that lacks its body fails like one that cannot be read."""
    event: Any = sqs_event("x")
    del event["Records"][0]["body"]

    told = world.invoke_with(event)

    assert ["m0"] == told.failed
    assert ["ERROR"] == told.levels("notification not understood")
