"""Describe one log object to ingest, whoever named it: a notification, a listing or a person."""

from dataclasses import dataclass
from datetime import datetime

from pipeline.alb.keys import ObjectName
from pipeline.source.continuation import Continuation


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """
    One object to ingest, and what was said of it.

    `name` is None for a key that is not recognised but was asked for explicitly. `continuation` is
    there where an earlier invocation has begun with the object.
    """

    bucket: str
    key: str
    name: ObjectName | None = None
    size: int | None = None
    etag: str | None = None
    version_id: str | None = None
    created: datetime | None = None
    continuation: Continuation | None = None
