"""
Encode plain access log lines fast: one expression, memoised fragments, one format step.

Nearly every line of a busy load balancer is plain: ASCII, without a backslash or a control
character, in a generation that AWS has shipped, every value as documented. ALB's own escaping sees
to it that no raw quote stands inside a value, so such a value can stand in JSON as it stands in the
line. A line that is anything else is given up here and takes the reference path (`parsing`,
`document`): this file may give up on any line, but must never give another document.

How it is fast:

- One possessive expression cuts the line and proves it plain in one go, at the speed of C.
- Stretches of columns that take few values together become ready JSON, kept in bounded caches.
- What is left, about twenty texts, goes into one format string.

Names come from the field table. The code that splits, types and derives is not shared with the
reference path, or the differential test between the two would prove nothing.
"""

import re
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson

from pipeline.alb.document import Context, Period, nest
from pipeline.alb.fields import COLUMNS, CONSTANTS, DURATION, ERROR_ORIGIN, OUTCOME, TAIL, Kind
from pipeline.alb.parsing import EARLIEST

# --- the expression ------------------------------------------------------------------------------

_UNSAFE = r'"\\\x00-\x1f\x7f-\xff'  # what JSON or a plain line can not hold as it stands
_WORD = rf"[^ {_UNSAFE}]"
_QUOTED = rf'"[^{_UNSAFE}]*+"'
_TEXT = rf'"([^{_UNSAFE}]*+)"'
_INSTANT = r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6})Z"
_BYTES = r"(0|[1-9][0-9]{0,17}+)"  # as JSON writes numbers, and within 64 bits
_SECONDS = r"(-1|(?:0|[1-9][0-9]{0,8}+)\.[0-9]{1,9}+)"
_STATUS = r"(-|[1-9][0-9]{2}|000)"

_LINE = re.compile(
    rf"((?!- ){_WORD}++) {_INSTANT} ((?!- ){_WORD}++)"
    # IPv6 stands without brackets: give digits back until a colon parts the port from the rest
    rf" ((?:[0-9.]++|[0-9a-f:]+)):(0|[1-9][0-9]{{0,4}}+) ({_WORD}++)"
    rf" {_SECONDS} {_SECONDS} {_SECONDS} {_STATUS} {_STATUS} {_BYTES} {_BYTES}"
    # METHOD scheme://host:port /path ?query HTTP/version; the URL also as a whole
    rf' "([A-Za-z]++) (([a-z]++://[^ /?{_UNSAFE}]++)(/[^ ?{_UNSAFE}]*+)?+(\?{_WORD}*+)?+)'
    rf' HTTP/([0-9.]++)" {_TEXT} ({_WORD}++ {_WORD}++ {_WORD}++) {_TEXT}'
    # what later generations added, each part only after the one before it
    rf"(?:( {_QUOTED} {_QUOTED}(?: (?:-?[0-9]++|-)(?= |\r?\n|\Z))?+)"
    rf"(?: {_INSTANT}((?: {_QUOTED}){{1,7}}+)"
    rf"(?: ({_WORD}++)((?: {_QUOTED}| {_WORD}++)*+))?+)?+)?+"
    r"(?=\r?\n|\Z)"
)

# --- the document as one format string -----------------------------------------------------------

_ABSENT = ("", "-")
_EARLIEST = EARLIEST[:19]
_F = {column.name: [field.name for field in column.fields] for column in COLUMNS[Kind.ACCESS]}
_METHOD, _ORIGINAL, _SCHEME, _DOMAIN, _PORT, _PATH, _QUERY, _TEMPLATE, _VERSION = _F["request_line"]
_STATUS_CODE = _F["elb_status_code"][0]

