"""Write health check log lines: 10 fields, and some of the older 8."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from devstack.traffic.access import as_generation
from devstack.traffic.clients import Scene, scene_of
from devstack.traffic.draws import pick, spread
from devstack.traffic.instants import instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from devstack.traffic.routes import TargetGroup

HEALTH_CHECK_GENERATIONS = (8, 10)

_HOUR = timedelta(hours=1)
_TOKENS = spread((95, 10), (5, 8))
_NOW_AND_THEN = 0.01
_WHILE_DOWN = 0.9
_TIMED_OUT = 5.0
_PASSED = "PASS 200 -"
_FAILURES = spread(
    (5, "FAIL - TimedOut"),
    (3, "FAIL - ConnectionReset"),
    (4, "FAIL 503 ResponseCodeMismatch"),
    (1, "FAIL 200 ResponseStringMismatch"),
    (1, "FAIL - InternalError"),
)


def health_check_lines(
    seed: int,
    count: int,
    *,
    start: datetime,
    span: timedelta = _HOUR,
    load_balancer: str = "frontend-alb",
) -> Iterator[bytes]:
    """
    Yield health check log lines, roughly in order of time.

    While a target group fails in the access log, its checks fail here.
    """
    return health_check_lines_of(scene_of(load_balancer, start, span), seed, count)


def health_check_lines_of(scene: Scene, seed: int | str, count: int) -> Iterator[bytes]:
    """Yield `count` checks of this scene's targets, one target after another."""
    rng = Random(f"health/{seed}/{scene.character.name}")
    targets = _targets(scene)
    for number in range(count):
        group, target = targets[number % len(targets)]
        micros = scene.start + int(scene.span * (number + rng.random()) / count)
        down = scene.is_failing(micros) and group.name == scene.character.failing_group
        failed = rng.random() < (_WHILE_DOWN if down else _NOW_AND_THEN)
        text = (
            f"{group.check} {instant(micros)} {_latency(rng, failed=failed)} {target}"
            f" {group.name}/{group.identity} {pick(_FAILURES, rng) if failed else _PASSED}"
            f" {scene.character.path} {pick(scene.nodes, rng)}"
        )
        yield as_generation(text.encode("ascii"), pick(_TOKENS, rng))


def _targets(scene: Scene) -> list[tuple[TargetGroup, str]]:
    groups = {
        route.group: None for listener in scene.character.listeners for route in listener.routes
    }
    return [
        (group, group.function_arn if address == "-" else address)
        for group in groups
        for address in group.addresses
    ]


def _latency(rng: Random, *, failed: bool) -> str:
    return f"{_TIMED_OUT + rng.random() * 0.01 if failed else 0.001 + 0.05 * rng.random() ** 3:.9f}"
