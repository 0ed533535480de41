"""
Encode plain access log lines fast: one expression, memoised fragments, one format step.

Nearly every line of a busy load balancer is plain: ASCII, without backslashes or control
characters, of a generation that AWS has shipped, every value as documented. ALB's own escaping
keeps raw quotes out of values, so a plain value can stand in JSON exactly as it stands in the line.
Only a user agent may hold escapes, as real ones do, unless a setting reads it as it stands.
Any other line is given up here and takes the reference path (`parsing`, `document`): this file may
give up on any line, but must never make another document of it.

How it is fast:

- One possessive expression cuts the line and proves it plain in one go, at the speed of C.
- Columns that together take few values become ready JSON, kept in bounded caches.
- What is left, about twenty texts, goes into one format string.

Names come from the field table. The code that splits, types and derives is not shared with the
reference path, or the differential test between the two would prove nothing.
"""

import re
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

import orjson

from pipeline.alb.document import Context, Period, nest
from pipeline.alb.escapes import decode_text
from pipeline.alb.fields import COLUMNS, DURATION, ERROR_ORIGIN, OUTCOME, TAIL, Kind
from pipeline.alb.plainfilter import TOGETHER, PlainFilter, tokens
from pipeline.alb.plainprivacy import AGENT, plain_privacy

# --- the expression, in the order of the line ----------------------------------------------------

_PLAIN_BYTES = bytes(each for each in range(ord(" "), 0x7F) if each != ord("\\"))
"""ASCII without control characters and backslashes: JSON holds it as it stands, but for quotes."""

_LONGEST = 4_096
"""Bytes of a line: caches of longer ones would be bounded in number but not in size."""

# [^ ]++ is much faster than a class of more characters. What may hold a quote by that is looked at
# again where it is used; the others end at the next quote.
_WORD = r"[^ ]++"
_TEXT = r'[^"]*+'
_QUOTED = f'"{_TEXT}"'
_UNQUOTED = r'[^ "?&#%]++'
_ODD_WORD = re.compile(r'["?&#%]')
"""In no word of a plain line: quotes, and what begins a parameter of a URL (see `plainprivacy`)."""

_INSTANT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}"
_SECONDS = r"-1|(?:0|[1-9][0-9]{0,8}+)\.[0-9]{1,9}+"
_STATUS = r"-|[1-9][0-9]{2}|000"
_BYTES = r"0|[1-9][0-9]{0,17}+"  # as JSON writes numbers, and within 64 bits

PLAIN_LINE = re.compile(
    rf"(?P<type>(?!- ){_UNQUOTED}) (?P<time>{_INSTANT})Z (?P<elb>(?!- ){_WORD})"
    # An IPv6 address has no brackets: it gives digits back until a colon stands before the port.
    r" (?P<ip>[0-9.]++|[0-9a-f:]+):(?P<port>0|[1-9][0-9]{0,4}+)"
    rf" (?P<target>{_WORD})"
    rf" (?P<request_time>{_SECONDS}) (?P<target_time>{_SECONDS}) (?P<response_time>{_SECONDS})"
    rf" (?P<status>{_STATUS}) (?P<target_status>{_STATUS})"
    rf" (?P<received>{_BYTES}) (?P<sent>{_BYTES})"
    # METHOD scheme://host:port /path ?query HTTP/version
    r' "(?P<method>[A-Za-z]++) (?P<url>(?P<base>[a-z]++://[^ /?]++)'
    r"(?P<path>/[^ ?]*+)?+(?P<query>\?[^ ]*+)?+) HTTP/(?P<version>[0-9.]++)\""
    rf' "(?P<agent>{_TEXT})"'
    rf' (?P<tls>{_WORD} {_WORD} {_WORD}) "(?P<trace>{_TEXT})"'  # tls: cipher, protocol, group
    # What later generations added, each part only after the one before it. First the domain name,
    # the certificate and the rule's priority,
    rf"(?: (?P<names>{_QUOTED} {_QUOTED})(?: (?P<priority>-?[0-9]++|-)"
    # then the time and seven texts, all of which must be there if anything follows,
    rf"(?: (?P<start>{_INSTANT})Z"
    rf"(?P<actions>(?: {_QUOTED}){{7}}+(?= )|(?: {_QUOTED}){{1,7}}+\Z)"
    # then the connection, and all that was added since or will be.
    rf"(?: (?P<connection>{_UNQUOTED})(?P<rest>(?: {_QUOTED}| {_UNQUOTED})*+)"
    rf")?+)?+)?+)?+\Z"
)
"""A whole plain line, of plain bytes."""

