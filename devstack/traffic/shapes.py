"""
Name the fields of an access log line, and change one or more of them to an unusual form.

A *shape* takes the fields of an ordinary line, as written, and returns the text of another
line. Bytes that are not UTF-8 appear in the text as surrogate escapes.
"""

from __future__ import annotations

from enum import IntEnum
from itertools import cycle, islice
from typing import TYPE_CHECKING, TypeAlias

from devstack.traffic.access import access_lines, fields_of
from devstack.traffic.draws import pick

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from random import Random

    from devstack.traffic.clients import Scene

    Shape: TypeAlias = Callable[[list[str], Random], str]


class Field(IntEnum):
    """Number the fields from 0, in the order of the line."""

    TYPE = 0
    TIME = 1
    ELB = 2
    CLIENT = 3
    TARGET = 4
    REQUEST_TIME = 5
    TARGET_TIME = 6
    RESPONSE_TIME = 7
    STATUS = 8
    TARGET_STATUS = 9
    RECEIVED = 10
    SENT = 11
    REQUEST = 12
    USER_AGENT = 13
    CIPHER = 14
    PROTOCOL = 15
    GROUP = 16
    TRACE = 17
    DOMAIN = 18
    CERTIFICATE = 19
    PRIORITY = 20
    CREATED = 21
    ACTIONS = 22
    REDIRECT = 23
    REASON = 24
    TARGET_LIST = 25
    STATUS_LIST = 26
    CLASSIFICATION = 27
    CLASSIFICATION_REASON = 28
    CONNECTION = 29
    NEW_HOST = 30
    NEW_URI = 31
    TRANSFORM = 32
    NODE = 33


def put(field: Field, *texts: str) -> Shape:
    """Return a shape that writes one of these texts, unchanged, into a field."""
    return lambda fields, rng: _joined(fields, {field: pick(texts, rng)})


def put_all(texts: Mapping[Field, str]) -> Shape:
    """Return a shape that writes all of these texts."""
    return lambda fields, _rng: _joined(fields, texts)


def edit(field: Field, change: Callable[[str], str]) -> Shape:
    """Return a shape that changes what a field holds."""
    return lambda fields, _rng: _joined(fields, {field: change(fields[field])})


def bent_lines(
    scene: Scene, rng: Random, count: int, shapes: Mapping[str, Shape]
) -> Iterator[bytes]:
    """Yield `count` lines: each an ordinary line of the scene, changed by the next shape."""
    turn = cycle(shapes.values())
    offset = rng.randrange(len(shapes))
    ordinary = access_lines(scene, f"bent/{rng.getrandbits(64)}", count)
    for shape, line in zip(islice(turn, offset, None), ordinary, strict=False):
        fields = [field.decode("ascii") for field in fields_of(line)]
        yield shape(fields, rng).encode("utf-8", "surrogateescape")


def _joined(fields: list[str], texts: Mapping[Field, str]) -> str:
    changed = list(fields)
    for field, text in texts.items():
        changed[field] = text
    return " ".join(changed)