# The whole document, flat. <name> is a text of the line and <number:name> a number; a member named
# <name> stands for any number of members, ready as JSON, each with a comma before it; one named
# <of:name> for what is the same in every line of an object.
_SHAPE: dict[str, Any] = CONSTANTS[Kind.ACCESS] | {
    _F["time"][0]: "<time>Z",
    OUTCOME.name: "<outcome>",
    "event.<of:event>": "",
    "event.<event>": "",
    "cloud.<of:cloud>": "",
    _F["elb"][1]: "<observer>",
    "observer.<node>": "",
    _F["type"][0]: "<type>",
    "aws.elb.<elb>": "",
    "aws.<of:aws>": "",
    _F["client_port"][0]: "<ip>",
    _F["client_port"][1]: "<number:port>",
    _F["received_bytes"][0]: "<number:received>",
    _METHOD: "<method>",
    _F["sent_bytes"][0]: "<number:sent>",
    "http.response.<status>": "",
    _VERSION: "<version>",
    _ORIGINAL: "<url>",
    "url.<parts>": "",
    "<objects>": "",
}
SLOTS = [
    *("outcome", "event", "time", "observer", "node", "type", "elb", "ip", "port", "received"),
    *("method", "sent", "status", "version", "url", "parts", "objects"),
]
"""What `Plain` fills in, in order; a test holds it against `slots_of_shape`."""

_SLOT = re.compile(r',"<(\w+)>":""|,"<of:(\w+)>":""|"<number:(\w+)>"|<(\w+)>')


def _format_string(context: Context) -> str:
    """Give the format string of an object's documents; it takes `SLOTS`, in their order."""
    same = _same_in_every_line(context)

    def fill(found: re.Match[str]) -> str:
        of = found[2]
        return _members(same.get(of, {})).replace("%", "%%") if of else "%s"

    return _SLOT.sub(fill, orjson.dumps(nest(_SHAPE)).decode())


def slots_of_shape() -> list[str]:
    """Give the names of the slots in the order in which the format string has them."""
    found = _SLOT.findall(orjson.dumps(nest(_SHAPE)).decode())
    return [members or number or text for members, of, number, text in found if not of]


def _same_in_every_line(context: Context) -> dict[str, Any]:
    flat = {
        "event.ingested": context.ingested,
        "cloud.account.id": context.account,
        "cloud.region": context.region,
        "aws.s3.bucket.name": context.bucket,
        "aws.s3.object.key": context.key,
    }
    return nest({name: value for name, value in flat.items() if value is not None})


def _members(members: dict[str, Any]) -> str:
    """Give members as JSON, each with a comma before it."""
    return "," + orjson.dumps(members).decode()[1:-1] if members else ""


# --- stretches that take few values: ready JSON, kept in bounded caches ---------------------------


_CACHED = 4_096
_LONGEST = (
    4_096  # bytes of a line: caches of longer ones would be bounded in number but not in size
)


class NotPlainError(ValueError):
    """The line matched, but is not as plain as it looked; the reference path takes it."""


def _below(parent: str, flat: dict[str, Any]) -> str:
    """Give the fields below a parent as its members; those that are None are left out."""
    skip = len(parent) + 1 if parent else 0
    return _members(nest({name[skip:]: part for name, part in flat.items() if part is not None}))


def _present(text: str) -> str | None:
    return None if text in _ABSENT else text


def _listed(text: str, by: str) -> list[str] | None:
    return [item for item in text.split(by) if item not in _ABSENT] or None


_STRETCH = re.compile(r'"([^"]*)"|([^ "]+)')


def _tokens(stretch: str | None) -> list[str]:
    return [quoted or word for quoted, word in _STRETCH.findall(stretch or "")]


@lru_cache(maxsize=2 * _CACHED)
def _second(text: str) -> int:
    """Give the seconds since 1970 of `YYYY-MM-DDTHH:MM:SS`."""
    try:
        moment = datetime.strptime(text + "Z", "%Y-%m-%dT%H:%M:%S%z")
    except ValueError as error:
        raise NotPlainError from error
    if not 1900 < moment.year < 2100:  # noqa: PLR2004  a duration to there might not fit
        raise NotPlainError
    return int(moment.timestamp())


@lru_cache(maxsize=_CACHED)
def _day(time: str, monthly: bool) -> str:  # noqa: FBT001
    """Give the end of the index's name for `YYYY-MM-DD`."""
    return f"{time[:4]}.{time[5:7]}.{'01' if monthly else time[8:10]}"


