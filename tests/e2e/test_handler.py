"""The Lambda handler, from an event to documents in a real Elasticsearch."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import boto3
import pytest
from elasticsearch import Elasticsearch
from moto import mock_aws

from devstack.aws import AwsServer, environment
from pipeline.cluster.templates import Layout, apply_setup, plan_setup
from pipeline.errors import (
    ConfigError,
    DefectError,
    NotificationError,
    ObjectCorruptError,
    RetriableError,
)
from pipeline.metrics import METRICS
from pipeline.sink.store import Store
from pipeline.wiring import Wired
from tests.support.cluster import remove
from tests.support.factories import KEY, alb_line, documents, gz, s3_event, sqs_event
from tests.support.invocations import Function, Invocation

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "alb-logs-of-tests"
CREATED = "2026-11-20T10:05:12.000Z"
TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET}


@dataclass(frozen=True, slots=True)
class World:
    """A function deployed: its bucket, its cluster, and itself."""

    function: Function
    s3: "S3Client"
    store: Store

    def put(self, *lines: bytes, name: str = "0", cut: bool = False) -> str:
        """Put an object of lines into the bucket, on request cut in two, and return its key."""
        key = key_of(name)
        data = gz(*lines)
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=data[: len(data) // 2] if cut else data)
        return key

    def paths(self) -> list[str]:
        """Return the URL path of every document that is indexed, in order."""
        found: Any = documents(self.store.es, self.store.prefix).values()
        return sorted(each["url"]["path"] for each in found)

    def on_get(self, act: Callable[[], None]) -> None:
        """Call a function whenever the handler's own client fetches an object."""
        events = self.function.module.wired.pipeline().buckets.client_of(BUCKET).meta.events
        events.register("before-call.s3.GetObject", lambda **_: act())


@pytest.fixture
def deployed(
    handler_module: ModuleType,
    elasticsearch_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Function]:
    """Yield the handler with its settings, but for the prefix, and an empty bucket."""
    for variable in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("ALB_LOGS_ES_URL", elasticsearch_url)
    with mock_aws():
        boto3.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        yield Function(handler_module, capsys)


@pytest.fixture
def world(deployed: Function, store: Store, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return the handler deployed before a prepared cluster of the test's own."""
    monkeypatch.setenv("ALB_LOGS_INDEX_PREFIX", store.prefix)
    return World(deployed, boto3.client("s3"), store)


@pytest.fixture(scope="module")
def shared_prefix(es: Elasticsearch) -> Iterator[str]:
    """Yield the prefix of a prepared cluster, for all the tests here that index nothing."""
    name = f"t{uuid.uuid4().hex[:10]}"
    apply_setup(es, plan_setup(es, Layout(prefix=name, replicas=0)))
    yield name
    remove(es, name)


@pytest.fixture
def function(deployed: Function, shared_prefix: str, monkeypatch: pytest.MonkeyPatch) -> Function:
    """Return the handler deployed, for a test that indexes nothing."""
    monkeypatch.setenv("ALB_LOGS_INDEX_PREFIX", shared_prefix)
    return deployed


def key_of(name: str) -> str:
    """Return the key of another object of the same load balancer and interval."""
    return KEY.replace("3q2xk9fz", name)


# --- the shapes of events ------------------------------------------------------------------------


def sns(message: object) -> dict[str, object]:
    """Return what SNS sends to a queue."""
    return {
        "Type": "Notification",
        "MessageId": "1",
        "TopicArn": "arn:aws:sns:eu-central-1:123456789012:alb-logs",
        "Subject": "Amazon S3 Notification",
        "Message": json.dumps(message),
    }


def sns_event(message: object) -> dict[str, object]:
    """Return the event by which SNS invokes a function."""
    record = {"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": sns(message)}
    return {"Records": [record]}


def bridge_event(key: str) -> dict[str, object]:
    """Return EventBridge's event of a new object; its key is plain."""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "time": CREATED,
        "region": "eu-central-1",
        "detail": {
            "version": "0",
            "bucket": {"name": BUCKET},
            "object": {"key": key, "size": 1, "etag": "0" * 32},
            "reason": "PutObject",
        },
    }


