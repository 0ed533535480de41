"""An object that does not fit into one invocation ends complete, in several, every line once."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from devstack.poller import Invocation
from devstack.traffic import line_id, ordinary_lines
from pipeline.sink.store import Store
from pipeline.source.continuation import MOST_HOPS, Continuation
from tests.support.factories import KEY, START, documents, gz, s3_event, sqs_event
from tests.support.proxy import Bulks, Proxy, late

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

BUCKET = "alb-log-bucket"
LINES = list(ordinary_lines(21, 9_900, start=START))
TEXT = b"".join(line + b"\n" for line in LINES)
IDS = {line_id(line) for line in LINES}
HALF = len(TEXT) // 2


@dataclass(frozen=True, slots=True)
class World:
    """The handler with its queue and its bucket."""

    module: ModuleType
    s3: "S3Client"
    sqs: "SQSClient"
    queue_url: str

    def invoke(self, *bodies: object, seconds: float) -> list[str]:
        """Invoke the handler with messages, and return the ids of those that fail."""
        answer: dict[str, Any] = self.module.handler(
            sqs_event(*bodies), Invocation(seconds=seconds)
        )
        return [each["itemIdentifier"] for each in answer["batchItemFailures"]]

    def queued(self) -> list[dict[str, Any]]:
        """Take the messages that wait."""
        taken = self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
        return [json.loads(each["Body"]) for each in taken.get("Messages", [])]


@pytest.fixture
def world(
    handler_module: ModuleType,
    store: Store,
    elasticsearch_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    """Yield a function whose chunks are small, so that it can stop at many offsets."""
    with mock_aws():
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        s3, sqs = boto3.client("s3"), boto3.client("sqs")
        s3.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        queue_url = sqs.create_queue(
            QueueName="alb-logs", Attributes={"VisibilityTimeout": "3600"}
        )["QueueUrl"]
        monkeypatch.setenv("ALB_LOGS_ES_URL", elasticsearch_url)
        monkeypatch.setenv("ALB_LOGS_INDEX_PREFIX", store.prefix)
        monkeypatch.setenv("ALB_LOGS_BULK_BYTES", "100000")
        monkeypatch.setenv("ALB_LOGS_QUEUE_URL", queue_url)
        yield World(handler_module, s3, sqs, queue_url)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(TEXT, id="plain"),
        pytest.param(gzip.compress(TEXT, 1), id="one-member"),
        pytest.param(gzip.compress(TEXT[:HALF], 1) + gzip.compress(TEXT[HALF:], 1), id="members"),
    ],
)
def test_an_object_goes_on_until_it_is_done(world: World, store: Store, body: bytes) -> None:
    """Through short invocations every line ends indexed once, and the counts add up."""
    world.s3.put_object(Bucket=BUCKET, Key=KEY, Body=body)
    waiting: list[Any] = [s3_event(BUCKET, KEY)]
    tally: Counter[str] = Counter()
    hops = 0
    for _ in range(100):
        if not waiting:
            break
        failed = world.invoke(waiting[0], seconds=1.7)  # a slow machine may not get any further
        queued = world.queued()
        waiting = waiting[:1] * bool(failed) + waiting[1:] + queued
        for message in queued:
            hops = message["albLogsContinuation"]["hop"]
            tally = Counter(message["albLogsContinuation"]["tally"])

    assert not waiting
    assert hops >= 2
    assert 0 < tally["lines"] <= len(LINES)
    assert tally["lines"] == tally["indexed"] + tally["duplicates"]
    assert set(documents(store.es, store.prefix)) == IDS


def begun(world: World) -> dict[str, Any]:
    """Invoke the function until it has begun with the object; a slow machine takes more seconds."""
    for tenths in range(20, 40, 2):
        world.invoke(s3_event(BUCKET, KEY), seconds=tenths / 10)
        if queued := world.queued():
            return queued[0]
    raise AssertionError


def test_an_object_that_changed_is_read_anew(world: World, store: Store) -> None:
    """Replaced between two invocations, the object is carried on from its new beginning."""
    world.s3.put_object(Bucket=BUCKET, Key=KEY, Body=gzip.compress(TEXT, 1))
    rest = begun(world)
    assert 0 < rest["albLogsContinuation"]["start"]["offset"] < len(TEXT)
    others = list(ordinary_lines(22, 500, start=START))
    world.s3.put_object(Bucket=BUCKET, Key=KEY, Body=gz(*others))

    assert world.invoke(rest, seconds=30.0) == []

    assert world.queued() == []
    assert (
        {line_id(line) for line in others}
        <= set(documents(store.es, store.prefix))
        < IDS | {line_id(line) for line in others}
    )


def test_lines_of_what_was_overwritten_are_not_counted_on(world: World) -> None:
    """An object that is begun anew, and is not done again, has counted its own lines alone."""
    world.s3.put_object(Bucket=BUCKET, Key=KEY, Body=gzip.compress(TEXT, 1))
    rest = begun(world)
    others = ordinary_lines(23, 40_000, start=START)
    world.s3.put_object(Bucket=BUCKET, Key=KEY, Body=gz(*others))

    queued = [rest]
    for tenths in range(20, 40, 2):  # a slow machine takes longer to get on
        if queued != [rest]:
            break
        world.invoke(rest, seconds=tenths / 10)
        queued = world.queued() or queued

    continued = queued[0]["albLogsContinuation"]
    assert rest["albLogsContinuation"]["start"]["etag"] != continued["start"]["etag"]
    assert continued["start"]["offset"] == continued["tally"]["bytes"]


def test_what_was_not_begun_is_queued_again(world: World) -> None:
    """With hardly any time left an object is neither begun nor failed: it goes to the queue."""
    assert world.invoke(s3_event(BUCKET, KEY), seconds=1.1) == []

    (message,) = world.queued()
    assert message["albLogsContinuation"] == {
        "version": 3,
        "bucket": BUCKET,
        "key": KEY,
        "hop": 0,
        "start": None,
        "tally": message["albLogsContinuation"]["tally"],
        "created": "2026-11-20T10:05:12+00:00",
        "etag": "0" * 32,
        "version_id": None,
    }
    assert not any(message["albLogsContinuation"]["tally"].values())


def test_the_delay_of_a_continued_object_is_measured(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """However many invocations it took, the object's delay counts from its creation."""
    world.s3.put_object(Bucket=BUCKET, Key=KEY, Body=gz(*LINES[:10]))
    world.invoke(s3_event(BUCKET, KEY), seconds=1.1)
    (message,) = world.queued()
    capsys.readouterr()

    assert world.invoke(message, seconds=30.0) == []

    (metrics,) = [line for line in capsys.readouterr().out.splitlines() if "IngestLag" in line]
    assert json.loads(metrics)["IngestLag"][0] > 0