# --- names of fields -----------------------------------------------------------------------------

_FIELDS = {column.name: [field.name for field in column.fields] for column in COLUMNS[Kind.ACCESS]}
_FIELD = {column: names[0] for column, names in _FIELDS.items() if len(names) == 1}

_ELB, _OBSERVER = _FIELDS["elb"]
_IP, _PORT = _FIELDS["client_port"]
_TARGET_IP, _TARGET_PORT = _FIELDS["target_port"]
_METHOD, _URL, *_URL_FIELDS, _VERSION = _FIELDS["request_line"]
_SCHEME, _DOMAIN, _URL_PORT, _PATH, _QUERY, _TEMPLATE = _URL_FIELDS
_, _TLS_VERSION, _TLS_NAME = _FIELDS["ssl_protocol"]
_GROUP, _GROUP_NAME = _FIELDS["target_group_arn"]
_TRACE, _TRACE_AS_LOGGED = _FIELDS["trace_id"]
_CERTIFICATE, _RESUMED = _FIELDS["chosen_cert_arn"]

# --- the action and the document as one format string --------------------------------------------

# The whole document, flat. <name> is a text of the line and <number:name> a number. A member named
# <name> stands for any number of members, ready as JSON, each with a comma before it; one named
# <object:name> for what is the same in every line of an object: more members of that object, or
# whole ones of the document.
_SHAPE: dict[str, Any] = {
    _FIELD["time"]: "<time>Z",
    OUTCOME.name: "<outcome>",
    "event.<object:event>": "",
    "event.<event>": "",
    "<object:whole>": "",
    "aws.elb.<standing>": "",
    "aws.elb.<answered>": "",
    "aws.elb.<line>": "",
    "aws.<object:aws>": "",
    _IP: "<ip>",
    _PORT: "<number:port>",
    _FIELD["received_bytes"]: "<number:received>",
    _METHOD: "<method>",
    _FIELD["sent_bytes"]: "<number:sent>",
    "http.response.<status>": "",
    _VERSION: "<version>",
    _URL: "<url>",
    "url.<parts>": "",
    "<objects>": "",
}
SLOTS = [
    *("time", "outcome", "event", "standing", "answered", "line", "ip", "port", "received"),
    *("method", "sent", "status", "version", "url", "parts", "objects"),
]
"""What `Plain` fills in, in order; a test compares it with `slots_of_shapes`."""

# Of a line that has all that lines of today have, more is in the format string itself.
_LEGS = [_FIELD[f"{leg}_processing_time"] for leg in ("request", "target", "response")]
_WHOLE_SHAPE = _SHAPE | {
    _FIELD["request_creation_time"]: "<start>Z",
    DURATION.name: "<number:duration>",
    **dict(zip(_LEGS, ("<number:request>", "<number:target>", "<number:response>"), strict=True)),
    _FIELD["conn_trace_id"]: "<connection>",
    _TRACE: "<trace>",
    _FIELD["user_agent"]: "<agent>",
}
WHOLE_SLOTS = [
    *("time", "outcome", "event", "start", "duration", "standing", "answered", "line"),
    *("request", "target", "response", "connection", "ip", "port", "received", "method", "sent"),
    *("status", "version", "url", "parts", "objects", "trace", "agent"),
]

_SLOT = re.compile(
    r',?"<object:(?P<same>\w+)>":""|,?"<(?P<members>\w+)>":""|"<number:(?P<number>\w+)>"|<(?P<text>\w+)>'
)


def slots_of_shapes() -> tuple[list[str], list[str]]:
    """Return the names of the slots in the order in which each format string has them."""
    return _slots(_SHAPE), _slots(_WHOLE_SHAPE)


def _slots(shape: dict[str, Any]) -> list[str]:
    found = _SLOT.finditer(_json(shape))
    return [slot[slot.lastgroup] for slot in found if slot.lastgroup not in {None, "same"}]


def _json(shape: dict[str, Any]) -> str:
    return orjson.dumps(nest(shape)).decode()


def _format_string(shape: dict[str, Any], context: Context) -> str:
    """Return the format string of an object's bulk lines: index and id, then slots, in order."""
    same = nest(context.same)
    same["whole"] = {name: same[name] for name in same.keys() & {"cloud"}}

    def fill(slot: re.Match[str]) -> str:
        name = slot["same"]
        return _members(same.get(name, {})).replace("%", "%%") if name else "%s"

    return '{"create":{"_index":"%s","_id":"%s"}}\n' + _SLOT.sub(fill, _json(shape)) + "\n"


