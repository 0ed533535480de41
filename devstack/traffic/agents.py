"""
List the user agents of the generated traffic: browsers, service clients, gRPC stubs.

Each list is in order of popularity, for `draws.favour_early`.
"""

from __future__ import annotations

from itertools import product
from random import Random

_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
_DESKTOPS = (
    "Windows NT 10.0; Win64; x64",
    "Macintosh; Intel Mac OS X 10_15_7",
    "X11; Linux x86_64",
    "X11; CrOS x86_64 14541.0.0",
)
_PHONES = (
    "Linux; Android 10; K",
    "Linux; Android 13; SM-S911B",
    "Linux; Android 14; Pixel 8",
    "Linux; Android 14; SM-A546B",
    "Linux; Android 12; moto g(60)",
    "Linux; Android 13; M2101K6G",
    "Linux; Android 15; Pixel 9 Pro",
    "Linux; Android 11; ONEPLUS A6013",
    "Linux; Android 14; 23078PND5G",
    "Linux; Android 12; SM-T870",
)
_BOTS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "Mozilla/5.0 (compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
    "Mozilla/5.0 zgrab/0.x",
    "sqlmap/1.8.2#stable (https://sqlmap.org)",
    "curl/8.5.0",
    "Wget/1.21.4",
    "-",
)


def _chrome_like() -> list[str]:
    return [
        *(
            f"Mozilla/5.0 ({system}) {_WEBKIT} Chrome/{version}.0.0.0 Safari/537.36"
            for version, system in product(range(141, 112, -1), _DESKTOPS)
        ),
        *(
            f"Mozilla/5.0 ({phone}) {_WEBKIT} Chrome/{version}.0.0.0 Mobile Safari/537.36"
            for version, phone in product(range(141, 112, -1), _PHONES)
        ),
        *(
            f"Mozilla/5.0 ({system}) {_WEBKIT} Chrome/{version}.0.0.0 Safari/537.36"
            f" Edg/{version}.0.0.0"
            for version, system in product(range(141, 117, -1), _DESKTOPS[:2])
        ),
    ]


def _firefox() -> list[str]:
    return [
        f"Mozilla/5.0 ({system}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
        for version, system in product(range(144, 114, -1), _DESKTOPS[:3])
    ]


def _safari() -> list[str]:
    releases = list(product(range(18, 14, -1), range(6, -1, -1)))
    kit = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
    return [
        *(
            f"Mozilla/5.0 (iPhone; CPU iPhone OS {major}_{minor} like Mac OS X) {kit}"
            f" Version/{major}.{minor} Mobile/15E148 Safari/604.1"
            for major, minor in releases
        ),
        *(
            f"Mozilla/5.0 ({_DESKTOPS[1]}) {kit} Version/{major}.{minor} Safari/605.1.15"
            for major, minor in releases
        ),
    ]


def _releases(form: str, majors: range, minors: range) -> list[str]:
    return [form.format(major, minor) for major, minor in product(majors, minors)]


def _mixed(*lists: list[str]) -> tuple[str, ...]:
    """Mix families and versions in a fixed order, so that no family is the most popular."""
    agents = [agent for each in lists for agent in each]
    Random("agents").shuffle(agents)
    return tuple(dict.fromkeys(agents))


BROWSERS = _mixed(_chrome_like(), _firefox(), _safari(), list(_BOTS))
SERVICES = _mixed(
    _releases("python-requests/2.{}.{}", range(25, 33), range(4)),
    _releases("okhttp/4.{}.{}", range(9, 13), range(6)),
    _releases("axios/1.{}.{}", range(1, 9), range(12)),
    _releases("Apache-HttpClient/4.5.{} (Java/17.0.{})", range(9, 15), range(1, 13)),
    _releases(
        "aws-sdk-java/2.{}.{} Linux/6.1 OpenJDK_64-Bit_Server_VM", range(20, 29), range(0, 160, 8)
    ),
    _releases("PostmanRuntime/7.{}.{}", range(28, 43), range(4)),
    _releases("example-mobile/5.{}.{} (iOS 18.1; Scale/3.00)", range(10), range(6)),
    ["Go-http-client/1.1", "Go-http-client/2.0", "curl/8.5.0", "-"],
)
STUBS = _mixed(
    _releases("grpc-java-netty/1.{}.{}", range(50, 69), range(4)),
    _releases("grpc-go/1.{}.{}", range(50, 71), range(3)),
    _releases("grpc-node-js/1.{}.{}", range(8, 13), range(12)),
    _releases("grpc-python/1.{}.0 grpc-c/{}.0.0 (linux; chttp2)", range(50, 70), range(31, 44)),
    _releases("grpc-dotnet/2.{}.{} (.NET 8.0; CLR 8.0; linux; x64)", range(50, 67), range(3)),
)
