"""What holds for any key and any message."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, quote_plus

from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.alb.fields import Kind
from pipeline.alb.keys import ObjectName, Skipped, classify_key
from pipeline.errors import PipelineError
from pipeline.source.continuation import Continuation, ResumePoint
from pipeline.source.notifications import MAX_DEPTH, objects_in_event, objects_in_message
from pipeline.source.objects import ObjectRef
from tests.support.factories import KEY

Json = dict[str, Any]

PREFIXES = {
    Kind.ACCESS: "",
    Kind.CONNECTION: "conn_log_",
    Kind.HEALTH_CHECK: "health_check_log_",
}
WRAPPERS: list[Callable[[Json], Json]] = [
    lambda event: {"Records": [{"eventSource": "aws:sqs", "body": json.dumps(event)}]},
    lambda event: {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": json.dumps(event)}}]},
    lambda event: {"Type": "Notification", "Message": json.dumps(event)},
    lambda event: {"version": "1.0", "requestPayload": event},
]

words = st.text("abcdefghijklmnopqrstuvwxyzABCDEFXYZ0123456789-", min_size=1, max_size=32)
names = st.builds(
    ObjectName,
    kind=st.sampled_from(Kind),
    account=st.text("0123456789", min_size=12, max_size=12),
    region=st.sampled_from(["eu-central-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1"]),
    load_balancer=st.builds("app/{}/{}".format, words, words),
    end_time=st.datetimes(min_value=datetime(1000, 1, 1)).map(  # noqa: DTZ001 -- made UTC here
        lambda time: time.replace(second=0, microsecond=0, tzinfo=UTC)
    ),
    node_ip=st.ip_addresses().map(str),
)
folders = st.text().map("{}/".format) | st.just("")


def basename(name: ObjectName, ending: str = ".log.gz") -> str:
    """Write a key's last part, as AWS does."""
    load_balancer = name.load_balancer.replace("/", ".")
    return (
        f"{PREFIXES[name.kind]}{name.account}_elasticloadbalancing_{name.region}_{load_balancer}"
        f"_{name.end_time:%Y%m%dT%H%MZ}_{name.node_ip}_2x4f9k1q{ending}"
    )


def notification(key: str) -> Json:
    """Write an S3 notification of one object."""
    stored = {"bucket": {"name": "acme-logs"}, "object": {"key": key}}
    return {"Records": [{"eventVersion": "2.1", "eventName": "ObjectCreated:Put", "s3": stored}]}


def found_by(find: Callable[[Any], Any], message: object) -> list[ObjectRef | Skipped]:
    """Return all that a message names, up to its error."""
    found: list[ObjectRef | Skipped] = []
    with suppress(PipelineError):
        found.extend(find(message))
    return found


@given(names, folders, st.sampled_from([".log", ".log.gz"]))
def test_a_key_gives_back_what_it_was_made_of(name: ObjectName, folder: str, ending: str) -> None:
    """Any load balancer, node, time, kind and folder is read as it was written."""
    assert name == classify_key(folder + basename(name, ending))


@given(st.text())
def test_any_key_is_named_or_skipped(key: str) -> None:
    """No key raises, and one that is not recognised is given back whole."""
    match classify_key(key):
        case ObjectName():
            assert "_elasticloadbalancing_" in key
        case Skipped() as skipped:
            assert key == skipped.key


@given(st.text(min_size=1), st.sampled_from([quote_plus, quote]))
@example("a+b c=d%2F/ü😀", quote_plus)
def test_any_key_survives_its_encoding(key: str, encode: Callable[[str], str]) -> None:
    """Whatever S3 encodes, and whether it encodes slashes or not, the same key comes back."""
    (found,) = objects_in_event(notification(encode(key)))

    assert key == found.key
    assert "acme-logs" == found.bucket


@given(names, folders, st.lists(st.sampled_from(WRAPPERS), max_size=MAX_DEPTH))
def test_envelopes_change_nothing(
    name: ObjectName, folder: str, wrappers: list[Callable[[Json], Json]]
) -> None:
    """Any nest of envelopes within the limit holds the same object."""
    key = folder + basename(name)
    event = notification(quote_plus(key))
    for wrap in wrappers:
        event = wrap(event)

    assert [ObjectRef("acme-logs", key, name)] == list(objects_in_event(event))
    assert [ObjectRef("acme-logs", key, name)] == list(objects_in_message(json.dumps(event)))