# --- the encoder ---------------------------------------------------------------------------------

_CACHED = 4_096


class NotPlainError(ValueError):
    """The line matched, but is not as plain as it looked; the reference path takes it."""


class Plain:
    """Encode the plain access log lines of one object."""

    __slots__ = (
        *("_agent", "_as_it_stands", "_date", "_earliest", "_filter", "_format", "_index"),
        *("_keep", "_latest", "_privacy", "_sure", "_whole"),
    )

    def __init__(self, context: Context) -> None:
        self._format = _format_string(_SHAPE, context)
        self._whole = _format_string(_WHOLE_SHAPE, context)
        self._agent = _AGENT
        if AGENT in context.privacy.drop:
            self._agent = _NOT_SHOWN
            self._whole = self._whole.replace(_AGENT, _NOT_SHOWN)
        self._index = f"{context.prefix}-{Kind.ACCESS}-"
        self._date = _month if context.period is Period.MONTH else _day
        self._earliest = context.earliest.removesuffix("Z")
        self._latest = context.latest.removesuffix("Z")
        self._keep = context.keep_original
        self._sure = context.kind is Kind.ACCESS
        self._privacy = plain_privacy(context.privacy)
        self._filter = PlainFilter(context) if context.exclude else None
        # Settings that look at a line, or keep it, read a user agent as it stands there.
        self._as_it_stands = bool(self._keep or self._privacy or self._filter)

    def encode(self, line: bytes, id_: str) -> tuple[str, str | None] | None:
        """
        Return a line's index and its two bulk lines; None if the line is not plain.

        A line that a rule excludes has an index, and no bulk lines.
        """
        if len(line) > _LONGEST:
            return None
        odd = line.translate(None, _PLAIN_BYTES)
        if odd and (self._as_it_stands or odd.strip(b"\\")):
            return None
        match = PLAIN_LINE.match(line.decode("ascii"))
        if match is None or (odd and match["agent"].count("\\") < len(odd)):
            return None
        try:
            index, text = self._encode(match, id_)
        except NotPlainError:
            return None
        if self._filter and self._filter.excludes(match):
            return index, None
        return index, self._privacy.without_dropped(text) if self._privacy else text

    def _check(self, type_: str, time: str, elb: str, url: str) -> None:
        if not self._earliest <= time[:19] <= self._latest or '"' in url:
            raise NotPlainError
        if not self._sure and (type_[0].isdigit() or elb[0] in "-0123456789"):
            raise NotPlainError  # perhaps a line of another log

    def _encode(self, match: re.Match[str], id_: str) -> tuple[str, str]:
        (
            type_, time, elb, ip, port, target, request_time, target_time, response_time,
            status, target_status, received, sent, method, url, base, path, query, version,
            agent, tls, trace, names, priority, start, actions, connection, rest,
        ) = match.groups()  # fmt: skip
        self._check(type_, time, elb, url)
        if self._privacy:
            ip, url, query, actions, rest = _known(
                self._privacy.concealed(
                    match.string, (ip, url, query, actions, rest, agent, trace, names)
                )
            )
        elif "\\" in agent:
            agent = _decoded(agent)
        standing, objects = _standing(type_, elb, tls, names, priority, rest)
        answered, answer, outcome = _answered(status, target, target_status, actions)
        parts = _url_parts(base, path)
        if query and query != "?":
            parts += f'{_QUERY_NAME}{query[1:]}"'
        index = self._index + self._date(time[:10])
        event = _ORIGINAL % match[0].replace('"', '\\"') if self._keep else ""
        root = trace[len(_ROOT) :] if trace.startswith(_ROOT) and ";" not in trace else ""
        legs = request_time, target_time, response_time
        whole = root and start and connection not in _ABSENT and agent not in _ABSENT
        if whole and "-1" not in legs:
            return index, self._whole % (
                index, id_, time, outcome, event, start, _nanoseconds(time, start), standing,
                answered, "", *legs, connection, ip, port, received, method, sent, answer, version,
                url, parts, objects, root, agent,
            )  # fmt: skip
        of_line = _legs(legs)
        if connection not in _ABSENT:
            of_line += _CONNECTION % connection
        trace_member, traced = _trace(trace)
        objects += trace_member
        if agent not in _ABSENT:
            objects += self._agent % agent
        return index, self._format % (
            index, id_, time, outcome, event + _event(time, start, legs), standing, answered,
            of_line + traced, ip, port, received, method, sent, answer, version, url, parts,
            objects,
        )  # fmt: skip


