"""
Say where reading an object stopped, as a message from one invocation to the next.

An object that does not fit into the time of one invocation is carried on by another: the message
goes into the same queue as S3's notifications. A gzip can be entered only where a member begins,
so a place names the member as well as the byte of its text.
"""

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from pipeline.errors import NotificationError

MOST_HOPS = 200
"""Continuations of one object; an object that needs more has something wrong with it."""

_ENVELOPE = "albLogsContinuation"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Place:
    """
    A place between two lines of an object's text, and how to get there.

    `offset` counts bytes of the decompressed text. `member` is the stored byte at which the gzip
    member begins that holds the place, and `member_offset` the text before that member; for plain
    text `member` is None. `etag` (without quotes) names the version.
    """

    offset: int
    etag: str
    member: int | None
    member_offset: int = 0


@dataclass(slots=True)
class Trail:
    """What a reader leaves behind it, by which reading can go on later."""

    etag: str = ""
    members: deque[tuple[int, int]] = field(default_factory=deque)
    """Where members begin: the text before each, and its first stored byte; in their order."""

    def forget(self, offset: int) -> None:
        """Forget the members that end before an offset of the text: nobody will go on there."""
        while len(self.members) > 1 and self.members[1][0] <= offset:
            self.members.popleft()

    def place(self, offset: int) -> Place:
        """Give the place at an offset of the text."""
        self.forget(offset)
        text, stored = self.members[0] if self.members else (0, None)
        return Place(offset, self.etag, stored, text)


@dataclass(frozen=True, slots=True)
class Continuation:
    """
    What is left to do of an object. `place` None: all of it.

    `hop` counts the messages so far, `tally` what became of the lines before `place`. `created` is
    when S3 said that the object was new, if it did: with it the delay is known at the end.
    """

    bucket: str
    key: str
    hop: int
    place: Place | None = None
    tally: Mapping[str, int] = field(default_factory=dict)
    created: datetime | None = None

    def message(self) -> str:
        """Give the body of the message."""
        created = None if self.created is None else self.created.isoformat()
        return json.dumps({_ENVELOPE: {"version": _VERSION, **asdict(self), "created": created}})


def read_continuation(event: Mapping[str, Any]) -> Continuation | None:
    """Give the continuation that a message holds; None where it holds something else."""
    body = event.get(_ENVELOPE)
    if body is None:
        return None
    try:
        place = body["place"]
        if body["version"] != _VERSION:
            raise NotificationError(f"continuation of an unknown version: {body['version']}")
        return Continuation(
            bucket=body["bucket"],
            key=body["key"],
            hop=int(body["hop"]),
            place=None if place is None else Place(**place),
            tally={name: int(count) for name, count in body["tally"].items()},
            created=datetime.fromisoformat(body["created"]) if body.get("created") else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotificationError(f"continuation not understood: {error!r}") from error
