"""
Find the log objects that a notification names, and tell an object's log by its key.

All ways by which AWS announces a new object are taken apart here: an S3 notification, an
EventBridge event, a call that CloudTrail recorded, each of them inside SNS, SQS or the record that
Lambda sends to an on-failure destination, and these inside one another. Whether the object is
there, and what it holds, is `reading`'s business; acknowledging or failing a message is the
caller's.

Three things come of a message, and none is silent:

- `ObjectRef`: an object to ingest;
- `Skipped`: nothing to ingest, and that is in order: count it, acknowledge it. Only what is known
  to announce no object is noise: S3's test event, an empty list of records, what happens to an
  object later, and EventBridge events of other sources;
- `NotificationError`: everything else. Acknowledged, it would hide a wiring mistake for ever;
  failed, it ends in the dead-letter queue where someone sees it.

A malformed record does not hide its neighbours: the good ones are all given out, then the first
error is raised. The message fails and comes back, and ingesting an object again changes nothing.

- docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
- docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
- docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html
- docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
- docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

import orjson

from pipeline.alb.keys import Skipped, SkipReason, classify_key
from pipeline.errors import NotificationError
from pipeline.source.continuation import read_continuation
from pipeline.source.objects import ObjectRef

MAX_DEPTH = 5
"""Envelopes within envelopes. The deepest real nest is 3: SQS, on-failure record, SNS."""


Found = ObjectRef | Skipped


def objects_in_event(event: Mapping[str, Any]) -> Iterator[ObjectRef | Skipped]:
    """
    Yield the objects that an event names: a Lambda event of any source, or a decoded message.

    Raise NotificationError, after the last good object, for what names none and should.
    """
    return _in_event(event, 0)


def objects_in_message(body: object) -> Iterator[ObjectRef | Skipped]:
    """
    Yield the objects that the body of one SQS message names.

    Raise NotificationError, after the last good object, for what names none and should.
    """
    return _in_text(body, 0)


def _in_event(event: object, depth: int) -> Iterator[Found]:
    """Yield what a message of any shape names: a new kind of message is a new case here."""
    if not isinstance(event, Mapping):
        raise NotificationError(f"a message is a JSON object, this is none: {event!r:.80}")
    if depth > MAX_DEPTH:
        raise NotificationError(f"the message is wrapped more than {MAX_DEPTH} times")
    match event:
        case {"albLogsContinuation": _}:
            yield _continued(event)
        case {"Records": [_, *_] as records}:
            yield from _in_records(records, depth)
        case {"Type": "Notification", "Message": inner}:
            yield from _in_text(inner, depth + 1)
        case {"requestPayload": inner} | {"detail": {"requestPayload": inner}}:
            yield from _in_event(inner, depth + 1)
        case {"source": str(source), "detail-type": str(kind)}:
            yield _in_bridge_event(event, source, kind)
        case _:
            yield _noise(event)


def _continued(event: Mapping[str, Any]) -> Found:
    """Return what is left of an object, where the function itself sent the message."""
    continuation = read_continuation(event)
    ref = _classified(
        ObjectRef(
            bucket=continuation.bucket,
            key=continuation.key,
            etag=continuation.etag,
            version_id=continuation.version_id,
            created=continuation.created,
            continuation=continuation,
        )
    )
    if isinstance(ref, Skipped):
        raise NotificationError(f"a continuation of an object that is no ALB log: {ref.key!r:.200}")
    return ref


def _noise(event: Mapping[str, Any]) -> Skipped:
    """Return why a message that names no object is in order; NotificationError if it is not."""
    match event:
        case {"Records": [], **others} if not others:
            return Skipped(SkipReason.NO_RECORDS)
        case {"Event": "s3:TestEvent"} if not _names_an_object(event):
            return Skipped(SkipReason.TEST_EVENT, bucket=_text(event.get("Bucket")))
    raise NotificationError(
        "the message names an object in no shape that S3, SNS, SQS, EventBridge or CloudTrail "
        "sends: let the whole event through, without a transformation, and nothing else into the "
        f"queue: {event!r:.200}"
    )


def _in_text(text: object, depth: int) -> Iterator[Found]:
    """Open a message that travels as text; orjson refuses alike what is no JSON and no text."""
    try:
        event = orjson.loads(text if isinstance(text, str) else b"")
    except orjson.JSONDecodeError as exc:
        raise NotificationError(f"the message is not JSON text ({exc}): {text!r:.80}") from exc
    yield from _in_event(event, depth)


def _in_records(records: list[object], depth: int) -> Iterator[Found]:
    """Yield the objects of the good records, then raise the first error of the others."""
    malformed = None
    for record in records:
        try:
            yield from _in_record(record, depth)
        except NotificationError as exc:
            malformed = malformed or exc
    if malformed is not None:
        raise malformed


def _in_record(record: object, depth: int) -> Iterator[Found]:
    match record:
        case {"s3": stored, **envelope}:
            yield _in_s3_record(stored, envelope)
        case {"Sns": {"Message": inner}} | {"body": inner}:
            yield from _in_text(inner, depth + 1)
        case _:
            raise NotificationError(f"a record of neither S3, SNS nor SQS: {record!r:.80}")


def _in_s3_record(stored: object, envelope: Mapping[Any, Any]) -> Found:
    """
    Read one record of an S3 notification.

    One made by hand may say no more than bucket and key: no version and no event name pass.
    """
    _require_major("2", envelope.get("eventVersion"))
    bucket, quoted, facts = _address(stored)
    key = _unquoted(quoted)
    if not _says_created(envelope.get("eventName")):
        return Skipped(SkipReason.NOT_CREATED, bucket, key)
    ref = _described(ObjectRef(bucket, key), facts)
    return _classified(replace(ref, created=_instant(envelope.get("eventTime"))))


_LATER = {
    "Object ACL Updated",
    "Object Access Tier Changed",
    "Object Deleted",
    "Object Restore Completed",
    "Object Restore Expired",
    "Object Restore Initiated",
    "Object Storage Class Changed",
    "Object Tags Added",
    "Object Tags Deleted",
}
"""What EventBridge calls that which happens to an object after it was created."""


def _in_bridge_event(event: Mapping[Any, Any], source: str, kind: str) -> Found:
    """Read one EventBridge event; one that announces no object is noise: a rule may be too wide."""
    match source, kind:
        case "aws.s3", "Object Created":
            return _in_object_created(event)
        case "aws.s3", "AWS API Call via CloudTrail":
            return _in_api_call(event.get("detail"))
        case "aws.s3", later if later in _LATER:
            return Skipped(SkipReason.NOT_CREATED)
    if _names_an_object(event):
        raise NotificationError(
            f"an EventBridge event of {source!r:.40} ({kind!r:.80}) seems to name an object: "
            'narrow the rule to the source aws.s3 and the type "Object Created"'
        )
    return Skipped(SkipReason.NOT_CREATED)


def _in_object_created(event: Mapping[Any, Any]) -> Found:
    """Read S3's own event; its key is plain, where that of an S3 notification is quoted."""
    bucket, key, facts = _address(event.get("detail"))
    _require_major("1", event["detail"].get("event-version"))
    ref = _described(ObjectRef(bucket, key), facts)
    return _classified(replace(ref, created=_instant(event.get("time"))))