@lru_cache(maxsize=_CACHED)
def _balancer(elb: str) -> tuple[str, str]:
    parts = elb.split("/")
    name = parts[1] if len(parts) == 3 and parts[1] else elb  # noqa: PLR2004  app/NAME/ID
    return _below("aws.elb", {_F["elb"][0]: elb}), name


@lru_cache(maxsize=_CACHED)
def _backend(target: str, status: str) -> str:
    ip, colon, port = target.rpartition(":")
    if target == "-":
        address: tuple[str | None, int | None] = None, None
    elif colon and port.isdigit() and len(port) <= 5:  # noqa: PLR2004  ports have five digits
        address = ip or None, int(port)
    else:
        raise NotPlainError
    names = (*_F["target_port"], *_F["target_status_code"])
    values = (*address, None if status == "-" else int(status))
    return _below("aws.elb", dict(zip(names, values, strict=True)))


@lru_cache(maxsize=_CACHED)
def _answered(status: str) -> tuple[str, str]:
    """Give the status as a member of `http.response`, and the outcome."""
    if status == "-":
        return "", "unknown"
    outcome = "failure" if status >= "500" else "success"
    return (
        _below("http.response", {_STATUS_CODE: int(status)}),
        "unknown" if status in {"000", "460"} else outcome,
    )


@lru_cache(maxsize=_CACHED)
def _place(origin: str) -> str:
    """Give the members of `url` that `scheme://domain:port` tells."""
    scheme, _, authority = origin.partition("://")
    domain, colon, port = authority.partition(":")
    port = port.removesuffix("-")
    if not domain or domain[0] == "[" or (colon and not 0 < len(port) <= 9):  # noqa: PLR2004
        raise NotPlainError
    if colon and not (port.isascii() and port.isdigit()):
        raise NotPlainError
    return _below("url", {_SCHEME: scheme, _DOMAIN: domain, _PORT: int(port) if colon else None})


_VERSIONS = {
    f"{name}v{number}": (f"{number if '.' in number else number + '.0'}", name.lower())
    for name, number in (
        *(("TLS", "1"), ("TLS", "1.0"), ("TLS", "1.1"), ("TLS", "1.2"), ("TLS", "1.3")),
        *(("SSL", "2"), ("SSL", "3")),
    )
}


@lru_cache(maxsize=_CACHED)
def _secured(tls: str, security: str | None, more: bool) -> tuple[str, str]:  # noqa: FBT001
    """
    Give the member `tls`, and the members of `aws.elb`, of columns 15 to 17 and 19 to 21.

    `more`: later columns follow, so all three of the latter must be there.
    """
    tokens = _tokens(security)
    if more and len(tokens) != 3:  # noqa: PLR2004
        raise NotPlainError
    cipher, protocol, group = map(_present, tls.split(" "))
    domain, certificate, priority = (*map(_present, tokens), None, None, None)[:3]
    if protocol is not None and protocol not in _VERSIONS:
        raise NotPlainError
    if priority is not None and len(priority) > 18:  # noqa: PLR2004  it may not fit 64 bits
        raise NotPlainError
    version, name = _VERSIONS[protocol] if protocol else (None, None)
    resumed = certificate == "session-reused"
    flat = {
        _F["ssl_cipher"][0]: cipher,
        **dict(zip(_F["ssl_protocol"], (protocol, version, name), strict=True)),
        **dict(zip(_F["target_group_arn"], (group, _group_name(group or "")), strict=True)),
        _F["domain_name"][0]: domain,
        _F["chosen_cert_arn"][0]: None if resumed else certificate,
        _F["chosen_cert_arn"][1]: True if resumed else None,
        _F["matched_rule_priority"][0]: None if priority is None else int(priority),
    }
    elb = {name: part for name, part in flat.items() if name.startswith("aws.elb.")}
    rest = {name: part for name, part in flat.items() if name not in elb}
    return _below("", rest), _below("aws.elb", elb)


def _group_name(arn: str) -> str | None:
    _, found, path = arn.rpartition(":targetgroup/")
    name, slash, id_ = path.partition("/")
    return name if found and name and slash and id_ and "/" not in id_ else None


