"""
Say where reading an object stopped, as a message from one invocation to the next.

An object that does not fit into the time of one invocation is continued by another: the message
goes into the same queue as S3's notifications. Whoever may write to that queue may write one, too:
so every value is checked, and none widens what a notification could ask for.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from pipeline.errors import NotificationError

MOST_HOPS = 200
"""Continuations of one object; an object that needs more has something wrong with it."""

_ENVELOPE = "albLogsContinuation"
_VERSION = 3


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """
    An offset between two lines of an object's text, and how to get there.

    `offset` counts bytes of the decompressed text. A gzip can be entered only where a member
    begins: `member` is the stored byte at which the one begins that holds the offset, and
    `member_offset` counts the text before it; for plain text `member` is None. `etag` (without
    quotes) names the version, and so does `version_id`, where the bucket keeps versions.
    """

    offset: int
    etag: str
    member: int | None
    member_offset: int = 0
    version_id: str | None = None

    @property
    def in_member(self) -> int:
        """Return the bytes of text between the member's begin and the offset."""
        return self.offset - self.member_offset


@dataclass(frozen=True, slots=True)
class Continuation:
    """
    What is left to do of an object. `start` None: all of it.

    `hop` counts the messages so far, `tally` what became of the lines before `start`. `created`,
    `etag` and `version_id` are what the notification said, if it did: when the object was new, and
    which version it was.
    """

    bucket: str
    key: str
    hop: int
    start: ResumePoint | None = None
    tally: Mapping[str, int] = field(default_factory=dict)
    created: datetime | None = None
    etag: str | None = None
    version_id: str | None = None

    def message(self) -> str:
        """Return the body of the message."""
        created = None if self.created is None else self.created.isoformat()
        return json.dumps({_ENVELOPE: {"version": _VERSION, **asdict(self), "created": created}})


def read_continuation(message: Mapping[str, Any]) -> Continuation:
    """Return the continuation that a message holds; NotificationError if it is no such message."""
    try:
        (body,) = _object(message, {_ENVELOPE}).values()
        return _continuation(body)
    except (OverflowError, ValueError) as error:
        raise NotificationError(f"continuation not understood: {error}") from error


# Each of these checks one value of the message, and raises ValueError with what is wrong.

_MOST = 2**53
_MOST_CHARACTERS = 1_024  # of a key, and of a version's id
_ETAG = re.compile(r"[!#-~]{1,200}")

_ENDS = ("indexed", "duplicates", "rejected", "filtered", "blank", "truncated")
_COUNTS = {"lines", *_ENDS, "repeated", "bytes"}
"""The terms of `outcome.Tally`, and those of them that its lines are the sum of."""


def _continuation(body: object) -> Continuation:
    named = {"version", *(each.name for each in fields(Continuation))}
    values = _object(body, named)
    if _whole(values["version"]) != _VERSION:
        raise ValueError(f"its version is {values['version']}, and only {_VERSION} is known")
    start, tally = values["start"], _tally(values["tally"])
    if start is None and any(tally.values()):
        raise ValueError("it counts lines before the object's begin")
    return Continuation(
        bucket=_text(values["bucket"]),
        key=_text(values["key"]),
        hop=_whole(values["hop"], MOST_HOPS),
        start=None if start is None else _resume_point(start),
        tally=tally,
        created=None if values["created"] is None else _instant(values["created"]),
        etag=None if values["etag"] is None else _text(values["etag"]),
        version_id=None if values["version_id"] is None else _text(values["version_id"]),
    )


def _resume_point(start: object) -> ResumePoint:
    values = _object(start, {each.name for each in fields(ResumePoint)})
    member = None if values["member"] is None else _whole(values["member"])
    offset, before = _whole(values["offset"]), _whole(values["member_offset"])
    if before > (offset if member else 0):
        raise ValueError(f"member {member} cannot begin at {before} for an offset of {offset}")
    version_id = None if values["version_id"] is None else _text(values["version_id"])
    return ResumePoint(offset, _etag(values["etag"]), member, before, version_id)


def _tally(counts: object) -> dict[str, int]:
    if not isinstance(counts, Mapping) or not counts.keys() <= _COUNTS:
        raise ValueError(f"it counts something else than lines: {counts!r:.200}")
    tally = {name: _whole(count) for name, count in counts.items()}
    if tally.get("lines", 0) != sum(tally.get(end, 0) for end in _ENDS):
        raise ValueError(f"its lines do not add up: {tally}")
    return tally


def _object(value: object, names: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or value.keys() != names:
        raise ValueError(f"its fields must be {', '.join(sorted(names))}: {value!r:.200}")
    return value


def _whole(value: object, most: int = _MOST) -> int:
    if type(value) is not int or not 0 <= value <= most:  # True is an int, too
        raise ValueError(f"a number from 0 to {most} is expected: {value!r:.80}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value.encode()) <= _MOST_CHARACTERS:
        raise ValueError(f"a text of 1 to {_MOST_CHARACTERS} bytes is expected: {value!r:.80}")
    return value


def _etag(value: object) -> str:
    if not isinstance(value, str) or not _ETAG.fullmatch(value):
        raise ValueError(f"an ETag without quotes is expected: {value!r:.80}")
    return value


def _instant(value: object) -> datetime:
    instant = datetime.fromisoformat(_text(value))
    if instant.tzinfo is None:
        raise ValueError(f"a time with its zone is expected: {value!r:.80}")
    return instant.astimezone(UTC)