def failed_before(payload: object) -> dict[str, object]:
    """Return the record that Lambda sends on after the last retry of an asynchronous invocation."""
    return {
        "version": "1.0",
        "timestamp": CREATED,
        "requestContext": {"requestId": "1", "condition": "RetriesExhausted"},
        "requestPayload": payload,
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "responsePayload": {"errorType": "SinkUnavailableError"},
    }


@pytest.mark.parametrize(
    ("event", "answer"),
    [
        pytest.param(s3_event(BUCKET, KEY), None, id="s3"),
        pytest.param(sns_event(s3_event(BUCKET, KEY)), None, id="sns"),
        pytest.param(bridge_event(KEY), None, id="eventbridge"),
        pytest.param(failed_before(s3_event(BUCKET, KEY)), None, id="on-failure"),
        pytest.param(sqs_event(s3_event(BUCKET, KEY)), [], id="sqs-s3"),
        pytest.param(sqs_event(sns(s3_event(BUCKET, KEY))), [], id="sqs-sns"),
        pytest.param(sqs_event(bridge_event(KEY)), [], id="sqs-eventbridge"),
        pytest.param(
            sqs_event(failed_before(s3_event(BUCKET, KEY))), [], id="sqs-on-failure-of-s3"
        ),
        pytest.param(
            sqs_event(failed_before(sns_event(s3_event(BUCKET, KEY)))),
            [],
            id="sqs-on-failure-of-sns",
        ),
    ],
)
def test_every_way_of_notification_works(
    world: World, event: object, answer: list[str] | None
) -> None:
    """Whoever announces an object, it is ingested; only a queue is answered."""
    world.s3.put_object(Bucket=BUCKET, Key=KEY, Body=gz(alb_line(1), alb_line(2)))

    invocation = world.function(event)

    assert invocation.error is None
    assert (None if answer is None else {"batchItemFailures": answer}) == invocation.answer
    assert ["/cart/1", "/cart/2"] == world.paths()
    assert (1, 2) == (invocation.total("Objects"), invocation.total("Indexed"))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(TEST_EVENT, "test-event", id="test-event"),
        pytest.param({"Records": []}, "no-records", id="no-records"),
        pytest.param({"source": "aws.ec2", "detail-type": "x"}, "not-created", id="foreign"),
    ],
)
def test_noise_is_acknowledged(function: Function, body: dict[str, object], reason: str) -> None:
    """What names no object is acknowledged and counted, by a queue or directly."""
    queued, direct = function(sqs_event(body)), function(body)

    assert ({"batchItemFailures": []}, None) == (queued.answer, direct.answer)
    assert direct.error is None
    for invocation in (queued, direct):
        assert {"ObjectsSkipped": [1.0]} == invocation.metrics
        assert [reason] == [line["reason"] for line in invocation.logs]


def test_siblings_are_skipped_and_counted(function: Function) -> None:
    """Other load balancers' logs, test files and foreign files are skipped, and each is logged."""
    folder = KEY.rpartition("/")[0]
    siblings = [
        KEY.replace("_app.", "_net."),
        f"{folder}/123456789012_elasticloadbalancing_eu-central-1_old_20261120T1005Z_10.0.0.1_a.log",
        "AWSLogs/123456789012/ELBAccessLogTestFile",
        f"{folder}/part-0.parquet",
        "reports/web.csv",
    ]

    invocation = function(sqs_event(s3_event(BUCKET, *siblings)))

    assert [] == invocation.failed
    assert (5, 0) == (invocation.total("ObjectsSkipped"), invocation.total("Objects"))
    assert [(BUCKET, key) for key in siblings] == [
        (line["bucket"], line["key"]) for line in invocation.logs if line["message"] == "skipped"
    ]


@pytest.mark.parametrize(
    "event",
    [[], "text", {"Records": "x"}, {"Records": {"a": 1}}, {"Records": [None]}, {"Records": [{}]}],
)
def test_an_event_of_no_known_shape_fails(function: Function, event: object) -> None:
    """What is no notification at all fails as one, and not by an error of ours."""
    invocation = function(event)

    assert isinstance(invocation.error, NotificationError)
    assert {"NotificationErrors": [1.0]} == invocation.metrics
    assert ["notification not understood"] == [line["message"] for line in invocation.logs]


# --- S3 Batch Operations -------------------------------------------------------------------------