@lru_cache(maxsize=_CACHED)
def _acted(actions: str | None, more: bool) -> str:  # noqa: FBT001  positional is faster
    """Give the members of `aws.elb` of columns 23 to 29; `more`: all seven must be there."""
    tokens = _tokens(actions)
    if more and len(tokens) != len(_ACTED):
        raise NotPlainError
    flat: dict[str, Any] = {}
    for column, token in zip(_ACTED, tokens, strict=False):
        by = _LISTED.get(column)
        flat[_F[column][0]] = _listed(token, by) if by else _present(token)
    return _below("aws.elb", flat)


_ACTED = [column.name for column in COLUMNS[Kind.ACCESS]][22:29]
_LISTED = {"actions_executed": ",", "target_port_list": " ", "target_status_code_list": " "}


@lru_cache(maxsize=_CACHED)
def _blamed(status: str, target_status: str, actions: str | None) -> str:
    """Give who made an error response, as a member of `aws.elb`."""
    tokens = [*_tokens(actions), "", "", ""]
    last, reason = (_listed(tokens[0], ",") or [""])[-1], tokens[2]
    if target_status == status or reason.startswith("Lambda"):
        origin = "target"
    elif last in {"waf", "waf-failed"}:
        origin = "waf"
    elif last == "authenticate" or reason.startswith(("Auth", "JW")):
        origin = "auth"
    elif last in {"fixed-response", "redirect"}:
        origin = "rule"
    else:
        origin = "client" if status in _CLIENT_FAULTS else "elb"
    return _below("aws.elb", {ERROR_ORIGIN.name: origin})


_CLIENT_FAULTS = {"400", "405", "408", "413", "414", "460", "463", "464"}


@lru_cache(maxsize=_CACHED)
def _rest(rest: str | None) -> tuple[str, str]:
    """Give the members of `aws.elb`, and of `observer`, of the columns from 31 on."""
    tokens = [_present(token) for token in _tokens(rest)]
    names = [_F[column.name][0] for column in COLUMNS[Kind.ACCESS][30:33]]
    extra = [token for token in tokens[4:] if token] or None
    elb = _below("aws.elb", {**dict(zip(names, tokens, strict=False)), TAIL.name: extra})
    node = tokens[3] if len(tokens) > 3 else None  # noqa: PLR2004  column 34
    return elb, _below("observer", {_F["ip_address"][0]: node})


# --- what differs in every line ------------------------------------------------------------------


def _format_below(parent: str, *names: str, number: bool = False) -> str:
    """Give a format string for fields below a parent, in this order."""
    text = _below(parent, dict.fromkeys(names, "<>")).replace("%", "%%")
    return text.replace('"<>"' if number else "<>", "%s")


_LEGS = [f"{leg}_processing_time" for leg in ("request", "target", "response")]
_TIMES = _format_below("aws.elb", *(_F[leg][0] for leg in _LEGS), number=True)
_TIME = [_format_below("aws.elb", _F[leg][0], number=True) for leg in _LEGS]
_STARTED = _format_below("event", _F["request_creation_time"][0]).replace("%s", "%sZ")
_LASTED = _format_below("event", DURATION.name, number=True)
_LINE_ITSELF = _format_below("event", "event.original")
_AGENT = _format_below("", _F["user_agent"][0])
_TRACE = _format_below("", _F["trace_id"][0])
_TRACE_AS_LOGGED = _format_below("aws.elb", _F["trace_id"][1])
_CONNECTION = _format_below("aws.elb", _F["conn_trace_id"][0])
_PATHS = _format_below("url", _PATH, _TEMPLATE)
_QUERIES = _format_below("url", _QUERY)

_ID_SEGMENT = re.compile(
    r"/(?:[0-9]++"
    r"|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    r"|[0-9a-fA-F]{16,}+"
    r"|(?=[^/0-9]*+[0-9])[A-Za-z0-9_-]{20,}+"
    r")(?=/|\Z)"
)


def _times(legs: tuple[str, str, str]) -> str:
    if "-1" not in legs:
        return _TIMES % legs
    return "".join(leg % time for leg, time in zip(_TIME, legs, strict=True) if time != "-1")


