"""Describe what is behind a load balancer: target groups, and routes that lead to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

ACCOUNT = "123456789012"
REGION = "eu-central-1"


@dataclass(frozen=True, slots=True)
class TargetGroup:
    """The targets that one rule forwards to; `addresses` is `("-",)` for a function."""

    name: str
    identity: str
    addresses: tuple[str, ...]
    arn: str
    check: str  # the protocol of its health checks: http, https, h2, grpc or lambda
    function_arn: str = "-"


@dataclass(frozen=True, slots=True)
class Route:
    """What requests of one kind look like and how their target answers."""

    method: str
    url: Callable[[Random], str]
    group: TargetGroup
    priority: int
    median_ms: float
    statuses: tuple[str, ...]
    sigma: float = 0.6
    sent_bytes: int = 2_000


def _group_arn(name: str, identity: str) -> str:
    return f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/{name}/{identity}"


def machines(name: str, identity: str, *addresses: str, check: str = "http") -> TargetGroup:
    """Return a target group of instances or containers."""
    return TargetGroup(name, identity, addresses, _group_arn(name, identity), check)


def function(name: str, identity: str) -> TargetGroup:
    """Return a target group of one Lambda function."""
    function_arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    return TargetGroup(name, identity, ("-",), _group_arn(name, identity), "lambda", function_arn)