def job_event(*keys: str, schema: str = "1.0") -> dict[str, object]:
    """Return the event by which a job invokes a function; its tasks are t0, t1, …."""
    bucket = {"s3BucketArn": f"arn:aws:s3:::{BUCKET}"} if schema == "1.0" else {"s3Bucket": BUCKET}
    return {
        "invocationSchemaVersion": schema,
        "invocationId": "i",
        "job": {"id": "j"},
        "tasks": [
            {"taskId": f"t{number}", "s3Key": quote(key), "s3VersionId": None, **bucket}
            for number, key in enumerate(keys)
        ],
    }


def results(invocation: Invocation) -> dict[str, tuple[str, str]]:
    """Return code and text of each task's result; there must be one for each."""
    assert invocation.error is None
    found = {
        each["taskId"]: (each["resultCode"], each["resultString"])
        for each in invocation.answer["results"]
    }
    assert len(found) == len(invocation.answer["results"])
    return found


@pytest.mark.parametrize("schema", ["1.0", "2.0"])
def test_a_job_has_its_object_ingested(world: World, schema: str) -> None:
    """A job of either schema is answered in its own, and its lines are indexed and counted."""
    key = world.put(alb_line(1), alb_line(2), name="a")

    invocation = world.function(job_event(key, schema=schema))

    assert (schema, "i") == (
        invocation.answer["invocationSchemaVersion"],
        invocation.answer["invocationId"],
    )
    assert ["/cart/1", "/cart/2"] == world.paths()
    (result,) = results(invocation).values()
    assert ("Succeeded", "ingested: 2 lines, 2 indexed") == (result[0], result[1][:28])
    assert (1, 2) == (invocation.total("Objects"), invocation.total("Indexed"))


def test_every_task_has_its_result(world: World) -> None:
    """Good, cut, missing, foreign and malformed tasks each have their own, whatever the others."""
    good = world.put(alb_line(1))
    cut = world.put(*map(alb_line, range(100, 150)), name="cut", cut=True)
    event: Any = job_event(cut, key_of("missing"), "reports/x.csv", "%", good)
    event["tasks"][3]["s3Key"] = "%ff"

    invocation = world.function(event)

    found = results(invocation)
    assert {
        "t0": "PermanentFailure",
        "t1": "PermanentFailure",
        "t2": "Succeeded",
        "t3": "PermanentFailure",
        "t4": "Succeeded",
    } == {task: code for task, (code, _) in found.items()}
    assert "there is no such object" in found["t1"][1]
    assert "skipped: it is not an ALB log (foreign-key)" == found["t2"][1]
    assert {"Objects": 3, "ObjectsFailed": 1, "ObjectsMissing": 1, "ObjectsSkipped": 1} == {
        name: invocation.total(name)
        for name in ("Objects", "ObjectsFailed", "ObjectsMissing", "ObjectsSkipped")
    }
    assert 1 == invocation.total("NotificationErrors")
    assert "/cart/1" in world.paths()