def _event(moment: int, time: str, start: str | None, legs: tuple[str, str, str]) -> str:
    """Give when the request came, if the line tells, and how long it took in nanoseconds."""
    if start is not None:
        micros = (moment - _second(start[:19])) * 1_000_000
        micros += int(time[20:]) - int(start[20:])
        return _STARTED % start + _LASTED % (micros * 1_000)
    if "-1" in legs:
        return ""
    parts = [leg.partition(".") for leg in legs]
    millis = sum(int(whole) * 1_000 + int(part[:3].ljust(3, "0")) for whole, _, part in parts)
    return _LASTED % (millis * 1_000_000)


def _url_parts(origin: str, path: str | None, query: str | None) -> str:
    parts = _place(origin)
    if path:
        parts += _PATHS % (path, _ID_SEGMENT.sub("/{id}", path))
    return parts + _QUERIES % query[1:] if query and query != "?" else parts


def _trace(text: str) -> tuple[str, str]:
    """Give the member `trace`, and that of `aws.elb` where the text says more than the Root id."""
    if text.startswith("Root=") and ";" not in text and len(text) > 5:  # noqa: PLR2004
        return _TRACE % text[5:], ""
    if text in _ABSENT:
        return "", ""
    parts = (part.lstrip(" ") for part in text.split(";"))
    roots = [part[5:] for part in parts if part.startswith("Root=") and len(part) > 5]  # noqa: PLR2004
    return _TRACE % roots[0] if roots else "", _TRACE_AS_LOGGED % text


class Plain:
    """Encode the plain access log lines of one object."""

    __slots__ = ("_format", "_index", "_keep", "_latest", "_monthly", "_sure")

    def __init__(self, context: Context) -> None:
        self._format = _format_string(context)
        self._index = f"{context.prefix}-{Kind.ACCESS}-"
        self._monthly = context.period is Period.MONTH
        self._latest = context.latest[:19]
        self._keep = context.keep_original
        self._sure = context.kind is Kind.ACCESS

    def encode(self, text: str, position: int) -> tuple[int, str, str] | None:
        """
        Encode the line at a position of a text, where it is plain; else give None.

        Gives where the line ends (its line end apart), its index and its document as JSON.
        """
        match = _LINE.match(text, position)
        if match is None or match.end() - position > _LONGEST:
            return None
        try:
            index, document = self._encode(match)
        except NotPlainError:
            return None
        return match.end(), index, document

    def _encode(self, match: "re.Match[str]") -> tuple[str, str]:
        (
            type_, time, elb, ip, port, target, request_time, target_time, response_time,
            status, target_status, received, sent, method, url, origin, path, query, version,
            agent, tls, trace, security, start, actions, connection, rest,
        ) = match.groups()  # fmt: skip
        second = time[:19]
        if not _EARLIEST <= second <= self._latest:
            raise NotPlainError
        if not self._sure and (type_[0].isdigit() or elb[0] in "-0123456789"):
            raise NotPlainError  # perhaps a line of another log
        moment = _second(second)
        legs = request_time, target_time, response_time
        balancer, observer = _balancer(elb)
        tls_member, secured = _secured(tls, security, start is not None)
        after, node = _rest(rest)
        answered, outcome = _answered(status)
        trace_member, traced = _trace(trace)
        event = _event(moment, time, start, legs)
        if self._keep:
            event += _LINE_ITSELF % match[0].replace('"', '\\"')
        members = [
            *(balancer, _times(legs), _backend(target, target_status), secured, traced),
            *(_acted(actions, connection is not None), after),
        ]
        if connection is not None and connection != "-":
            members.append(_CONNECTION % connection)
        if status >= "400" or status == "000":
            members.append(_blamed(status, target_status, actions))
        objects = tls_member + trace_member
        if agent not in _ABSENT:
            objects += _AGENT % agent
        return self._index + _day(time[:10], self._monthly), self._format % (
            outcome, event, time, observer, node, type_, "".join(members), ip, port, received,
            method, sent, answered, version, url, _url_parts(origin, path, query), objects,
        )  # fmt: skip
