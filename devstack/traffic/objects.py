"""
Fill a bucket: an hour of S3 objects as Application Load Balancers deliver them.

Names, folders and neighbours are as AWS describes them (see "Access log files" in the Elastic
Load Balancing guide), including the neighbours that must not be read.
"""

from __future__ import annotations

import gzip
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

from devstack.traffic.access import access_lines
from devstack.traffic.bad import bad_lines_of
from devstack.traffic.characters import CHARACTERS, Character
from devstack.traffic.clients import Scene
from devstack.traffic.connections import connection_lines_of
from devstack.traffic.health import health_check_lines_of
from devstack.traffic.instants import micros_of, span_of
from devstack.traffic.odd import odd_lines_of
from devstack.traffic.routes import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

INTERVAL = timedelta(minutes=5)
INTERVALS = 12
FAILING_INTERVALS = range(4, 6)  # minutes 20 to 30: see Character.failing_group

_NAME_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_BLANKS = (b"", b" ", b"\t ")
_ID_LENGTH = 20
_NO_IDS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class WrittenObject:
    """
    One object and what ingesting it must lead to.

    `lines` are the raw lines without line end, in the order of the body, including bad and blank
    ones; an object that must be skipped (kind sibling or test-file) has none. Apart from blank
    ones no two lines of an object are equal, so
    `len(lines) == len(good_ids) + len(rejected_ids) + blank`.
    """

    key: str
    body: bytes
    kind: str
    load_balancer: str
    lines: tuple[bytes, ...] = ()
    good_ids: frozenset[str] = _NO_IDS
    rejected_ids: frozenset[str] = _NO_IDS
    blank: int = 0


@dataclass(frozen=True, slots=True)
class _Recipe:
    seed: int
    first: datetime
    lines: int
    odd_share: float
    bad_share: float

    def end_of(self, interval: int) -> datetime:
        return self.first + (interval + 1) * INTERVAL

    def scene(self, character: Character, interval: int, node: str) -> Scene:
        start, length = micros_of(self.first + interval * INTERVAL), span_of(INTERVAL)
        fails = interval in FAILING_INTERVALS
        burst = range(start, start + length) if fails else range(0)
        return Scene(character, start, length, (node,), burst)


@dataclass(frozen=True, slots=True)
class _Place:
    """Whose object it is: one node's, of one interval."""

    recipe: _Recipe
    character: Character
    interval: int
    node: str

    @property
    def seed(self) -> str:
        return f"{self.recipe.seed}/{self.character.name}/{self.interval}/{self.node}"

    @property
    def scene(self) -> Scene:
        return self.recipe.scene(self.character, self.interval, self.node)

    def key(self, prefix: str = "", suffix: str = ".log.gz") -> str:
        """Return the key; the folder is the day of delivery, which may be the next one."""
        rng = Random(f"key/{prefix}/{self.seed}")
        end = self.recipe.end_of(self.interval)
        name = f"app.{self.character.name}.{self.character.identity}"
        return (
            f"{_folder(end + timedelta(seconds=rng.randint(60, 330)))}"
            f"{prefix}{_owner()}_{name}_{_minute(end)}_{self.node}"
            f"_{''.join(rng.choices(_NAME_LETTERS, k=8))}{suffix}"
        )


def line_id(line: bytes) -> str:
    """Return the `_id` that a line must get: 120 bits of its SHA-256, as base64url."""
    return urlsafe_b64encode(sha256(line).digest()).decode("ascii")[:_ID_LENGTH]