def call(key: str) -> Json:
    """Write the event of a call that CloudTrail recorded."""
    stored = {"bucketName": "acme-logs", "key": key}
    detail = {"eventVersion": "1.08", "eventName": "PutObject", "requestParameters": stored}
    return {"source": "aws.s3", "detail-type": "AWS API Call via CloudTrail", "detail": detail}


@given(names, folders)
def test_plain_keys_stay_as_they_are(name: ObjectName, folder: str) -> None:
    """CloudTrail writes keys unquoted: nothing in them is decoded."""
    key = folder + basename(name)

    assert [ObjectRef("acme-logs", key, name)] == list(objects_in_event(call(key)))


# The words of real messages, so that arbitrary ones often come close to them.
ENVELOPE_FIELDS = st.sampled_from(
    ["Records", "body", "Sns", "Message", "Type", "requestPayload", "detail", "Event"]
)
RECORD_FIELDS = st.sampled_from(["eventVersion", "eventName", "eventTime", "s3", "time", "source"])
OBJECT_FIELDS = st.sampled_from(["bucket", "name", "object", "key", "size", "eTag", "versionId"])
FIELDS = ENVELOPE_FIELDS | RECORD_FIELDS | OBJECT_FIELDS | st.text()
VALUES = st.sampled_from(
    [
        "2.1",
        "3.0",
        "ObjectCreated:Put",
        "ObjectRemoved:Delete",
        "PutObject",
        KEY,
        "Notification",
        "s3:TestEvent",
    ]
) | st.sampled_from(["%FF", "a+b", "\ud800", "{}", "[", "0001-01-01T00:00:00+14:00"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | VALUES


def continuations(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """Return what a continuation may look like, any of its values something else."""
    body = json.loads(Continuation("b", KEY, hop=0, start=ResumePoint(1, "e", 0)).message())
    values: Json = body["albLogsContinuation"]
    return st.fixed_dictionaries({name: st.just(value) | inner for name, value in values.items()})


anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(FIELDS, inner, max_size=6)
        | st.fixed_dictionaries({"Records": st.lists(inner, max_size=4)})
        | st.fixed_dictionaries({"bucket": st.just({"name": "b"}), "object": inner})
        | st.fixed_dictionaries({"s3": inner, "eventVersion": VALUES, "eventTime": VALUES})
        | st.fixed_dictionaries(
            {
                "source": st.just("aws.s3"),
                "detail-type": st.just("Object Created"),
                "detail": inner,
            }
        )
        | st.fixed_dictionaries(
            {
                "source": st.just("aws.s3"),
                "detail-type": st.just("AWS API Call via CloudTrail"),
                "detail": st.fixed_dictionaries(
                    {"eventName": VALUES, "requestParameters": inner, "errorCode": inner}
                ),
            }
        )
        | st.fixed_dictionaries({"albLogsContinuation": inner | continuations(inner)})
    ),
    max_leaves=25,
)


@given(anything)
def test_no_event_raises_anything_else(event: object) -> None:
    """Any JSON value, ours in part or not at all, gives objects, skips or an error of ours."""
    for one in found_by(objects_in_event, event):
        assert isinstance(one, ObjectRef | Skipped)
        if isinstance(one, ObjectRef):
            assert one.name
            assert one.created is None or one.created.tzinfo is UTC
            assert one.key.encode()


@given(anything.map(json.dumps) | st.text())
@example("[" * 5000)
@example("\ud800")
def test_no_message_raises_anything_else(body: str) -> None:
    """The same holds for any text of a message."""
    for one in found_by(objects_in_message, body):
        assert isinstance(one, ObjectRef | Skipped)


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.integers(0, 2))
def test_every_good_record_comes_out(goods: list[bool], wraps: int) -> None:
    """However many records are malformed, and wherever, none of the good ones is lost."""
    good = notification("k")["Records"][0]
    event: Json = {"Records": [good if is_good else {"s3": {}} for is_good in goods]}
    for _ in range(wraps):
        event = WRAPPERS[0](event)

    assert goods.count(True) == len(found_by(objects_in_event, event))