def _decoded(agent: str) -> str:
    """Return a user agent with escapes as it stands in JSON."""
    text = decode_text(f'"{agent}"')
    return "-" if text is None else orjson.dumps(text).decode()[1:-1]


_Known = TypeVar("_Known")


def _known(part: _Known | None) -> _Known:
    """Return what is known; what is not, the reference path finds out."""
    if part is None:
        raise NotPlainError
    return part


# --- how fragments of JSON are made --------------------------------------------------------------

_ABSENT = ("", "-", None)
_SAFE_DIGITS = 18  # of a number that is sure to fit 64 bits


def _members(members: dict[str, Any]) -> str:
    """Return members as JSON, each with a comma before it."""
    return "," + orjson.dumps(members).decode()[1:-1] if members else ""


def _below(parent: str, flat: dict[str, Any]) -> str:
    """Return the fields below a parent as its members; those that are None are left out."""
    skip = len(parent) + 1 if parent else 0
    return _members(nest({name[skip:]: part for name, part in flat.items() if part is not None}))


def _text_below(parent: str, *names: str) -> str:
    """Return a format string for texts below a parent, in this order."""
    return _below(parent, dict.fromkeys(names, "<>")).replace("%", "%%").replace("<>", "%s")


def _number_below(parent: str, *names: str) -> str:
    """Return a format string for numbers below a parent, in this order."""
    return _text_below(parent, *names).replace('"%s"', "%s")


def _present(text: str | None) -> str | None:
    return None if text in _ABSENT else text


def _listed(text: str, by: str) -> list[str] | None:
    return [item for item in text.split(by) if item not in _ABSENT] or None


# --- the fragments, in the order of the line -----------------------------------------------------

_YEARS = range(1901, 2100)  # a duration to other years might not fit a number


@lru_cache(maxsize=2 * _CACHED)
def _moment(second: str) -> int:
    """Return the seconds since 1970 of `YYYY-MM-DDTHH:MM:SS`."""
    try:
        moment = datetime.strptime(second + "Z", "%Y-%m-%dT%H:%M:%S%z")
    except ValueError as error:
        raise NotPlainError from error
    if moment.year not in _YEARS:
        raise NotPlainError
    return int(moment.timestamp())


@lru_cache(maxsize=_CACHED)
def _day(date: str) -> str:
    """Return the end of an index's name for `YYYY-MM-DD`."""
    return date.replace("-", ".")


@lru_cache(maxsize=_CACHED)
def _month(date: str) -> str:
    """Return the end of an index's name for the month of `YYYY-MM-DD`."""
    return date[:8].replace("-", ".") + "01"


@lru_cache(maxsize=_CACHED)
def _standing(  # noqa: PLR0913, PLR0917  what a listener's lines share: the longest stretch to keep
    type_: str, elb: str, tls: str, names: str | None, priority: str | None, rest: str | None
) -> tuple[str, str]:
    """Return what the lines of a listener and node share: members of `aws.elb`, and objects."""
    if _ODD_WORD.search(f"{type_}{elb}{tls}"):
        raise NotPlainError
    of_tls, secured = _secured(tls, names, priority)
    later, node = _rest(rest)
    elb_members = _below("aws.elb", {_FIELD["type"]: type_, _ELB: elb}) + secured + later
    # The first members of their object: no comma before them.
    return elb_members[1:], _below("", {_OBSERVER: _name(elb), **node}) + of_tls


def _name(elb: str) -> str:
    """Return NAME of `app/NAME/ID`; a bare name is the whole."""
    match elb.split("/"):
        case [_, name, _] if name:
            return name
        case _:
            return elb


@lru_cache(maxsize=_CACHED)
def _answered(
    status: str, target: str, target_status: str, actions: str | None
) -> tuple[str, str, str]:
    """
    Return who answered and how: members of `aws.elb`, one of `http.response`, and the outcome.

    `actions` are the seven columns after the request's time.
    """
    ip, port = _target_address(target)
    acted = dict(zip(TOGETHER["actions"], tokens(actions), strict=False))
    flat = {
        _TARGET_IP: ip,
        _TARGET_PORT: port,
        _FIELD["target_status_code"]: None if target_status == "-" else int(target_status),
        **_acted(acted, target, target_status),
    }
    if status >= "400" or status == "000":
        flat[ERROR_ORIGIN.name] = _blamed(status, target_status, acted)
    code = None if status == "-" else int(status)
    answer = _below("http.response", {_FIELD["elb_status_code"]: code})
    return _below("aws.elb", flat), answer, _outcome(status)