def gz(lines: Iterable[bytes], *, members: int = 1) -> bytes:
    """
    Compress lines, a line feed after each, into the given number of gzip members.

    Members are cut anywhere, even within a line. No time is stored: the same lines make the same
    bytes.
    """
    text = b"".join(line + b"\n" for line in lines)
    cuts = [len(text) * cut // members for cut in range(members + 1)]
    return b"".join(gzip.compress(text[at:end], 6, mtime=0) for at, end in pairwise(cuts))


def hour_of_objects(
    seed: int,
    *,
    start: datetime,
    lines_per_object: int = 1000,
    odd_share: float = 0.02,
    bad_share: float = 0.002,
) -> Iterator[WrittenObject]:
    """
    Yield the objects of one hour in the order of their delivery.

    `start` is rounded down to five minutes. Every access log object has
    `lines_per_object` lines that are not blank; `odd_share` and `bad_share` of them are odd
    and bad. Blank lines come with bad ones: no `bad_share`, no blank line.
    """
    first = start.astimezone(UTC)
    first = first.replace(minute=first.minute - first.minute % 5, second=0, microsecond=0)
    recipe = _Recipe(seed, first, lines_per_object, odd_share, bad_share)
    yield _test_file(first)
    for interval in range(INTERVALS):
        for character in CHARACTERS.values():
            places = [_Place(recipe, character, interval, node) for node in character.nodes]
            yield from map(_access_object, places)
            yield _connection_object(places[0])
            yield _health_check_object(places[0])
        yield from _siblings(_Place(recipe, CHARACTERS["frontend-alb"], interval, "10.0.0.9"))


def _access_object(place: _Place) -> WrittenObject:
    recipe, rng = place.recipe, Random(f"object/{place.seed}")
    odd = _rounded(recipe.lines * recipe.odd_share, rng)
    bad = _rounded(recipe.lines * recipe.bad_share, rng)
    good = [
        *access_lines(place.scene, place.seed, max(recipe.lines - odd - bad, 0)),
        *odd_lines_of(place.scene, place.seed, odd),
    ]
    rejected = list(bad_lines_of(place.scene, place.seed, bad))
    blank = rng.choices(_BLANKS, k=rng.randint(0, 2)) if bad else []
    lines = [*good, *rejected, *blank]
    rng.shuffle(lines)
    return WrittenObject(
        place.key(),
        gz(lines, members=rng.choice((1, 1, 2, 5))),
        "access",
        place.character.name,
        tuple(lines),
        _ids(good),
        _ids(rejected),
        len(blank),
    )


def _connection_object(place: _Place) -> WrittenObject:
    lines = list(connection_lines_of(place.scene, place.seed, place.recipe.lines // 4 + 1))
    return _all_good(place, "connection", "conn_log_", lines)


def _health_check_object(place: _Place) -> WrittenObject:
    lines = list(health_check_lines_of(place.scene, place.seed, place.recipe.lines // 20 + 1))
    return _all_good(place, "health-check", "health_check_log_", lines)


def _all_good(place: _Place, kind: str, prefix: str, lines: Sequence[bytes]) -> WrittenObject:
    return WrittenObject(
        place.key(prefix), gz(lines), kind, place.character.name, tuple(lines), _ids(lines)
    )


def _siblings(place: _Place) -> Iterator[WrittenObject]:
    """Yield the neighbours in the folder: NLB, Classic and Parquet logs."""
    end = place.recipe.end_of(place.interval)
    folder, minute, seed = _folder(end), _minute(end), place.seed
    name = "".join(Random(f"sibling/{seed}").choices(_NAME_LETTERS, k=8))
    network = f"tls 2.0 {end:%Y-%m-%dT%H:%M:%S} net/orders-nlb/c6e77e28c25b2234 g3d4b5e8bb8464cd"
    classic = f"{end:%Y-%m-%dT%H:%M:%S}.945958Z old-site 192.0.2.3:2817 10.0.0.1:80 0.1 0.2 0.3"
    yield WrittenObject(
        f"{folder}{_owner()}_net.orders-nlb.c6e77e28c25b2234_{minute}_{name}.log.gz",
        *(gz([network.encode("ascii")]), "sibling", "orders-nlb"),
    )
    yield WrittenObject(
        f"{folder}{_owner()}_old-site_{minute}_192.0.2.7_{name}.log",
        *(classic.encode("ascii") + b"\n", "sibling", "old-site"),
    )
    yield WrittenObject(
        place.key(suffix=".log.parquet"),
        *(b"PAR1\x15\x00\x15\x1c\x15\x20PAR1", "sibling", place.character.name),
    )


def _test_file(first: datetime) -> WrittenObject:
    character = CHARACTERS["frontend-alb"]
    text = f"Enable AccessLog for ELB: {character.path} at {first:%Y-%m-%dT%H:%M:%S}.781Z"
    key = f"AWSLogs/{ACCOUNT}/ELBAccessLogTestFile"
    return WrittenObject(key, text.encode("ascii"), "test-file", character.name)


def _owner() -> str:
    return f"{ACCOUNT}_elasticloadbalancing_{REGION}"


def _folder(delivered: datetime) -> str:
    return f"AWSLogs/{ACCOUNT}/elasticloadbalancing/{REGION}/{delivered:%Y/%m/%d}/"


def _minute(end: datetime) -> str:
    return f"{end:%Y%m%dT%H%MZ}"


def _rounded(expected: float, rng: Random) -> int:
    """Round up or down at random, so that small shares are right over many objects."""
    return int(expected + rng.random())


def _ids(lines: Iterable[bytes]) -> frozenset[str]:
    return frozenset(map(line_id, lines))
