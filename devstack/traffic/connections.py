"""
Write connection log lines: 15 fields, and some of the older 12 and 13.

Those of one seed are the connections of the access log lines of the same seed.
"""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from devstack.traffic.access import as_generation
from devstack.traffic.clients import Scene, Visit, scene_of, visits
from devstack.traffic.draws import pick, spread
from devstack.traffic.instants import SECOND, instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

CONNECTION_GENERATIONS = (12, 13, 15)

_HOUR = timedelta(hours=1)
_WITH_CERTIFICATE = 0.2
_LEAD = 30 * SECOND  # at most so much older than its request
_TOKENS = spread((94, 15), (3, 13), (3, 12))
_NO_CERTIFICATE = '"-" - -'
_CERTIFICATES = (
    (
        '"CN=billing-client,OU=payments,O=Example,C=DE"'
        " NotBefore=2026-01-10T08:00:00Z;NotAfter=2027-01-10T08:00:00Z FEF257372D5C14D4"
    ),
    (
        '"CN=warehouse-7.example.com,O=Example GmbH & Co. KG,L=K\\xC3\\xB6ln,C=DE"'
        " NotBefore=2025-06-01T00:00:00Z;NotAfter=2028-06-01T00:00:00Z 0A1B2C3D4E5F60718293"
    ),
    (
        '"CN=say \\x22hi\\x22,O=Partner\\x5C, Inc."'
        " NotBefore=2024-02-29T12:00:00Z;NotAfter=2026-12-31T23:59:59Z 00"
    ),
)
_UNMAPPED = "Failed:UnmappedConnectionError"
_FAILURES = (
    _UNMAPPED,
    "Failed:ClientCertUntrusted",
    "Failed:ClientCertExpired",
    "Failed:ClientCertMaxChainDepthExceeded",
    "Failed:ClientCertNotYetValid",
    "Failed:ClientCertTypeUnsupported",
    "Failed:ClientCertRejected",
    "Failed:ClientCertIncompatible",
)
_VERDICTS = spread((312, "Success"), *((1, failure) for failure in _FAILURES))
_KEY_EXCHANGES = {
    "TLSv1.3": spread((6, "X25519"), (3, "X25519MLKEM768"), (1, "secp256r1")),
    "TLSv1.2": ("secp256r1", "secp384r1", "x25519"),
}


def connection_lines(
    seed: int,
    count: int,
    *,
    start: datetime,
    span: timedelta = _HOUR,
    load_balancer: str = "frontend-alb",
) -> Iterator[bytes]:
    """Yield connection log lines whose times lie in `span` from `start`, roughly in order."""
    return connection_lines_of(scene_of(load_balancer, start, span), seed, count)


def connection_lines_of(scene: Scene, seed: int | str, count: int) -> Iterator[bytes]:
    """Yield the connections of the first `count` visits to this scene."""
    rng = Random(f"connections/{seed}/{scene.character.name}")
    for visit in visits(scene, seed, count):
        line = _line(scene, visit, rng)
        tokens = pick(_TOKENS, rng)
        yield line if tokens == CONNECTION_GENERATIONS[-1] else as_generation(line, tokens)


def _line(scene: Scene, visit: Visit, rng: Random) -> bytes:
    opened = max(scene.start, visit.micros - int(rng.random() * _LEAD))
    verdict = "-" if visit.protocol == "-" else pick(_VERDICTS, rng)
    # A failed connection carries no request, so no access log line shares its trace.
    trace = f"TID_{rng.getrandbits(128):032x}" if verdict in _FAILURES else visit.trace
    text = (
        f"{instant(opened)} {visit.address} {visit.port} {visit.listener.port}"
        f" {_handshake(visit, verdict, rng)} {verdict} {trace}"
        f" {pick(_KEY_EXCHANGES.get(visit.protocol, ('-',)), rng)}"
        f" {scene.character.path} {pick(scene.nodes, rng)}"
    )
    return text.encode("ascii")


def _handshake(visit: Visit, verdict: str, rng: Random) -> str:
    """Write the fields from the TLS protocol to the serial number of the client's certificate."""
    if verdict in {"-", _UNMAPPED}:
        return f"- - - {_NO_CERTIFICATE}"
    latency = f"{0.004 + 0.2 * rng.random() ** 3:.3f}"
    asked = verdict in _FAILURES or rng.random() < _WITH_CERTIFICATE
    certificate = pick(_CERTIFICATES, rng) if asked else _NO_CERTIFICATE
    return f"{visit.protocol} {visit.cipher} {latency} {certificate}"