def test_an_object_does_not_hop_for_ever(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """After the last hop a message fails, though the object got on."""
    world.s3.put_object(Bucket=BUCKET, Key=KEY, Body=gzip.compress(TEXT, 1))
    last = json.loads(Continuation(BUCKET, KEY, hop=MOST_HOPS).message())
    world.module.wired.pipeline()

    for tenths in range(16, 40):  # a slow machine takes longer to get on
        assert world.invoke(last, seconds=tenths / 10) == ["m0"]
        assert world.queued() == []
        (measured,) = map(json.loads, capsys.readouterr().out.splitlines())
        if measured["Lines"] != [0]:  # it got on, and yet may not go on
            return
    raise AssertionError


def test_with_elasticsearch_down_nothing_hops(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An Elasticsearch that takes nothing fails the message; it is no reason to go on later."""
    world.s3.put_object(Bucket=BUCKET, Key=KEY, Body=gzip.compress(TEXT, 1))
    opened = world.module.wired.pipeline()
    down = opened.store.es.options()
    monkeypatch.setattr(down, "perform_request", refuse)
    monkeypatch.setattr(down, "options", lambda **_: down)
    broken = replace(opened, store=replace(opened.store, es=down))
    monkeypatch.setattr(world.module.wired, "_pipeline", broken)

    assert world.invoke(s3_event(BUCKET, KEY), seconds=3.0) == ["m0"]
    assert world.queued() == []


def test_a_sick_elasticsearch_takes_no_answer_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where bulk requests hang, messages fail within the time, and the not begun ones with them."""
    world.s3.put_object(Bucket=BUCKET, Key=KEY, Body=gzip.compress(TEXT, 1))
    store = world.module.wired.pipeline().store
    with Proxy(str(next(iter(store.es.transport.node_pool.all())).base_url)) as proxy:
        proxy.plan = Bulks(otherwise=late(20.0))
        monkeypatch.setenv("ALB_LOGS_ES_URL", proxy.url)
        world.module.wired.forget()
        world.module.wired.pipeline()
        context = Invocation(seconds=4.0)

        answer = world.module.handler(sqs_event(*[s3_event(BUCKET, KEY)] * 3), context)

        assert context.get_remaining_time_in_millis() > 0
    assert ["m0", "m1", "m2"] == [each["itemIdentifier"] for each in answer["batchItemFailures"]]
    assert world.queued() == []


def refuse(*_: object, **__: object) -> None:
    """Answer like a server that is not there."""
    from elastic_transport import ConnectionError as NotThereError  # noqa: PLC0415

    raise NotThereError("refused")


def test_a_queue_that_refuses_fails_the_message(world: World) -> None:
    """Where the rest cannot be queued, the message comes again as it was."""
    world.sqs.delete_queue(QueueUrl=world.queue_url)

    assert world.invoke(s3_event(BUCKET, KEY), seconds=1.1) == ["m0"]