_CREATING_CALLS = {"CompleteMultipartUpload", "CopyObject", "PostObject", "PutObject"}


def _in_api_call(call: object) -> Found:
    """Read a call to S3 that CloudTrail recorded; one that S3 refused has created nothing."""
    match call:
        case {"eventName": str(name)} if name and name not in _CREATING_CALLS:
            return Skipped(SkipReason.NOT_CREATED)
        case {"eventName": str(name), "errorCode": str()} if name:
            return Skipped(SkipReason.NOT_CREATED)
        case {
            "eventName": str(name),
            "requestParameters": {"bucketName": str(bucket), "key": str(key)},
            **facts,
        } if name and _text(bucket) and _text(key):
            _require_major("1", facts.get("eventVersion"))
            created = _instant(facts.get("eventTime"))
            return _classified(
                ObjectRef(bucket, key, version_id=_version_made(facts), created=created)
            )
    raise NotificationError(f"a call to S3 without its name, bucket or key: {call!r:.200}")


def _version_made(facts: Mapping[Any, Any]) -> str | None:
    match facts:
        case {"responseElements": {"x-amz-version-id": version_id}}:
            return _text(version_id)
        case _:
            return None


_BUCKETS = {"bucket", "bucketname", "s3bucket"}
_KEYS = {"key", "object", "objectkey", "s3key"}


