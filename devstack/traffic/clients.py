"""
Bring clients to a load balancer: one connection per request, no two alike.

The access log and the connection log of one seed are made from the same visits, so their
lines join on `conn_trace_id`, as real ones do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_network
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from devstack.traffic.characters import CHARACTERS, Character, Listener
from devstack.traffic.draws import favour_early, pick, spread
from devstack.traffic.instants import micros_of, span_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

_LOWEST_PORT = 1_024
_PORTS = 65_536 - _LOWEST_PORT
_PORT_STRIDE = 39_119  # has no divisor in common with _PORTS: each port once per round
_CLIENTS_PER_ROUND = 2_000
_EVERY_NTH_IS_V6 = 13
_DISORDER = 64  # how far, in lines, a line is from the position that its time demands
_HOST_STRIDE = 0x9E3779B97F4A7C15  # odd: distinct clients get distinct hosts

_NO_TLS = ("-", "-")
_TLS = spread(
    (70, ("TLS_AES_128_GCM_SHA256", "TLSv1.3")),
    (6, ("TLS_AES_256_GCM_SHA384", "TLSv1.3")),
    (20, ("ECDHE-RSA-AES128-GCM-SHA256", "TLSv1.2")),
    (3, ("ECDHE-RSA-AES256-SHA384", "TLSv1.2")),
    (1, ("ECDHE-RSA-AES128-SHA", "TLSv1")),
)


@dataclass(frozen=True, slots=True)
class Scene:
    """The load balancer, the time span of its lines, and the part in which it fails."""

    character: Character
    start: int
    span: int
    nodes: tuple[str, ...]
    burst: range  # the microseconds in which the failing target group fails

    def is_failing(self, micros: int) -> bool:
        """Return whether the target group fails at this moment."""
        return self.burst.start <= micros < self.burst.stop


class Visit(NamedTuple):
    """One client connection, and when its request was answered."""

    micros: int
    address: str
    port: int
    trace: str
    listener: Listener
    cipher: str
    protocol: str


def scene_of(load_balancer: str, start: datetime, span: timedelta) -> Scene:
    """Return a scene whose burst lies between a third and the half of its span."""
    character = CHARACTERS[load_balancer]
    first, length = micros_of(start), span_of(span)
    burst = range(first + length // 3, first + length // 2)
    return Scene(character, first, length, character.nodes, burst)


def visits(scene: Scene, seed: int | str, count: int) -> Iterator[Visit]:
    """
    Yield `count` visits, roughly in order of time; no two share address and port.

    The clients of a load balancer are the same for every seed; every 64,512 visits the
    ports are used up and other clients come.
    """
    rng = Random(f"visits/{seed}/{scene.character.name}")
    addresses: tuple[str, ...] = ()
    first_port = rng.randrange(_PORTS)
    for number in range(count):
        if number % _PORTS == 0:
            addresses = _addresses(scene.character.name, number // _PORTS)
        position = (number + rng.random() * _DISORDER) / (count + _DISORDER)
        listener = pick(scene.character.listeners, rng)
        cipher, protocol = pick(_TLS, rng) if listener.scheme == "https" else _NO_TLS
        yield Visit(
            scene.start + int(scene.span * position),
            favour_early(addresses, rng),
            _LOWEST_PORT + (first_port + number * _PORT_STRIDE) % _PORTS,
            f"TID_{rng.getrandbits(128):032x}",
            listener,
            cipher,
            protocol,
        )


@lru_cache(maxsize=16)
def _addresses(load_balancer: str, round_number: int) -> tuple[str, ...]:
    first = round_number * _CLIENTS_PER_ROUND
    clients = range(first, first + _CLIENTS_PER_ROUND)
    return tuple(_address(CHARACTERS[load_balancer], client) for client in clients)


def _address(character: Character, client: int) -> str:
    is_v6 = client % _EVERY_NTH_IS_V6 == _EVERY_NTH_IS_V6 // 2
    networks = character.networks_v6 if is_v6 else character.networks
    network = ip_network(networks[client % len(networks)])
    stride = _HOST_STRIDE**2 if is_v6 else _HOST_STRIDE  # 64 bits do not fill a v6 host
    host = (client + 1) * stride % network.num_addresses
    return str(network.network_address + host)
