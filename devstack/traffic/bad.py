"""
Write lines that are no access log lines and must be rejected, each with its reason.

All differ from each other, so that the ids of rejected lines can be counted. Blank lines are not
among them: those are skipped, not rejected.
"""

from __future__ import annotations

from datetime import timedelta
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from devstack.traffic.clients import scene_of
from devstack.traffic.shapes import Field, bent_lines, edit, put

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from devstack.traffic.clients import Scene
    from devstack.traffic.shapes import Shape

_HOUR = timedelta(hours=1)
# Without any one of these, a later number or date moves into the wrong field.
_LOAD_BEARING = tuple(field for field in Field if Field.TIME <= field < Field.CREATED)


def bad_lines(
    seed: int,
    count: int,
    *,
    start: datetime,
    span: timedelta = _HOUR,
    load_balancer: str = "frontend-alb",
) -> Iterator[bytes]:
    """Yield lines to reject; `len(BAD_SHAPES)` consecutive lines show every shape once."""
    return bad_lines_of(scene_of(load_balancer, start, span), seed, count)


def bad_lines_of(scene: Scene, seed: int | str, count: int) -> Iterator[bytes]:
    """Yield `count` lines to reject, among the lines of this scene."""
    return bent_lines(scene, Random(f"bad/{seed}"), count, BAD_SHAPES)


def _too_few(fields: list[str], rng: Random) -> str:
    return " ".join(fields[: rng.randint(Field.CLIENT + 1, Field.TRACE)])


def _without_one(fields: list[str], rng: Random) -> str:
    missing = rng.choice(_LOAD_BEARING)
    return " ".join(fields[:missing] + fields[missing + 1 :])


def _cut_in_a_quote(fields: list[str], rng: Random) -> str:
    return " ".join(fields[: rng.choice((Field.REQUEST, Field.TRACE, Field.ACTIONS)) + 1])[:-1]


def _without_closing_quote(fields: list[str], rng: Random) -> str:
    opened = rng.choice((Field.REQUEST, Field.USER_AGENT, Field.TRACE, Field.DOMAIN))
    return edit(opened, lambda text: text[:-1])(fields, rng)


def _garbage(_fields: list[str], rng: Random) -> str:
    noise = rng.randbytes(200).translate(None, b"\r\n")
    return f"\x00{noise.decode('utf-8', 'surrogateescape')}{rng.getrandbits(64):x}"


def _foreign(*forms: str) -> Shape:
    """Return a shape of another kind of text, with a number in it that occurs once."""
    return lambda _fields, rng: rng.choice(forms).replace("#", f"{rng.getrandbits(64):x}", 1)


_SHAPES: Final[dict[str, Shape]] = {
    "too few fields": _too_few,
    "a field missing in the middle": _without_one,
    "cut inside a quote": _cut_in_a_quote,
    "quote not closed": _without_closing_quote,
    "quote inside a plain value": put(Field.PROTOCOL, 'TLSv1"2', 'TLS"v1"2', '-"'),
    "quote inside a plain ARN": edit(Field.GROUP, lambda text: text[:1] + '"x"' + text[1:]),
    "time that is no instant": put(
        *(Field.TIME, "-", '""', "yesterday", "1758110400", "2026-09-17", "2026-09-17T10:00:00"),
        *("2026-09-17T10:00:00+00:00", "2026-09-17T10:00:00.1234567Z", "2026-09-17T10:00:00.Z"),
        *("2026-09-17t10:00:00Z", "26-09-17T10:00:00Z", "2026-9-17T10:00:00Z"),
    ),
    "time that the calendar lacks": put(
        *(Field.TIME, "2026-13-01T00:00:00Z", "2026-00-10T00:00:00Z", "2026-02-30T10:00:00Z"),
        *("2025-02-29T10:00:00.5Z", "2026-09-17T24:00:00Z", "2026-09-17T10:60:00.000000Z"),
        *("2026-09-17T10:00:60.000000Z", "2026-09-00T10:00:00Z"),
    ),
    "time out of range": put(
        *(Field.TIME, "1970-01-01T00:00:00.000000Z", "2015-12-31T23:59:59.999999Z"),
        *("2999-01-01T00:00:00.000000Z", "9999-12-31T23:59:59Z"),
    ),
    "creation time that is no instant": put(
        Field.CREATED, "now", "2026-02-30T10:00:00Z", "0", "2026-09-17T10:00:00"
    ),
    "status that is no number": put(Field.STATUS, "OK", "20O", "0x1F4", "2_00", "٢٠٠", "+200", "²"),
    "target status that is no number": put(Field.TARGET_STATUS, "200,200", "--1", "2e2", "None"),
    "bytes that are no number": put(Field.SENT, "1e3", "12.5", "1,024", "NaN", "5B"),
    "duration that is no number": put(
        Field.TARGET_TIME, "nan", "inf", "1_0.0", "0,5", ".5", "5.", "1.2.3", "1e-3", "--1"
    ),
    "priority that is no number": put(Field.PRIORITY, "default", "1.0", "0b1"),
    "binary garbage": _garbage,
    "next to nothing": _foreign("- #", '"" #', '" #', '"#', "#", "\x0b\x0c#", "\x00#", "\ufeff#"),
    "another log": _foreign(
        "#Version: 1.0 #",
        '{"type":"h2","time":"2026-09-17T10:00:00Z","id":"#"}',
        "Enable AccessLog for ELB: app/frontend-alb/# at 2026-05-30T16:47:00.781Z",
        "tls 2.0 2026-09-17T10:00:00 net/my-nlb/c6e77e28c25b2234 # 192.0.2.3:51341 10.0.0.1:443"
        " 5 2 98 246 - arn:aws:acm:eu-central-1:123456789012:certificate/x - ECDHE tlsv12 -"
        " my-nlb.example.com - - - 2026-09-17T10:00:00",
        "2026-09-17T10:00:00.945958Z my-classic 192.0.2.3:2817 10.0.0.1:80 # 0.001 0.0 200 200 0 29"
        ' "GET http://www.example.com:80/ HTTP/1.1" "curl/7.38.0" - - a b c d e f',
        "http 2026-09-17T10:00:00.875678Z 0.0195 10.0.0.1:80 web/# PASS 200 - app/x/y 10.0.0.2",
    ),
}
BAD_SHAPES: Final[Mapping[str, Shape]] = MappingProxyType(_SHAPES)
