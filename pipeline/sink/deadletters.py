"""
Keep every rejected line: write its dead letter, with the raw bytes and the reason.

A dead letter has the id of its line, so a line that is rejected again is the same dead letter. It
is `rejected` only once Elasticsearch has acknowledged it.
"""

import base64
from datetime import UTC, datetime
from typing import Any

import orjson

from pipeline.alb.document import Context, nest
from pipeline.errors import ClusterRefusedError
from pipeline.sink.bulk import Deadline, Replies, send_items
from pipeline.sink.encoding import Batch, Reject, create_item
from pipeline.sink.store import Store
from pipeline.version import VERSION

_MESSAGE = 500


def rejects_of(batch: Batch, replies: Replies) -> list[Reject]:
    """Give all rejects of a batch: lines that did not parse, documents that were refused."""
    refused = [
        Reject(batch.ids[at], why.type, why.reason, batch.lines[at], batch.offsets[at])
        for at, why in replies.refused.items()
    ]
    return batch.rejects + refused


def write_dead_letters(
    rejects: list[Reject], *, context: Context, store: Store, deadline: Deadline
) -> int:
    """
    Write the dead letters of rejects and give how many were acknowledged: all, or it raises.

    One that Elasticsearch refuses is written again without the raw line, which S3 still holds at
    the letter's offset.
    """
    index = store.dead_letters
    full = [create_item(index, each.id, _full(each, context)) for each in rejects]
    replies = send_items([each.id for each in rejects], full, es=store.es, deadline=deadline)
    refused = [rejects[at] for at in replies.refused]
    minimal = [create_item(index, each.id, _minimal(each, context)) for each in refused]
    again = send_items([each.id for each in refused], minimal, es=store.es, deadline=deadline)
    for why in again.refused.values():
        raise ClusterRefusedError(
            f"Elasticsearch refuses dead letters for what they hold ({why.type}: {why.reason}): "
            f"the mapping of {index} is not ours; delete it and run `alb-logs setup`"
        )
    return sum(each.created + each.duplicates for each in (replies, again))


def describe(reject: Reject, context: Context) -> dict[str, Any]:
    """Give all that is known of a reject, as a nested document; the raw line is in it."""
    return nest(_facts(reject, context) | _original(reject))


def _full(reject: Reject, context: Context) -> bytes:
    return orjson.dumps({"@timestamp": _now(), **describe(reject, context)})


def _minimal(reject: Reject, context: Context) -> bytes:
    facts = _facts(reject, context) | {"error.message": reject.message[:_MESSAGE]}
    return orjson.dumps(nest({"@timestamp": _now(), **facts}))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _facts(reject: Reject, context: Context) -> dict[str, Any]:
    facts = {
        "error.type": reject.reason,
        "error.message": reject.message,
        "aws.s3.bucket.name": context.bucket,
        "aws.s3.object.key": context.key,
        "log.offset": reject.offset,
        "log.length": reject.length,
        "labels.pipeline_version": VERSION,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _original(reject: Reject) -> dict[str, str]:
    try:
        return {"event.original": reject.line.decode("utf-8")}
    except UnicodeDecodeError:
        return {"event.original_base64": base64.b64encode(reject.line).decode()}