def _names_an_object(message: object) -> bool:
    """Return whether fields of a message, at any depth, are called like a bucket and like a key."""
    names: set[str] = set()
    waiting = [message]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            names.update(re.sub(r"[^a-z0-9]", "", f"{name}".lower()) for name in each)
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return not (_BUCKETS.isdisjoint(names) or _KEYS.isdisjoint(names))


def _address(stored: object) -> tuple[str, str, Mapping[Any, Any]]:
    """Return the bucket, the key as it is written, and what else is said of the object."""
    match stored:
        case {"bucket": {"name": str(bucket)}, "object": {"key": str(key), **facts}} if (
            _text(bucket) and _text(key, 3 * _MOST_BYTES)  # each byte may be quoted
        ):
            return bucket, key, facts
    raise NotificationError(f"an event of S3 without bucket or key: {stored!r:.200}")


def _require_major(known: str, version: object) -> None:
    """Refuse another major version: AWS raises it when a field changes its meaning."""
    if version is None or (isinstance(version, str) and version.partition(".")[0] == known):
        return
    raise NotificationError(
        f"the event's version is {version!r:.20}, and only {known}.x is known: update the pipeline"
    )


def _says_created(event_name: object) -> bool:
    if event_name is None:
        return True
    if not isinstance(event_name, str) or not event_name:
        raise NotificationError(f"a record whose eventName is no name: {event_name!r:.80}")
    return event_name.removeprefix("s3:").partition(":")[0] == "ObjectCreated"


def _unquoted(key: str) -> str:
    try:
        return unquote_plus(key, errors="strict")
    except UnicodeDecodeError as exc:
        # Replaced by U+FFFD it would name another object, one that is missing.
        raise NotificationError(f"a key that is not URL-encoded UTF-8: {key!r:.200}") from exc


def _described(ref: ObjectRef, facts: Mapping[Any, Any]) -> ObjectRef:
    """
    Add what is said of the object; what is malformed there is left out: bucket and key suffice.

    S3 and EventBridge spell the names in different ways, and emulators mix them.
    """
    size = facts.get("size")
    etag = _text(facts.get("eTag")) or _text(facts.get("etag"))
    return replace(
        ref,
        size=size if type(size) is int and size >= 0 else None,
        etag=etag and _text(etag.strip('"')),
        version_id=_text(facts.get("versionId")) or _text(facts.get("version-id")),
    )


_MOST_BYTES = 1_024
"""What S3 allows for a key or a version's id."""


def _text(value: object, most: int = _MOST_BYTES) -> str | None:
    """Return a text that S3 could be asked for: not empty, not too long, no half of a surrogate."""
    if not isinstance(value, str):
        return None
    try:
        return value if 0 < len(value.encode()) <= most else None
    except UnicodeEncodeError:
        return None


def _instant(value: object) -> datetime | None:
    """Read a time that has a zone; it serves to tell the delay, so any other is left out."""
    try:
        instant = datetime.fromisoformat(value if isinstance(value, str) else "")
        return instant.astimezone(UTC) if instant.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _classified(ref: ObjectRef) -> Found:
    """
    Return the object with what its key says, or why it is skipped.

    One of a contradictory key is neither taken for an account's that it may not be of, nor skipped
    with lines that may be good: its message fails until someone has looked.
    """
    name = classify_key(ref.key)
    if not isinstance(name, Skipped):
        return replace(ref, name=name)
    if name.reason is SkipReason.CONTRADICTORY_KEY:
        raise NotificationError(
            "the folders of the key name another account or region than its last part: find out "
            "who wrote the object; to index it without an account: "
            f"alb-logs ingest s3://{ref.bucket}/{ref.key}"
        )
    return replace(name, bucket=ref.bucket)
