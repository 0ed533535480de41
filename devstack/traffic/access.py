"""
Write access log lines of the current generation, 36 fields, and cut them to older ones.

Every line of `ordinary_lines` is plain: ASCII, no escapes, every field where AWS puts it.
"""

from __future__ import annotations

import re
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from devstack.traffic.answers import Answer, unavailable
from devstack.traffic.clients import Scene, Visit, scene_of, visits
from devstack.traffic.draws import favour_early, pick
from devstack.traffic.instants import SECOND, instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

GENERATIONS = (18, 20, 21, 23, 24, 25, 27, 29, 30, 33, 34, 36)
HOUR = timedelta(hours=1)

_FIELD = re.compile(rb'"[^"]*"|\S+')
_SHARE_THAT_FAILS = 0.85
_UNGUARDED = frozenset({"waf", "-"})
_RESUMED_SHARE = 0.03


def ordinary_lines(
    seed: int,
    count: int,
    *,
    start: datetime,
    span: timedelta = HOUR,
    load_balancer: str = "frontend-alb",
) -> Iterator[bytes]:
    """
    Yield access log lines whose times lie in `span` from `start`, roughly in order.

    At `backend-alb` the targets of `orders-api` fail between a third and half of the span
    (minutes 20 to 30 of an hour).
    """
    return access_lines(scene_of(load_balancer, start, span), seed, count)


def access_lines(scene: Scene, seed: int | str, count: int) -> Iterator[bytes]:
    """Yield `count` lines of this scene; the same seed makes the same bytes."""
    rng = Random(f"access/{seed}/{scene.character.name}")
    for visit in visits(scene, seed, count):
        yield _line(scene, visit, rng)


def fields_of(line: bytes) -> list[bytes]:
    """Split a line into its fields, quotes and all."""
    return _FIELD.findall(line)


def as_generation(line: bytes, tokens: int) -> bytes:
    """Cut a line to its first fields, as load balancers wrote it in earlier years."""
    return b" ".join(fields_of(line)[:tokens])


def _answer(scene: Scene, visit: Visit, rng: Random) -> tuple[str, int, Answer]:
    route = pick(visit.listener.routes, rng)
    fate = pick(visit.listener.fates, rng)
    if (
        scene.is_failing(visit.micros)
        and route.group.name == scene.character.failing_group
        and rng.random() < _SHARE_THAT_FAILS
    ):
        fate = unavailable
    return route.method, route.priority, fate(route, rng)


def _line(scene: Scene, visit: Visit, rng: Random) -> bytes:
    character, listener = scene.character, visit.listener
    method, priority, answer = _answer(scene, visit, rng)
    created = visit.micros - answer.millis * 1000 - int(rng.random() * 1000)
    host = pick(character.hosts, rng)
    sni, certificate = _tls_names(scene, visit, host, rng)
    actions = answer.actions
    redirect = f"https://{host}:443{answer.url}" if actions == "redirect" else "-"
    if actions not in _UNGUARDED:
        actions = character.guard + actions
    listed = "-" if answer.target == "-" else answer.target_status
    text = (
        f"{listener.kind} {instant(visit.micros)} {character.path}"
        f" {visit.address}:{visit.port} {answer.target} {answer.waits}"
        f" {answer.status} {answer.target_status}"
        f" {int(60 + 900 * rng.random() ** 3)} {answer.sent_bytes}"
        f' "{method} {listener.scheme}://{host}:{listener.port}{answer.url}'
        f' HTTP/{listener.version}" "{favour_early(character.agents, rng)}"'
        f" {visit.cipher} {visit.protocol} {answer.group_arn}"
        f' "Root=1-{created // SECOND:08x}-{rng.getrandbits(96):024x}"'
        f' "{sni}" "{certificate}" {priority} {instant(created)}'
        f' "{actions}" "{redirect}" "{answer.reason}" "{answer.target}" "{listed}"'
        f' "-" "-" {visit.trace} "-" "-" "-" {pick(scene.nodes, rng)} "-" "-"'
    )
    return text.encode("ascii")


def _tls_names(scene: Scene, visit: Visit, host: str, rng: Random) -> tuple[str, str]:
    if visit.protocol == "-":
        return "-", "-"
    resumed = rng.random() < _RESUMED_SHARE
    return host, "session-reused" if resumed else scene.character.certificate
