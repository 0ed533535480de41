"""
Decide the outcome of a request: who answers it, how fast, and with which status.

Each function here is a *fate*; a listener draws one per request by weight. The shapes
(which fields are -1, which are `-`) follow AWS's description of the access log.
"""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING, NamedTuple

from devstack.traffic.draws import pick
from devstack.traffic.urls import ATTACK_PATHS

if TYPE_CHECKING:
    from random import Random

    from devstack.traffic.routes import Route

NOTHING_MEASURED = "-1 -1 -1"

_AUTH_REASONS = (
    "AuthInvalidCookie",
    "AuthInvalidStateParam",
    "AuthMissingStateParam",
    "AuthInvalidIdToken",
)
_LAMBDA_REASONS = ("LambdaInvalidResponse", "LambdaUnhandled", "LambdaThrottling")


class Answer(NamedTuple):
    """The fields of a line that depend on the outcome of the request."""

    url: str
    status: str
    sent_bytes: int
    millis: int
    waits: str = NOTHING_MEASURED
    target: str = "-"
    target_status: str = "-"
    group_arn: str = "-"
    actions: str = "forward"
    reason: str = "-"


def _millis(route: Route, rng: Random) -> int:
    return int(route.median_ms * exp(rng.gauss(0.0, route.sigma)))


def _in_seconds(millis: int) -> str:
    return f"{millis // 1000}.{millis % 1000:03d}"


def served(route: Route, rng: Random) -> Answer:
    """Let the target answer."""
    millis = _millis(route, rng)
    before, after = int(rng.random() * 3), int(rng.random() ** 4 * 9)
    status = pick(route.statuses, rng)
    return Answer(
        route.url(rng),
        status,
        int(route.sent_bytes * exp(rng.gauss(0.0, 0.5))) + 120,
        before + millis + after,
        f"0.00{before} {_in_seconds(millis)} 0.00{after}",
        pick(route.group.addresses, rng),
        status,
        route.group.arn,
    )


def upgraded(route: Route, rng: Random) -> Answer:
    """Keep a WebSocket open for minutes; the times in the line are those of its opening."""
    session = int(90_000 * exp(rng.gauss(0.0, 1.0)))
    return served(route, rng)._replace(
        status="101",
        target_status="101",
        sent_bytes=session * 2,
        millis=session,
        waits=f"0.001 0.00{int(rng.random() * 9)} 0.000",
    )


def failed_function(route: Route, rng: Random) -> Answer:
    """Let a Lambda function fail; a route to instances is served as usual."""
    answer = served(route, rng)
    if route.group.function_arn == "-":
        return answer
    reason = pick(_LAMBDA_REASONS, rng)
    return answer._replace(status="502", target_status="-", sent_bytes=272, reason=reason)


def redirected(route: Route, rng: Random) -> Answer:
    """Send the client to HTTPS."""
    return Answer(route.url(rng), "301", 332, 0, actions="redirect")


def fixed(route: Route, rng: Random) -> Answer:
    """Answer from the rule itself."""
    return Answer(route.url(rng), pick(("404", "503"), rng), 178, 0, actions="fixed-response")


def blocked(_route: Route, rng: Random) -> Answer:
    """Let the web application firewall refuse the request."""
    return Answer(pick(ATTACK_PATHS, rng), "403", 520, 1, actions="waf")


def challenged(route: Route, rng: Random) -> Answer:
    """Redirect the client to the log-in page."""
    answer = Answer(route.url(rng), "302", 1_120, 2, actions="authenticate")
    return answer._replace(group_arn=route.group.arn)


def login_failed(route: Route, rng: Random) -> Answer:
    """Fail the log-in: the client's fault (401) or the identity provider's (561)."""
    answer = Answer(route.url(rng), "401", 420, 3, actions="authenticate")
    if pick((True, False), rng):
        return answer._replace(status="561", millis=900, reason="AuthTokenEpRequestFailed")
    return answer._replace(reason=pick(_AUTH_REASONS, rng))


def client_gone(route: Route, rng: Random) -> Answer:
    """Let the client close the connection before the answer (460)."""
    answer = Answer(route.url(rng), "460", 0, 1 + _millis(route, rng), "0.001 -1 -1")
    return answer._replace(target=pick(route.group.addresses, rng), group_arn=route.group.arn)


def too_many_hops(route: Route, rng: Random) -> Answer:
    """Refuse an X-Forwarded-For of more than 30 addresses (463)."""
    return Answer(route.url(rng), "463", 0, 0, actions="-")


def protocol_mismatch(route: Route, rng: Random) -> Answer:
    """Refuse a protocol version that the target group does not support (464)."""
    return Answer(route.url(rng), "464", 0, 0, group_arn=route.group.arn, actions="-")


def go_away(route: Route, rng: Random) -> Answer:
    """Close an HTTP/2 connection after its 10,000th request (000)."""
    return Answer(route.url(rng), "000", 0, 0, actions="-")


def unavailable(route: Route, rng: Random) -> Answer:
    """Find the target group down: no target (503), a dead one (502), a silent one (504)."""
    answer = Answer(route.url(rng), "503", 162, 0, group_arn=route.group.arn)
    drawn = pick(("503", "502", "502", "504"), rng)
    if drawn == "503":
        return answer
    target = pick(route.group.addresses, rng)
    if drawn == "502":
        return answer._replace(status=drawn, sent_bytes=272, millis=4, target=target)
    return answer._replace(
        status=drawn, sent_bytes=282, millis=60_001, target=target, waits="0.001 -1 -1"
    )
