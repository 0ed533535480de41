"""Say what a dead letter holds: all that is known of a rejected line, and the line itself."""

import base64
from datetime import UTC, datetime
from typing import Any

import orjson

from pipeline.alb.document import Context, nest
from pipeline.alb.parsing import ABOUT
from pipeline.sink.encoding import Reject
from pipeline.version import VERSION

_MESSAGE = 500


def general(reason: str) -> str:
    """Return what a reason means, with nothing of the line in it."""
    known = {each.value: about for each, about in ABOUT.items()}
    return known.get(reason, "Elasticsearch refuses the document for what it holds")


def describe(reject: Reject, context: Context) -> dict[str, Any]:
    """Return all that is known of a reject, nested; the raw line only if it may be kept."""
    original = _original(reject) if context.privacy.rejected_lines else {}
    return nest(_facts(reject, context) | original)


def full_letter(reject: Reject, context: Context) -> bytes:
    """Return the dead letter of a reject as JSON."""
    return orjson.dumps({"@timestamp": _now(), **describe(reject, context)})


def minimal_letter(reject: Reject, context: Context) -> bytes:
    """Return the dead letter without the raw line, and with a short message."""
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