def test_a_job_goes_on_in_the_queue(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What time is too short for is queued; without a queue its task is tried again by S3."""
    key = world.put(alb_line(1))
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]

    late = results(world.function(job_event(key), seconds=1.2))
    monkeypatch.setenv("ALB_LOGS_QUEUE_URL", url)
    queued = results(world.function(job_event(key), seconds=1.2))

    assert "TemporaryFailure" == late["t0"][0]
    assert "set ALB_LOGS_QUEUE_URL" in late["t0"][1]
    assert ("Succeeded", "goes on in the queue: no line") == queued["t0"]
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert [] == world.function(sqs_event(message["Body"])).failed
    assert ["/cart/1"] == world.paths()


def test_a_job_that_cannot_begin_is_tried_again(
    deployed: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster that is not prepared fails each task for now, and names the fix in its report."""
    monkeypatch.setenv("ALB_LOGS_INDEX_PREFIX", "not-prepared")

    invocation = deployed(job_event(key_of("a"), key_of("b")))

    assert ["TemporaryFailure"] * 2 == [code for code, _ in results(invocation).values()]
    assert all("alb-logs setup" in text for _, text in results(invocation).values())
    assert 2 == invocation.total("ObjectsFailed")


def test_an_exception_loses_no_result(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where something unforeseen stops the work, what is done is answered, the rest is for S3."""
    done = world.put(alb_line(1))
    monkeypatch.setattr(Wired, "queue", lambda _: 1 / 0)

    whole = world.function(job_event(done))
    broken = world.function(job_event(done), seconds=1.2)

    assert "Succeeded" == results(whole)["t0"][0]
    assert "TemporaryFailure" == results(broken)["t0"][0]
    assert "ZeroDivisionError" in json.dumps(broken.logs)
    assert 1 == broken.total("ObjectsFailed")


def test_an_unknown_schema_fails_the_invocation(function: Function) -> None:
    """A later schema may mean something else by the same names: it is an error, and counted."""
    invocation = function(job_event(KEY, schema="3.0"))

    assert isinstance(invocation.error, NotificationError)
    assert "'3.0' is not known" in str(invocation.error)
    assert 1 == invocation.total("NotificationErrors")


# --- what fails, and what does not ---------------------------------------------------------------


def test_one_poisoned_message_fails_alone(world: World) -> None:
    """Of ten messages the one that is no notification comes back; the others are done."""
    bodies: list[object] = [
        s3_event(BUCKET, world.put(alb_line(number), name=f"{number}")) for number in range(10)
    ]
    bodies[3] = "no json"

    invocation = world.function(sqs_event(*bodies))

    assert ["m3"] == invocation.failed
    assert [f"/cart/{number}" for number in range(10) if number != 3] == world.paths()
    assert (9, 1) == (invocation.total("Objects"), invocation.total("NotificationErrors"))
    assert ["m3"] == [line["message_id"] for line in invocation.logs if line["level"] == "ERROR"]


def test_one_cut_object_fails_its_message_alone(world: World) -> None:
    """Of three messages the one whose object is cut comes back, its whole lines indexed."""
    whole = [world.put(alb_line(number), name=f"{number}") for number in (1, 2)]
    cut = world.put(*map(alb_line, range(100, 150)), name="cut", cut=True)

    invocation = world.function(
        sqs_event(s3_event(BUCKET, whole[0]), s3_event(BUCKET, cut), s3_event(BUCKET, whole[1]))
    )

    assert ["m1"] == invocation.failed
    assert {"/cart/1", "/cart/2", "/cart/100"} <= set(world.paths())
    assert invocation.total("Indexed") == len(world.paths())
    assert (3, 1, 1) == (
        invocation.total("Objects"),
        invocation.total("ObjectsFailed"),
        invocation.total("Truncated"),
    )


def test_a_whole_batch_may_fail(world: World) -> None:
    """Where every message fails all come back one by one: the invocation itself does not fail."""
    cut = s3_event(BUCKET, world.put(*map(alb_line, range(50)), cut=True))

    invocation = world.function(sqs_event("no json", cut, "[]"))

    assert invocation.error is None
    assert ["m0", "m1", "m2"] == invocation.failed


def test_a_direct_invocation_fails_after_its_other_objects(world: World) -> None:
    """A direct invocation raises its first error, after every other object was ingested."""
    event = s3_event(
        BUCKET,
        world.put(*map(alb_line, range(100, 150)), name="cut", cut=True),
        world.put(alb_line(1), name="1"),
    )
    event["Records"] = [{"s3": "nonsense"}, *event["Records"]]  # type: ignore[misc]

    invocation = world.function(event)

    assert isinstance(invocation.error, ObjectCorruptError)
    assert "/cart/1" in world.paths()
    assert (2, 1, 1) == (
        invocation.total("Objects"),
        invocation.total("ObjectsFailed"),
        invocation.total("NotificationErrors"),
    )


def test_a_missing_object_is_acknowledged(function: Function) -> None:
    """An object that is not there is counted and logged as a warning, and its message is done."""
    invocation = function(sqs_event(s3_event(BUCKET, KEY)))

    assert [] == invocation.failed
    assert (1, 1, 0) == (
        invocation.total("Objects"),
        invocation.total("ObjectsMissing"),
        invocation.total("ObjectsFailed"),
    )
    (line,) = invocation.logs
    assert ("WARNING", "object missing", BUCKET, KEY) == (
        line["level"],
        line["message"],
        line["bucket"],
        line["key"],
    )
    assert "there is no such object" in line["error"]


def test_a_defect_fails_its_object_alone(world: World) -> None:
    """An error nobody foresaw is logged with its object and traceback; the others go on."""
    keys = [world.put(alb_line(number), name=f"{number}") for number in (1, 2)]
    defects = iter([ZeroDivisionError("nobody foresaw this")])

    def fail_once() -> None:
        for defect in defects:
            raise defect

    world.on_get(fail_once)

    invocation = world.function(s3_event(BUCKET, *keys))

    assert isinstance(invocation.error, DefectError)
    assert ["/cart/2"] == world.paths()
    assert 1 == invocation.total("ObjectsFailed")
    unforeseen, failed, ingested = invocation.logs
    assert "ZeroDivisionError: nobody foresaw this" in unforeseen["exception"]
    assert "ZeroDivisionError: nobody foresaw this" in failed["error"]
    assert [keys[0], keys[0], keys[1]] == [line["key"] for line in (unforeseen, failed, ingested)]


# --- once ----------------------------------------------------------------------------------------


def test_a_notification_may_come_three_times(world: World) -> None:
    """The same notification three times, twice in one batch: every line once."""
    event = s3_event(BUCKET, world.put(*map(alb_line, range(20))))

    first = world.function(sqs_event(event, event))
    second = world.function(event)

    assert sorted(f"/cart/{number}" for number in range(20)) == world.paths()
    assert ([20.0, 0.0], [0.0, 20.0]) == (first.metrics["Indexed"], first.metrics["Duplicates"])
    assert ([0.0], [20.0]) == (second.metrics["Indexed"], second.metrics["Duplicates"])


HANDLE = """
import importlib, json, sys
sys.path.insert(0, {root!r})
from tests.support.invocations import Context
module = importlib.import_module("lambda.handler")
module.wired.pipeline()
print("ready", flush=True)
sys.stdin.readline()
module.handler(json.loads({event!r}), Context())
"""


def test_two_functions_at_once_index_every_line_once(
    aws: AwsServer, store: Store, elasticsearch_url: str, pytestconfig: pytest.Config
) -> None:
    """Two functions that ingest the same object at the same time index each line once."""
    s3, lines = aws.s3(), [alb_line(number) for number in range(3_000)]
    bucket = f"twice-{store.prefix}"
    s3.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    s3.put_object(Bucket=bucket, Key=KEY, Body=gz(*lines))
    settings = {
        "ALB_LOGS_ES_URL": elasticsearch_url,
        "ALB_LOGS_INDEX_PREFIX": store.prefix,
        "ALB_LOGS_BULK_BYTES": "100000",
    }
    code = HANDLE.format(root=str(pytestconfig.rootpath), event=json.dumps(s3_event(bucket, KEY)))
    functions = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={"PATH": os.defpath, **environment(aws.url), **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    assert ["ready\n"] * 2 == [each.stdout.readline() for each in functions if each.stdout]

    for each in functions:
        print(file=each.stdin, flush=True)  # go!
    printed = [each.communicate(timeout=60)[0] for each in functions]

    assert [0, 0] == [each.returncode for each in functions]
    counts = [counted(text) for text in printed]
    assert 3_000 == sum(count["Indexed"] for count in counts)
    assert 3_000 == sum(count["Duplicates"] for count in counts)
    assert all(0 < count["Indexed"] < 3_000 for count in counts), "they did not overlap"
    assert 3_000 == len(documents(store.es, store.prefix))


def counted(printed: str) -> dict[str, float]:
    """Add up the metrics among printed lines."""
    (emf,) = (line for line in map(json.loads, printed.splitlines()) if "_aws" in line)
    return {name: sum(emf[name]) for name in METRICS if name in emf}


# --- the clients ---------------------------------------------------------------------------------


def test_a_cluster_that_is_not_prepared_fails_the_invocation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `setup` the invocation fails with what to run, before any line is read."""
    monkeypatch.setenv("ALB_LOGS_INDEX_PREFIX", f"{world.store.prefix}x")

    invocation = world.function(sqs_event(s3_event(BUCKET, world.put(alb_line(1)))))

    assert isinstance(invocation.error, ConfigError)
    assert "run `alb-logs setup`" in str(invocation.error)
    assert {"StartErrors": [1.0]} == invocation.metrics


def test_clients_are_made_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings are read at the cold start, not again while the function is warm."""
    world.function(TEST_EVENT)
    monkeypatch.setenv("ALB_LOGS_KEEP_ORIGINAL", "true")

    world.function(s3_event(BUCKET, world.put(alb_line(1))))

    (document,) = documents(world.store.es, world.store.prefix).values()
    assert "original" not in document["event"]  # type: ignore[operator]


def test_clients_are_made_again_after_a_config_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a setting or a permission was found wrong, settings are read again."""
    refused = world.function(s3_event("no-such-bucket", KEY))
    monkeypatch.setenv("ALB_LOGS_KEEP_ORIGINAL", "true")

    world.function(s3_event(BUCKET, world.put(alb_line(1))))

    assert isinstance(refused.error, ConfigError)
    (document,) = documents(world.store.es, world.store.prefix).values()
    assert alb_line(1).decode() == document["event"]["original"]  # type: ignore[index]


def test_clients_that_cannot_be_made_again_fail_their_object(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings that turn out wrong in the middle of a batch fail the messages, by name."""
    key = world.put(alb_line(1))
    world.on_get(lambda: monkeypatch.setenv("ALB_LOGS_ES_CONNECTIONS", "many"))

    invocation = world.function(
        sqs_event(s3_event("no-such-bucket", KEY), s3_event(BUCKET, key), TEST_EVENT)
    )

    assert ["m0", "m1"] == invocation.failed
    assert (2, 0) == (
        invocation.total("ObjectsFailed"),
        invocation.total("NotificationErrors"),
    )
    failed = invocation.logs[1]
    assert ("failed", "m1", key) == (failed["message"], failed["message_id"], failed["key"])
    assert "ALB_LOGS_ES_CONNECTIONS" in failed["error"]


def test_a_function_without_time_begins_nothing(world: World) -> None:
    """With hardly a second left an object is not fetched; its message comes again."""
    fetched: list[None] = []
    event = sqs_event(s3_event(BUCKET, world.put(alb_line(1))))
    world.on_get(lambda: fetched.append(None))

    late = world.function(event, seconds=1.2)
    direct = world.function(s3_event(BUCKET, KEY), seconds=1.2)

    assert (["m0"], []) == (late.failed, fetched)
    assert isinstance(direct.error, RetriableError)
    assert "set ALB_LOGS_QUEUE_URL" in late.logs[0]["error"]
    assert 1 == late.total("ObjectsFailed")
    assert [] == world.function(event, seconds=30.0).failed


# --- metrics and logs ----------------------------------------------------------------------------


def test_metrics_say_what_happened(world: World) -> None:
    """Every number of a batch of good, bad, missing and foreign objects is right."""
    world.function(s3_event(BUCKET, world.put(alb_line(1))))
    good = world.put(alb_line(1), alb_line(2), alb_line(3), alb_line(3), b"", b"bad", name="good")
    cut = world.put(*map(alb_line, range(100, 150)), name="cut", cut=True)

    before = datetime.now(UTC)
    invocation = world.function(
        sqs_event(
            s3_event(BUCKET, good),
            s3_event(BUCKET, cut),
            s3_event(BUCKET, key_of("missing")),
            TEST_EVENT,
            "no json",
        )
    )
    after = datetime.now(UTC)

    metrics = invocation.metrics
    whole = metrics["Indexed"][1]  # lines before the cut
    expected = {
        "Objects": [1, 1, 1],
        "ObjectsFailed": [1],
        "ObjectsMissing": [1],
        "ObjectsSkipped": [1],
        "NotificationErrors": [1],
        "Lines": [6, whole + 1, 0],
        "Indexed": [2, whole, 0],
        "Duplicates": [2, 0, 0],
        "Rejected": [1, 0, 0],
        "Filtered": [0, 0, 0],
        "Blank": [1, 0, 0],
        "Truncated": [0, 1, 0],
        "Repeated": [1, 0, 0],
        "DeliveryLag": [12],
    }
    assert expected == {name: metrics[name] for name in expected}
    size = sum(len(alb_line(number)) + 1 for number in (1, 2, 3, 3)) + len(b"\nbad\n")
    assert [size, sum(len(alb_line(100 + at)) + 1 for at in range(int(whole))), 0] == (
        metrics["Bytes"]
    )
    created = datetime.fromisoformat(CREATED)
    (lag,) = metrics["IngestLag"]
    assert (before - created).total_seconds() <= lag <= (after - created).total_seconds()
    assert set(METRICS) - {
        "StartErrors",
        "AccountingErrors",
        "Continuations",
        "LedgerErrors",
    } == set(metrics)


def test_privacy_settings_and_filters_reach_the_function(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Concealed and filtered as the settings say; filtered lines are counted, nothing is quoted."""
    monkeypatch.setenv("ALB_LOGS_REDACT_QUERY", "a")
    monkeypatch.setenv("ALB_LOGS_EXCLUDE", "url.path=/cart/2")
    request = '"GET https://h/cart/9?a=H1dden HTTP/1.1"'
    lines = (alb_line(1, request_line=request), alb_line(2), alb_line(3, elb_status_code="H1dden"))

    invocation = world.function(s3_event(BUCKET, world.put(*lines)))

    counted = {name: invocation.metrics[name] for name in ("Lines", "Indexed", "Filtered")}
    assert {"Lines": [3.0], "Indexed": [1.0], "Filtered": [1.0]} == counted
    stored = [documents(world.store.es, world.store.prefix, kind) for kind in LETTERED]
    assert [1, 1] == [len(found) for found in stored]
    assert "H1dden" not in json.dumps(stored)
    assert "H1dden" not in json.dumps(invocation.logs)


LETTERED = ("access", "dead-letter")


def test_hundreds_of_values_of_one_metric_are_all_shown(function: Function) -> None:
    """CloudWatch takes a hundred values of a metric in one line: more are spread over several."""
    event = s3_event(BUCKET, *(f"reports/{number}.csv" for number in range(250)))

    assert 250 == function(event).total("ObjectsSkipped")


def test_an_object_without_a_time_has_no_lag(world: World) -> None:
    """A notification made by hand, that says no time, is ingested; no lag is made up."""
    record = {"s3": {"bucket": {"name": BUCKET}, "object": {"key": world.put(alb_line(1))}}}

    invocation = world.function({"Records": [record]})

    assert 1 == invocation.total("Indexed")
    assert {"IngestLag", "DeliveryLag"}.isdisjoint(invocation.metrics)


def test_nothing_is_kept_from_one_invocation_to_the_next(world: World) -> None:
    """A warm function's second invocation shows nothing of its first: metrics, failures, keys."""
    first = world.function(sqs_event(s3_event(BUCKET, world.put(alb_line(1))), "no json"))

    second = world.function(sqs_event(TEST_EVENT))
    third = world.function(TEST_EVENT)

    assert ["m1"] == first.failed
    assert [] == second.failed
    assert {"ObjectsSkipped": [1.0]} == second.metrics == third.metrics
    (line,) = third.logs
    assert "message_id" not in line


def test_every_line_about_an_object_names_it(world: World) -> None:
    """Lines about an object carry bucket, key and message; lines about others none of them."""
    good, cut = world.put(alb_line(1), name="1"), world.put(b"x" * 999, name="2", cut=True)

    invocation = world.function(
        sqs_event(s3_event(BUCKET, good), "no json", s3_event(BUCKET, cut), TEST_EVENT)
    )

    assert [
        ("ingested", "m0", BUCKET, good),
        ("notification not understood", "m1", None, None),
        ("failed", "m2", BUCKET, cut),
        ("skipped", "m3", BUCKET, None),
    ] == [
        (line["message"], line["message_id"], line.get("bucket"), line.get("key"))
        for line in invocation.logs
    ]
    assert 1 == invocation.logs[0]["indexed"]
    assert "ObjectCorruptError" in invocation.logs[2]["error"]


def test_the_cluster_holds_what_is_counted(world: World, es: Elasticsearch) -> None:
    """Documents have what the object's key says; where they come from only if it is asked for."""
    world.function(s3_event(BUCKET, world.put(alb_line(1))))

    found: Any = documents(es, world.store.prefix).values()
    (document,) = found
    assert "123456789012" == document["cloud"]["account"]["id"]
    assert "s3" not in document["aws"]
    assert "ingested" not in document.get("event", {})