def _outcome(status: str) -> str:
    if status in {"-", "000", "460"}:
        return "unknown"
    return "failure" if status >= "500" else "success"


def _target_address(target: str) -> tuple[str | None, int | None]:
    if target == "-":
        return None, None
    ip, colon, port = target.rpartition(":")
    if not (colon and port.isdigit() and len(port) <= len("65535")):
        raise NotPlainError
    if ip[:1] == "[" or _ODD_WORD.search(ip):
        raise NotPlainError
    return ip or None, int(port)


_EACH_LEG = [_number_below("aws.elb", field) for field in _LEGS]


def _legs(legs: tuple[str, str, str]) -> str:
    """Return those processing times that are there as members of `aws.elb`."""
    return "".join(leg % time for leg, time in zip(_EACH_LEG, legs, strict=True) if time != "-1")


_PATHS = _text_below("url", _PATH, _TEMPLATE)
_QUERY_NAME = _text_below("url", _QUERY).removesuffix('%s"')
_ID_SEGMENT = re.compile(
    r"/(?:[0-9]++(?=/|\Z)"
    r"|(?=[A-Za-z0-9_-]{16})(?:"
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    r"|[0-9a-fA-F]{16,}+"
    r"|(?=[^/0-9]*+[0-9])[A-Za-z0-9_-]{20,}+"
    r")(?=/|\Z))"
)


@lru_cache(maxsize=_CACHED)
def _url_parts(base: str, path: str | None) -> str:
    """Return the parts of a URL but its query as members of `url`."""
    parts = _url_base(base)
    return parts + _PATHS % (path, _ID_SEGMENT.sub("/{id}", path)) if path else parts


@lru_cache(maxsize=_CACHED)
def _url_base(base: str) -> str:
    """Return the parts of `scheme://domain:port` as members of `url`."""
    scheme, _, authority = base.partition("://")
    domain, colon, port = authority.partition(":")
    port = port.removesuffix("-")
    if not domain or domain[0] == "[":
        raise NotPlainError
    if colon and not (port.isascii() and port.isdigit() and len(port) <= _SAFE_DIGITS):
        raise NotPlainError
    return _below(
        "url", {_SCHEME: scheme, _DOMAIN: domain, _URL_PORT: int(port) if colon else None}
    )


_AGENT = _text_below("", _FIELD["user_agent"])
_NOT_SHOWN = "%.0s"

_PROTOCOLS: dict[str | None, tuple[str | None, str | None]] = {
    None: (None, None),
    "TLSv1": ("1.0", "tls"),
    "TLSv1.0": ("1.0", "tls"),
    "TLSv1.1": ("1.1", "tls"),
    "TLSv1.2": ("1.2", "tls"),
    "TLSv1.3": ("1.3", "tls"),
    "SSLv2": ("2.0", "ssl"),
    "SSLv3": ("3.0", "ssl"),
}


def _secured(tls: str, names: str | None, priority: str | None) -> tuple[str, str]:
    """
    Return the member `tls`, and members of `aws.elb`.

    `tls` is cipher, protocol and target group, `names` the domain's name and the certificate.
    """
    cipher, protocol, group = map(_present, tls.split(" "))
    domain, certificate = tokens(names or '"-" "-"')
    rule = _present(priority)
    if protocol not in _PROTOCOLS or (rule and len(rule) > _SAFE_DIGITS):
        raise NotPlainError
    version, name = _PROTOCOLS[protocol]
    resumed = certificate == "session-reused"
    flat = {
        _FIELD["ssl_cipher"]: cipher,
        _TLS_VERSION: version,
        _TLS_NAME: name,
        _GROUP: group,
        _GROUP_NAME: _group_name(group or ""),
        _FIELD["domain_name"]: _present(domain.strip(" ")),
        _CERTIFICATE: None if resumed else _present(certificate),
        _RESUMED: True if resumed else None,
        _FIELD["matched_rule_priority"]: int(rule) if rule else None,
    }
    elb = {name: part for name, part in flat.items() if name.startswith("aws.elb.")}
    rest = {name: part for name, part in flat.items() if name not in elb}
    return _below("", rest), _below("aws.elb", elb)


