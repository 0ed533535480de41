"""
Cast the load balancers of the generated traffic, each with a character of its own.

- `frontend-alb`: web pages for browsers; one slow page, `/reports/{id}/export`.
- `backend-alb`: a JSON API for services; its `orders-api` targets fail in a burst.
- `internal-grpc-alb`: gRPC calls and WebSockets inside the company's own network.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from devstack.traffic import agents
from devstack.traffic.answers import (
    blocked,
    challenged,
    client_gone,
    failed_function,
    fixed,
    go_away,
    login_failed,
    protocol_mismatch,
    redirected,
    served,
    too_many_hops,
    unavailable,
    upgraded,
)
from devstack.traffic.draws import spread
from devstack.traffic.routes import ACCOUNT, REGION, Route, function, machines
from devstack.traffic.urls import url_maker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from devstack.traffic.answers import Answer

_OK = spread((96, "200"), (3, "304"), (1, "404"))
_GRPC_OK = spread((99, "200"), (1, "500"))


@dataclass(frozen=True, slots=True)
class Listener:
    """The requests of one protocol; `kind` is the first field of the line."""

    kind: str
    scheme: str
    port: int
    version: str
    routes: tuple[Route, ...]
    fates: tuple[Callable[[Route, Random], Answer], ...]


@dataclass(frozen=True, slots=True)
class Character:
    """One load balancer: its name, its clients, its answers."""

    name: str
    identity: str
    hosts: tuple[str, ...]
    certificate: str
    nodes: tuple[str, ...]
    listeners: tuple[Listener, ...]
    agents: tuple[str, ...]
    networks: tuple[str, ...]
    networks_v6: tuple[str, ...]
    guard: str = ""  # precedes every action: "waf," if a firewall is asked first
    failing_group: str | None = None

    @property
    def path(self) -> str:
        """Return the load balancer as field 3 names it."""
        return f"app/{self.name}/{self.identity}"


def _certificate(identity: str) -> str:
    return f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/{identity}"


_WEB = machines(
    "web-pages", "73e2d6bc24d8a067", "10.0.12.34:8080", "10.0.12.71:8080", "10.0.28.5:8080"
)
_REPORTS = machines("reports", "0f1e2d3c4b5a6978", "10.0.13.8:9000", "10.0.29.8:9000")
_ASSETS = machines("assets", "a91bd0c2f3e44712", "10.0.14.20:80", "10.0.30.20:80")
_ORDERS = machines(
    "orders-api",
    "5d1f8e6a9b2c4370",
    "10.0.44.11:8443",
    "10.0.44.12:8443",
    "10.0.60.13:8443",
    check="https",
)
_CATALOG = machines(
    "catalog-api", "c2a4e6f8091b3d5f", "10.0.45.21:8443", "10.0.61.22:8443", check="https"
)
_THUMBNAILS = function("thumbnails", "8c7b6a5948372615")
_RPC = machines(
    "order-service", "e1d2c3b4a5968778", "10.0.70.3:50051", "10.0.86.4:50051", check="grpc"
)
_LIVE = machines("live-updates", "19283746aabbccdd", "10.0.71.9:8080", "10.0.87.9:8080")

_PAGES = spread(
    (8, Route("GET", url_maker("/", plain=0.3), _WEB, 0, 18, _OK, sent_bytes=14_000)),
    (
        18,
        Route(
            "GET",
            url_maker("/products/{number}/{slug}", encoded=0.2),
            *(_WEB, 40, 45, _OK),
            sent_bytes=22_000,
        ),
    ),
    (12, Route("GET", url_maker("/search", encoded=1.0), _WEB, 30, 160, _OK, 0.8, 17_000)),
    (9, Route("GET", url_maker("/category/{slug}", encoded=0.45, plain=0.3), _WEB, 40, 60, _OK)),
    (6, Route("GET", url_maker("/cart"), _WEB, 40, 25, _OK)),
    (
        4,
        Route(
            "POST",
            url_maker("/checkout/{uuid}"),
            *(_WEB, 20, 320, spread((90, "302"), (8, "422"), (2, "500"))),
            sigma=0.9,
        ),
    ),
    (5, Route("GET", url_maker("/account/orders/{number}"), _WEB, 20, 70, _OK)),
    (3, Route("GET", url_maker("/reports/{number}/export"), _REPORTS, 10, 2_800, _OK, 0.7, 90_000)),
    (17, Route("GET", url_maker("/static/{build}/app.js"), _ASSETS, 50, 3, _OK, 0.5, 48_000)),
    (4, Route("GET", url_maker("/static/{build}/app.css"), _ASSETS, 50, 3, _OK, 0.5, 12_000)),
    (14, Route("GET", url_maker("/img/{hex}.webp", encoded=0.1), _ASSETS, 50, 5, _OK, 0.9, 60_000)),
)
_API = spread(
    (22, Route("GET", url_maker("/v1/orders/{uuid}"), _ORDERS, 10, 22, _OK)),
    (
        9,
        Route(
            "POST",
            url_maker("/v1/orders"),
            *(_ORDERS, 10, 140, spread((90, "201"), (5, "409"), (4, "422"), (1, "500"))),
            sigma=0.8,
        ),
    ),
    (
        7,
        Route(
            "PATCH",
            url_maker("/v1/orders/{uuid}/items/{number}"),
            *(_ORDERS, 10, 60, spread((95, "204"), (5, "404"))),
            sent_bytes=40,
        ),
    ),
    (3, Route("DELETE", url_maker("/v1/orders/{uuid}"), _ORDERS, 10, 35, spread((1, "204")))),
    (16, Route("GET", url_maker("/v1/products", encoded=0.8, plain=0.2), _CATALOG, 20, 30, _OK)),
    (18, Route("GET", url_maker("/v1/products/{number}", encoded=0.3), _CATALOG, 20, 12, _OK)),
    (12, Route("GET", url_maker("/v1/customers/{number}/carts/{token}"), _CATALOG, 20, 28, _OK)),
    (
        3,
        Route(
            "GET",
            url_maker("/v1/sessions/{token}"),
            *(_CATALOG, 20, 8, spread((80, "200"), (12, "401"), (8, "429"))),
        ),
    ),
    (5, Route("GET", url_maker("/v1/thumbnails/{hex}", encoded=0.2), _THUMBNAILS, 30, 210, _OK)),
)
_CALLS = spread(
    (5, Route("POST", url_maker("/orders.v1.OrderService/GetOrder"), _RPC, 1, 6, _GRPC_OK)),
    (2, Route("POST", url_maker("/orders.v1.OrderService/ListOrders"), _RPC, 1, 40, _GRPC_OK)),
    (1, Route("POST", url_maker("/orders.v1.OrderService/PlaceOrder"), _RPC, 1, 90, _GRPC_OK)),
    (2, Route("POST", url_maker("/stock.v2.Stock/Reserve"), _RPC, 1, 11, _GRPC_OK, 0.9, 300)),
)
_SOCKETS = spread(
    (3, Route("GET", url_maker("/live/{token}"), _LIVE, 2, 4, spread((1, "101")))),
    (1, Route("GET", url_maker("/live/prices", encoded=0.5), _LIVE, 2, 4, spread((1, "101")))),
)

_AT_THE_DOOR = (
    (13, blocked),
    (8, challenged),
    (5, login_failed),
    (6, client_gone),
    (2, too_many_hops),
    (3, fixed),
)
_PAGE_FATES = spread((960, served), *_AT_THE_DOOR, (3, unavailable))
_API_FATES = spread((970, served), (12, failed_function), (6, client_gone), (6, unavailable))
_CALL_FATES = spread((990, served), (3, protocol_mismatch), (4, go_away), (3, unavailable))

_FRONTEND = Character(
    name="frontend-alb",
    identity="50dc6c495c0c9188",
    hosts=("www.example.com", "www.example.com", "shop.example.com", "example.com"),
    certificate=_certificate("f0c1d2e3-1111-4222-8333-a4b5c6d7e8f9"),
    nodes=("3.120.45.17", "18.194.201.88"),
    listeners=spread(
        (14, Listener("h2", "https", 443, "2.0", _PAGES, (*_PAGE_FATES, go_away, go_away))),
        (5, Listener("https", "https", 443, "1.1", _PAGES, _PAGE_FATES)),
        (1, Listener("http", "http", 80, "1.1", _PAGES, spread((98, redirected), (2, blocked)))),
    ),
    agents=agents.BROWSERS,
    networks=(
        "87.128.0.0/10",
        "84.128.0.0/10",
        "79.192.0.0/10",
        "91.0.0.0/10",
        "178.0.0.0/11",
        "90.0.0.0/9",
        "86.128.0.0/10",
        "73.0.0.0/8",
        "98.192.0.0/10",
        "126.0.0.0/8",
        "1.128.0.0/11",
        "106.192.0.0/10",
        "177.0.0.0/10",
        "151.0.0.0/10",
    ),
    networks_v6=("2003::/19", "2601::/20", "2a02:8100::/27", "2400:4050::/28"),
    guard="waf,",
)
_BACKEND = Character(
    name="backend-alb",
    identity="9a8b7c6d5e4f3021",
    hosts=("api.example.com", "api.example.com", "partners.example.com"),
    certificate=_certificate("0a1b2c3d-4444-4555-8666-e7f8a9b0c1d2"),
    nodes=("3.121.9.240", "52.58.77.13"),
    listeners=spread(
        (7, Listener("https", "https", 443, "1.1", _API, _API_FATES)),
        (3, Listener("http", "http", 80, "1.1", _API, _API_FATES)),
    ),
    agents=agents.SERVICES,
    networks=("3.64.0.0/12", "18.184.0.0/15", "34.89.128.0/17", "20.52.0.0/14", "51.15.0.0/16"),
    networks_v6=("2a05:d014::/36", "2600:1900::/28"),
    failing_group="orders-api",
)
_INTERNAL = Character(
    name="internal-grpc-alb",
    identity="1122334455667788",
    hosts=("internal.example.com",),
    certificate=_certificate("99887766-7777-4888-8999-55443322110a"),
    nodes=("10.0.3.15",),
    listeners=spread(
        (14, Listener("grpcs", "https", 443, "2.0", _CALLS, _CALL_FATES)),
        (4, Listener("wss", "https", 443, "1.1", _SOCKETS, spread((1, upgraded)))),
        (2, Listener("ws", "http", 80, "1.1", _SOCKETS, spread((1, upgraded)))),
    ),
    agents=agents.STUBS,
    networks=("10.0.0.0/14", "10.64.0.0/14"),
    networks_v6=("fd12:3456::/32",),
)

CHARACTERS: Mapping[str, Character] = MappingProxyType(
    {character.name: character for character in (_FRONTEND, _BACKEND, _INTERNAL)}
)
