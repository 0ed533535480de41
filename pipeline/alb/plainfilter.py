"""
Tell whether a rule excludes a plain line, from the parts of its match alone.

A condition is checked on what the reference path makes of the columns that its field comes from.
Values that repeat are checked once; those that hardly ever do are read from the match directly.
"""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache

from pipeline.alb.document import Context, line_fields, same_fields
from pipeline.alb.fields import COLUMNS, DURATION, ERROR_ORIGIN, OUTCOME, TAIL, Column, Form, Kind
from pipeline.alb.filters import Condition, Rule
from pipeline.alb.parsing import Record, Value

Match = re.Match[str]
Check = Callable[[Match], bool]


class PlainFilter:
    """The rules of an object, for its plain lines."""

    def __init__(self, context: Context) -> None:
        same = same_fields(Kind.ACCESS, context)
        self._rules: list[tuple[Rule, list[Check]]] = []
        for rule in context.exclude:
            varying = [each for each in rule.conditions if each.field not in same]
            if any(each.field not in _OF_LINES for each in varying):
                continue  # no access line has this field: it is of another log
            if all(each in varying or each.matches(same[each.field]) for each in rule.conditions):
                self._rules.append((rule, [_check(each) for each in varying]))

    def excludes(self, match: Match) -> bool:
        """Return whether a rule excludes the line."""
        for rule, checks in self._rules:
            for check in checks:
                if not check(match):
                    break
            else:
                if not (rule.kept and rule.spares(match[0].encode("latin-1"))):
                    return True
        return False


@lru_cache(maxsize=256)
def _check(condition: Condition) -> Check:
    """Return the check of a condition, made once, for the sake of what it memoises."""
    read = _DIRECT.get(condition.field)
    if read is not None:
        return lambda match: condition.matches(read(match))
    return _check_texts(condition, _SOURCES[condition.field])


def _check_texts(condition: Condition, sources: Sequence["_Source"]) -> Check:
    """Return the check of a field that is made from these columns; what it says is memoised."""

    @lru_cache(maxsize=4_096)
    def holds(*texts: str | None) -> bool:
        values = {
            column.name: value
            for (column, _), text in zip(sources, texts, strict=True)
            if (value := _value(column, text)) is not None
        }
        return condition.matches(line_fields(Record(Kind.ACCESS, values)).get(condition.field))

    reads = [read for _, read in sources]
    if len(reads) == 1:
        (only,) = reads
        return lambda match: holds(only(match))
    return lambda match: holds(*[read(match) for read in reads])


def _value(column: Column, text: str | None) -> Value | None:
    """Return a column's value as parsing makes it; the match has proven that it is sound."""
    if text in {None, "", "-"} or (column.form is Form.SECONDS and text == "-1"):
        return None
    match column.form:
        case Form.INTEGER:
            return int(text or "")
        case Form.SECONDS:
            return Decimal(text or "")
        case _:
            return text


# --- where the text of a column is in a match ----------------------------------------------------

_Source = tuple[Column, Callable[[Match], str | None]]

_TOKEN = re.compile(r'"([^"]*)"|([^ "]+)')


def tokens(text: str | None) -> list[str]:
    """Return the tokens of several columns that are in one group, without their quotes."""
    return [quoted or word for quoted, word in _TOKEN.findall(text or "")]


def _group(name: str) -> Callable[[Match], str | None]:
    return lambda match: match[name]


def _instant(name: str) -> Callable[[Match], str | None]:
    return lambda match: f"{match[name]}Z" if match[name] else None


def _token(name: str, number: int) -> Callable[[Match], str | None]:
    """Return a reader of one of several tokens that are in one group."""

    @lru_cache(maxsize=4_096)
    def token(text: str | None) -> str | None:
        found = tokens(text)
        return found[number] if number < len(found) else None

    return lambda match: token(match[name])


@lru_cache(maxsize=4_096)
def _extra(rest: str) -> list[str]:
    """Return the values after the last known column."""
    after = tokens(rest)[len(TOGETHER["rest"]) :]
    return [token for token in after if token not in {"", "-"}]


def _seconds(name: str) -> Callable[[Match], float | None]:
    return lambda match: None if match[name] == "-1" else float(match[name])


_ACCESS = {column.name: column for column in COLUMNS[Kind.ACCESS]}
_TEXTS: dict[str, Callable[[Match], str | None]] = {
    "type": _group("type"),
    "time": _instant("time"),
    "elb": _group("elb"),
    "target_port": _group("target"),
    "request_processing_time": _group("request_time"),
    "target_processing_time": _group("target_time"),
    "response_processing_time": _group("response_time"),
    "elb_status_code": _group("status"),
    "target_status_code": _group("target_status"),
    "user_agent": _group("agent"),
    "trace_id": _group("trace"),
    "matched_rule_priority": _group("priority"),
    "request_creation_time": _instant("start"),
    "conn_trace_id": _group("connection"),
}
TOGETHER = {
    "tls": ("ssl_cipher", "ssl_protocol", "target_group_arn"),
    "names": ("domain_name", "chosen_cert_arn"),
    "actions": (
        *("actions_executed", "redirect_url", "error_reason", "target_port_list"),
        *("target_status_code_list", "classification", "classification_reason"),
    ),
    "rest": ("transformed_host", "transformed_uri", "request_transform_status", "ip_address"),
}
"""The columns of each group of a match that holds several."""

_TEXTS |= {
    column: _token(group, number)
    for group, columns in TOGETHER.items()
    for number, column in enumerate(columns)
}


def _sources(*columns: str) -> list[_Source]:
    return [(_ACCESS[column], _TEXTS[column]) for column in columns]


_REQUEST = _ACCESS["request_line"]
_LEGS = ("request_processing_time", "target_processing_time", "response_processing_time")
_SOURCES: dict[str, list[_Source]] = {
    **{field.name: _sources(name) for name in _TEXTS for field in _ACCESS[name].fields},
    **{
        name: [(_REQUEST, lambda match: f"GET {match['base']} HTTP/1.1")]
        for name in ("url.scheme", "url.domain", "url.port")
    },
    "url.template": [(_REQUEST, lambda match: f"GET http://x{match['path'] or ''} HTTP/1.1")],
    OUTCOME.name: _sources("elb_status_code"),
    ERROR_ORIGIN.name: _sources(
        "elb_status_code", "target_status_code", "actions_executed", "error_reason"
    ),
    DURATION.name: _sources("time", "request_creation_time", *_LEGS),
}
_DIRECT: dict[str, Callable[[Match], object]] = {
    TAIL.name: lambda match: _extra(match["rest"] or ""),
    "@timestamp": _instant("time"),
    "event.start": _instant("start"),
    "source.ip": _group("ip"),
    "source.port": lambda match: int(match["port"]),
    "http.request.method": _group("method"),
    "http.request.bytes": lambda match: int(match["received"]),
    "http.response.bytes": lambda match: int(match["sent"]),
    "http.version": _group("version"),
    "url.original": _group("url"),
    "url.path": _group("path"),
    "url.query": lambda match: (match["query"] or "")[1:] or None,
    **{
        field.name: _seconds(group)
        for leg, group in zip(_LEGS, ("request_time", "target_time", "response_time"), strict=True)
        for field in _ACCESS[leg].fields
    },
}
_OF_LINES = _SOURCES.keys() | _DIRECT.keys()
"""The fields that an access line can have; a test compares them with the list of fields."""