def _group_name(arn: str) -> str | None:
    _, found, path = arn.rpartition(":targetgroup/")
    name, slash, id_ = path.partition("/")
    return name if found and name and slash and id_ and "/" not in id_ else None


_ROOT = "Root="
_ROOT_ID = _text_below("", _TRACE)
_WHOLE_TRACE = _text_below("aws.elb", _TRACE_AS_LOGGED)


def _trace(text: str) -> tuple[str, str]:
    """Return the member `trace`, and that of `aws.elb` if the text says more than the Root id."""
    if text.startswith(_ROOT) and ";" not in text and text != _ROOT:
        return _ROOT_ID % text[len(_ROOT) :], ""
    if text in _ABSENT:
        return "", ""
    parts = [part.lstrip(" ") for part in text.split(";")]
    roots = [part[len(_ROOT) :] for part in parts if part.startswith(_ROOT) and part != _ROOT]
    return _ROOT_ID % roots[0] if roots else "", _WHOLE_TRACE % text


def _nanoseconds(time: str, start: str) -> int:
    """Return how long a request took, from its start to its time."""
    took = (_moment(time[:19]) - _moment(start[:19])) * 1_000_000 + int(time[20:]) - int(start[20:])
    return took * 1_000


_LASTED = _number_below("event", DURATION.name)
_BEGAN_AND_LASTED = (
    _text_below("event", _FIELD["request_creation_time"]).replace("%s", "%sZ") + _LASTED
)
_ORIGINAL = _text_below("event", "event.original")


def _event(time: str, start: str | None, legs: tuple[str, str, str]) -> str:
    """Return when the request came and how many nanoseconds it took, as members of `event`."""
    if start is not None:
        return _BEGAN_AND_LASTED % (start, _nanoseconds(time, start))
    _moment(time[:19])
    if "-1" in legs:
        return ""
    parts = [leg.partition(".") for leg in legs]
    millis = sum(int(whole) * 1_000 + int(part[:3].ljust(3, "0")) for whole, _, part in parts)
    return _LASTED % (millis * 1_000_000)


_SEPARATORS = {
    "actions_executed": ",",
    "target_port_list": " ",
    "target_status_code_list": " ",
}
"""Those of the seven columns after the request's time that are lists."""

_TARGETS, _STATUSES = _FIELD["target_port_list"], _FIELD["target_status_code_list"]


def _acted(acted: dict[str, str], target: str, target_status: str) -> dict[str, Any]:
    """Return the fields of those seven columns, but lists that repeat the target or its status."""
    flat: dict[str, Any] = {
        _FIELD[column]: _listed(token, by) if (by := _SEPARATORS.get(column)) else _present(token)
        for column, token in acted.items()
    }
    if flat.get(_TARGETS) == [target]:
        del flat[_TARGETS]
    if flat.get(_STATUSES) == [target_status]:
        del flat[_STATUSES]
    elif flat.get(_STATUSES):
        raise NotPlainError  # perhaps the same number in another form
    return flat


_CLIENT_FAULTS = {"400", "405", "408", "413", "414", "460", "463", "464"}


def _blamed(status: str, target_status: str, acted: dict[str, str]) -> str:
    """Return who made an error response."""
    last = (_listed(acted.get("actions_executed", ""), ",") or [""])[-1]
    reason = acted.get("error_reason", "")
    if target_status == status or reason.startswith("Lambda"):
        return "target"
    if last in {"waf", "waf-failed"}:
        return "waf"
    if last == "authenticate" or reason.startswith(("Auth", "JW")):
        return "auth"
    if last in {"fixed-response", "redirect"}:
        return "rule"
    return "client" if status in _CLIENT_FAULTS else "elb"


_CONNECTION = _text_below("aws.elb", _FIELD["conn_trace_id"])


def _rest(rest: str | None) -> tuple[str, dict[str, str | None]]:
    """Return the columns after the connection as members of `aws.elb`, and the node's field."""
    present = [_present(token) for token in tokens(rest)]
    named = dict(zip(TOGETHER["rest"], present, strict=False))
    if (named.get("ip_address") or "")[:1] == "[":
        raise NotPlainError
    extra = [token for token in present[len(named) :] if token]
    node = {_FIELD["ip_address"]: named.pop("ip_address", None)}
    elb = {_FIELD[column]: token for column, token in named.items()} | {TAIL.name: extra or None}
    return _below("aws.elb", elb), node
