"""Whatever is configured for a bucket, connecting and undoing cost nobody a notification."""

import json
from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.jobs.subscription import (
    Configuration,
    EventBridge,
    Overlap,
    Rule,
    Subscription,
    connect,
    covering,
    disconnect,
    rules,
)
from tests.support.notifying import (
    ALL,
    OTHER_QUEUE,
    QUEUE,
    TOPIC,
)
from tests.support.subscriptions import configured, entry

PREFIXES = ("", "a/", "a/b/", "a/b=c/", "b/")
SUFFIXES = ("", ".gz", "x.gz", ".jpg")
EVENTS = ("s3:ObjectCreated:Put", "s3:ObjectCreated:Post", "s3:ObjectRemoved:Delete")
OBJECTS = [
    (prefix + middle + suffix, event)
    for prefix, middle, suffix, event in product(PREFIXES, ("", "f"), SUFFIXES, EVENTS)
]

Delivery = tuple[str, str, str]


def deliveries(rule: Rule) -> set[Delivery]:
    """Return what a notification sends, of a set of objects in which every overlap shows."""
    return {
        (rule.arn, key, event)
        for key, event in OBJECTS
        if key.startswith(rule.prefix) and key.endswith(rule.suffix)
        if {event, event.rpartition(":")[0] + ":*"} & set(rule.events)
    }


def all_deliveries(configuration: Configuration) -> list[Delivery]:
    """Return what a configuration sends; what it sends twice is there twice."""
    return [each for rule in rules(configuration) for each in deliveries(rule)]


def asked_for(wanted: Subscription) -> set[Delivery]:
    """Return what is to be sent."""
    return {
        (wanted.arn, key, event)
        for key, event in OBJECTS
        if key.startswith(wanted.prefix) and "Created" in event
    }


arns_ = st.sampled_from([QUEUE, OTHER_QUEUE, TOPIC])
subscriptions = st.builds(Subscription, arns_, st.sampled_from(PREFIXES))


@st.composite
def configurations(draw: st.DrawFn, *, ours: bool) -> Configuration:
    """Make a configuration that S3 would take: no object is of two notifications."""
    events = st.lists(st.sampled_from([*EVENTS, ALL, "s3:ObjectRemoved:*"]), min_size=1)
    kept: list[dict[str, Any]] = []
    for number in range(draw(st.integers(0, 6))):
        arn, prefix = draw(arns_), draw(st.sampled_from(PREFIXES))
        mine = ours and draw(st.booleans())
        made = entry(
            arn,
            name=Subscription(arn, prefix).id if mine else f"other-{number}",
            events=(ALL,) if mine else tuple(draw(events)),
            prefix=prefix,
            suffix="" if mine else draw(st.sampled_from(SUFFIXES)),
        )
        objects = [each[1:] for each in all_deliveries(configured(*kept, made))]
        if len(objects) == len(set(objects)):
            kept.append(made)
    switched_on = draw(st.booleans())
    return configured(*kept) | ({"EventBridgeConfiguration": {}} if switched_on else {})


@given(present=configurations(ours=True), wanted=subscriptions)
def test_connecting_loses_nothing(present: Configuration, wanted: Subscription) -> None:
    """
    All that was sent is still sent, what is wanted is sent too, and nothing twice.

    Or there is an object that another notification has; then that one is named.
    """
    after = connect(present, wanted)

    if isinstance(after, Overlap):
        assert after.rule in rules(present)
        taken = {each[1:] for each in deliveries(after.rule)}
        assert taken & {each[1:] for each in asked_for(wanted)}
        assert not covering(present, wanted)
        return
    sent = all_deliveries(after)
    assert {*all_deliveries(present), *asked_for(wanted)} == set(sent)
    objects = [each[1:] for each in sent]
    assert len(objects) == len(set(objects))
    assert connect(after, wanted) == after
    assert covering(after, wanted)


@given(present=configurations(ours=False), wanted=subscriptions)
def test_undoing_is_exact(present: Configuration, wanted: Subscription) -> None:
    """After connecting and undoing all is as before, others' notifications to the letter."""
    after = connect(present, wanted)

    assert disconnect(present, wanted) == present
    if not isinstance(after, Overlap):
        assert json.dumps(present, sort_keys=True) == json.dumps(
            disconnect(after, wanted), sort_keys=True
        )


@given(present=configurations(ours=True))
def test_eventbridge_stands_beside_all(present: Configuration) -> None:
    """EventBridge is switched on and off; all else stays as it was, whatever there is."""
    on, off = connect(present, EventBridge()), disconnect(present, EventBridge())

    assert {**present, "EventBridgeConfiguration": {}} == on
    assert {**off, "EventBridgeConfiguration": {}} == on
    assert "EventBridgeConfiguration" not in off
