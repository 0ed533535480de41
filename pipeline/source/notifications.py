"""
Find the log objects that a notification names, and tell an object's log by its key.

All ways by which AWS announces a new object are taken apart here: an S3 notification, an
EventBridge event, either of them inside SNS, SQS or the record that Lambda sends to an on-failure
destination, and these inside one another. Whether the object is there, and what it holds, is
`reading`'s business; acknowledging or failing a message is the caller's.

Three things come of a message, and none is silent:

- `ObjectRef`: an object to ingest;
- `Skipped`: nothing to ingest, and that is in order: count it, acknowledge it;
- `NotificationError`: it should name an object and does not (not JSON, a record without bucket or
  key, a version of the format that is not known). Acknowledged, it would hide a wiring mistake for
  ever; failed, it ends in the dead-letter queue where someone sees it.

A malformed record does not hide its neighbours: the good ones are all given out, then the first
error is raised. The message fails and comes back, and ingesting an object again changes nothing.

- docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
- docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
- docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
- docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

import orjson

from pipeline.alb.keys import ObjectName, Skipped, SkipReason, classify_key
from pipeline.errors import NotificationError
from pipeline.source.continuation import read_continuation
from pipeline.source.objects import ObjectRef

MAX_DEPTH = 5
"""Envelopes within envelopes. The deepest real nest is 3: SQS, on-failure record, SNS."""


Found = ObjectRef | Skipped

_OF_AN_OBJECT = {"bucket", "object", "key", "s3"}
"""What parts of S3's events are called: a message with one of them is no noise."""


def objects_in_event(event: Mapping[str, Any]) -> Iterator[ObjectRef | Skipped]:
    """
    Give the objects that an event names: a Lambda event of any source, or a decoded message.

    Raise NotificationError, after the last good object, for what names none and should.
    """
    return _in_event(event, 0)


def objects_in_message(body: str) -> Iterator[ObjectRef | Skipped]:
    """
    Give the objects that the body of one SQS message names.

    Raise NotificationError, after the last good object, for what names none and should.
    """
    return _in_text(body, 0)


def _in_event(event: object, depth: int) -> Iterator[Found]:
    """Tell the shapes apart: a new kind of message is a new case here."""
    if not isinstance(event, Mapping):
        raise NotificationError(f"a message is a JSON object, this is none: {event!r:.80}")
    if depth > MAX_DEPTH:
        raise NotificationError(f"the message is wrapped more than {MAX_DEPTH} times")
    match event:
        case {"Records": records} if records is not None:
            yield from _in_records(records, depth)
        case {"Type": "Notification", "Message": inner}:
            yield from _in_text(inner, depth + 1)
        case {"requestPayload": inner} | {"detail": {"requestPayload": inner}}:
            yield from _in_event(inner, depth + 1)
        case {"detail-type": _}:
            yield _in_bridge_event(event)
        case {"Event": "s3:TestEvent"}:
            yield Skipped(SkipReason.TEST_EVENT, bucket=_text(event.get("Bucket")))
        case _:
            yield _of_our_own(event)


def _of_our_own(event: Mapping[str, Any]) -> Found:
    """Give what is left of an object, where the function itself sent the message."""
    continuation = read_continuation(event)
    if continuation is None:
        return _noise(event)
    name = classify_key(continuation.key)
    return ObjectRef(
        bucket=continuation.bucket,
        key=continuation.key,
        name=name if isinstance(name, ObjectName) else None,
        created=continuation.created,
        continuation=continuation,
    )


def _noise(event: Mapping[str, Any]) -> Skipped:
    """Let a message go that names no object; one that seems to, in a wrapping not known, fails."""
    if not _OF_AN_OBJECT.isdisjoint(event):
        raise NotificationError(
            "the message seems to name an object, but in no shape that S3, SNS or EventBridge "
            f"sends: let the whole event through, without a transformation: {event!r:.200}"
        )
    return Skipped(SkipReason.NO_RECORDS)


def _in_text(text: str, depth: int) -> Iterator[Found]:
    """Open a message that travels as text; orjson refuses alike what is no JSON and no text."""
    try:
        event = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise NotificationError(f"the message is not JSON text ({exc}): {text!r:.80}") from exc
    yield from _in_event(event, depth)


def _in_records(records: object, depth: int) -> Iterator[Found]:
    """Give the objects of the good records, then raise the first error of the others."""
    if not isinstance(records, list):
        raise NotificationError(f"Records is a list, this is none: {records!r:.80}")
    if not records:
        yield Skipped(SkipReason.NO_RECORDS)
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


def _in_bridge_event(event: Mapping[Any, Any]) -> Found:
    """
    Read one EventBridge event; its key is plain, where that of an S3 notification is quoted.

    One of another type or service is noise: a rule is easily drawn too wide.
    """
    if (event.get("source"), event["detail-type"]) != ("aws.s3", "Object Created"):
        return Skipped(SkipReason.NOT_CREATED)
    bucket, key, facts = _address(event.get("detail"))
    _require_major("1", event["detail"].get("event-version"))
    ref = _described(ObjectRef(bucket, key), facts)
    return _classified(replace(ref, created=_instant(event.get("time"))))


def _address(stored: object) -> tuple[str, str, Mapping[Any, Any]]:
    """Give the bucket, the key as it is written, and what else is said of the object."""
    match stored:
        case {"bucket": {"name": str(bucket)}, "object": {"key": str(key), **facts}} if (
            bucket and key
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
    name = event_name if isinstance(event_name, str) else ""
    return name.removeprefix("s3:").partition(":")[0] == "ObjectCreated"


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


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _instant(value: object) -> datetime | None:
    """Read a time that has a zone; it serves to tell the delay, so any other is left out."""
    try:
        instant = datetime.fromisoformat(value if isinstance(value, str) else "")
        return instant.astimezone(UTC) if instant.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _classified(ref: ObjectRef) -> Found:
    name = classify_key(ref.key)
    if isinstance(name, Skipped):
        return replace(name, bucket=ref.bucket)
    return replace(ref, name=name)
