"""
Parse one raw line into a typed `Record`, or say why it is not one: the reference parser.

It matches the line against the grok patterns in `logstash/patterns/alb`, the same file that
Logstash reads, then types the captured strings as the field table says. No bytes make it raise. It
does not split values into document fields: `document` does.

A grok pattern tries again and again where a line does not match, so a linear check comes before it
and lets only those lines through that match, without their tails.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from pipeline.alb.escapes import decode_tail, decode_text
from pipeline.alb.fields import COLUMNS, FIRST_GENERATION, Column, Form, Kind
from pipeline.shipped import shipped

if TYPE_CHECKING:
    from pygrok import Grok

Value = str | int | Decimal

EARLIEST = "2016-01-01T00:00:00Z"
"""Application Load Balancers came in August 2016: no log has an earlier time."""

TIME_COLUMN = {Kind.ACCESS: "time", Kind.CONNECTION: "timestamp", Kind.HEALTH_CHECK: "time"}
"""The column that holds the time of the event."""


class Reason(StrEnum):
    """Why a line is rejected; the `error.type` of its dead letter."""

    TOO_FEW_FIELDS = "too_few_fields"
    BAD_QUOTING = "bad_quoting"
    EMPTY_FIELD = "empty_field"
    BAD_TIME = "bad_time"
    BAD_NUMBER = "bad_number"
    TIME_OUT_OF_RANGE = "time_out_of_range"
    LINE_TOO_LONG = "line_too_long"


ABOUT = {
    Reason.TOO_FEW_FIELDS: "the line has fewer fields than the oldest lines of its log",
    Reason.BAD_QUOTING: "a quote is inside an unquoted value, or a quoted value does not end",
    Reason.EMPTY_FIELD: "the line begins with a space, or two fields have several between them",
    Reason.BAD_TIME: "the line has no time, or a date in it is not an instant",
    Reason.BAD_NUMBER: "a number in the line is not one, or is too large for its field",
    Reason.TIME_OUT_OF_RANGE: (
        "the event is from before 2016 or more than a day ahead of now; or more than a day before "
        "or after the end time in the name of its object"
    ),
    Reason.LINE_TOO_LONG: "the line is longer than 256 KiB; the dead letter keeps its first 8 KiB",
}
"""What each reason means, for people."""


@dataclass(frozen=True, slots=True)
class Record:
    """
    One line, typed: AWS column name -> value.

    Text is decoded, numbers are exact, instants are as AWS wrote them. A column that is absent from
    the line, `-` or empty is not in `values`; nor is a time of -1.
    """

    kind: Kind
    values: Mapping[str, Value]
    extra: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unparsed:
    """Why a line is not a record."""

    reason: Reason
    message: str


def parse_line(
    line: bytes, kind: Kind, *, latest: str, earliest: str = EARLIEST
) -> Record | Unparsed:
    """
    Parse one raw line, given without its line end.

    `earliest` and `latest` are the first and the last instant that an event may have, as
    YYYY-MM-DDTHH:MM:SSZ.
    """
    text = line.decode("latin-1")  # one character a byte: nothing lost, nothing widened
    record = _parse(text, kind)
    if isinstance(record, Record):
        record = _check_time(record, earliest, latest)
    if isinstance(record, Unparsed) and (log := _other_log(text)):
        return Unparsed(record.reason, f"this is {log}, not of an Application Load Balancer's log")
    return record


def kind_of_line(line: bytes) -> Kind:
    """Return which log a line belongs to by its first tokens, for lines without an object's key."""
    tokens = [token.decode("latin-1").strip('"') for token in line.split(b" ", 3)[:3]]
    if _LIKE_INSTANT.match(tokens[0]):
        return Kind.CONNECTION
    if len(tokens) > 2 and _DECIMAL.fullmatch(tokens[2]):  # noqa: PLR2004  the third
        return Kind.HEALTH_CHECK
    return Kind.ACCESS


def is_instant(text: str) -> bool:
    """Check that a text is `YYYY-MM-DDTHH:MM:SS[.1-6 digits]Z` and a real moment."""
    if not _INSTANT.fullmatch(text):
        return False
    # Python has no year 0, but ISO 8601 and Elasticsearch do: it has the days of 2000.
    year = text[:4] if text[:4] != "0000" else "2000"
    try:
        date.fromisoformat(year + text[4:10])
    except ValueError:
        return False
    return True


def validity_dates(text: str) -> tuple[str | None, str | None] | None:
    """Split `NotBefore=…;NotAfter=…` into its instants; None if it is something else."""
    match = _VALIDITY.fullmatch(text)
    if match is None:
        return None
    start, end = (None if instant == "-" else instant for instant in match.groups())
    real = all(instant is None or is_instant(instant) for instant in (start, end))
    return (start, end) if real else None


# --- how a token becomes a value -----------------------------------------------------------------

_FIELD = r'(?:"[^"]*+"|[^" ]++)'
_SOUND = re.compile(rf"(?:{_FIELD}(?: |\Z))*+")
LINE_SHAPE = {
    kind: re.compile(
        rf"(?P<columns>{_FIELD}(?: {_FIELD}){{{FIRST_GENERATION[kind] - 1},{len(columns) - 1}}}+)"
        rf"(?P<tail>(?: {_FIELD})*+) *+"
    )
    for kind, columns in COLUMNS.items()
}
"""What the grok patterns match, as expressions that never try a character twice."""

_LIKE_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?Z"
)
_INTEGER = re.compile(r"-?[0-9]+")
_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_VALIDITY = re.compile(r"NotBefore=([^;]*);NotAfter=([^;]*)")

_LONG_DIGITS = 19
_LONG_MAX = 2**63 - 1
_FLOAT_MAX = Decimal("3.4028234e38")


def _parse(text: str, kind: Kind) -> Record | Unparsed:
    shape = LINE_SHAPE[kind].fullmatch(text)
    captured = shape and _grok(kind).match(shape["columns"])
    if not shape or not captured:
        return _why_no_match(text, kind)
    values: dict[str, Value] = {}
    for column in COLUMNS[kind]:
        value = _type(captured[column.name], column)
        if isinstance(value, Unparsed):
            return value
        if value is not None:
            values[column.name] = value
    return Record(kind, values, tuple(decode_tail(shape["tail"])))


@cache
def _grok(kind: Kind) -> "Grok":
    """Compile the kind's pattern when it is first needed: only this slow path imports pygrok."""
    from pygrok import Grok  # noqa: PLC0415

    name = "ALB_" + kind.name
    return Grok(f"%{{{name}}}", custom_patterns_dir=str(shipped("logstash/patterns")))


def _type(token: str | None, column: Column) -> Value | Unparsed | None:
    text = token and decode_text(token)
    typed = _TYPED.get(column.form)
    return typed(text, column) if text and typed else text


def _instant(text: str, column: Column) -> str | Unparsed:
    if not is_instant(text):
        return Unparsed(Reason.BAD_TIME, f"{column.name}: {_shown(text)} is not an instant")
    return text


def _validity(text: str, column: Column) -> str | Unparsed:
    if validity_dates(text) is None:
        return Unparsed(
            Reason.BAD_TIME,
            f"{column.name}: {_shown(text)} is not NotBefore=INSTANT;NotAfter=INSTANT",
        )
    return text


def _integer(text: str, column: Column) -> int | Unparsed:
    if not _INTEGER.fullmatch(text):
        return Unparsed(Reason.BAD_NUMBER, f"{column.name}: {_shown(text)} is not an integer")
    # Python refuses to read integers of thousands of digits, even if they are zeros.
    digits = text.lstrip("-").lstrip("0") or "0"
    number = int(digits[: _LONG_DIGITS + 1]) * (-1 if text.startswith("-") else 1)
    if not -_LONG_MAX - 1 <= number <= _LONG_MAX:
        return Unparsed(Reason.BAD_NUMBER, f"{column.name}: {_shown(text)} exceeds 64 bits")
    return number


def _seconds(text: str, column: Column) -> Decimal | Unparsed | None:
    if not _DECIMAL.fullmatch(text):
        return Unparsed(Reason.BAD_NUMBER, f"{column.name}: {_shown(text)} is not a number")
    number = Decimal(text)
    if abs(number) > _FLOAT_MAX:
        return Unparsed(Reason.BAD_NUMBER, f"{column.name}: {_shown(text)} exceeds a float")
    return None if number == -1 else number


_TYPED: dict[Form, Callable[[str, Column], Value | Unparsed | None]] = {
    Form.INTEGER: _integer,
    Form.SECONDS: _seconds,
    Form.INSTANT: _instant,
    Form.VALIDITY: _validity,
}


def _check_time(record: Record, earliest: str, latest: str) -> Record | Unparsed:
    time = record.values.get(TIME_COLUMN[record.kind])
    if not isinstance(time, str):
        return Unparsed(Reason.BAD_TIME, "the line has no time")
    if not earliest[:19] <= time[:19] <= latest[:19]:
        return Unparsed(Reason.TIME_OUT_OF_RANGE, f"{time} is not between {earliest} and {latest}")
    return record


def _why_no_match(text: str, kind: Kind) -> Unparsed:
    sound = _SOUND.match(text)
    position = sound.end() if sound else 0
    if position < len(text):
        return _fault_at(text, position)
    return Unparsed(
        Reason.TOO_FEW_FIELDS,
        f"{len(re.findall(_FIELD, text))} of the {FIRST_GENERATION[kind]} fields that even the "
        "oldest lines have",
    )


def _fault_at(text: str, position: int) -> Unparsed:
    if text[position] == " ":
        return Unparsed(Reason.EMPTY_FIELD, f"an extra space at byte {position}")
    return Unparsed(Reason.BAD_QUOTING, f"a misplaced quote after byte {position}")


def _shown(text: str) -> str:
    """Quote a value for a message, cut to a length that people read."""
    limit = 60
    return repr(text if len(text) <= limit else text[:limit] + "…")


# --- lines of other logs -------------------------------------------------------------------------

_OTHER_LOGS = {
    "a line of a Network Load Balancer's log": re.compile(r"tls [0-9]{1,3}\.[0-9]{1,3} "),
    "a line of a Classic Load Balancer's log": re.compile(
        rf"{_LIKE_INSTANT.pattern}[0-9:.]++Z [^ \"]++ [0-9.]++:[0-9]++ (?:-|[0-9.]++:[0-9]++) "
    ),
    "the test file that AWS writes where a log is switched on": re.compile(
        r"Enable [A-Za-z]{1,40}Log for ELB:"
    ),
}


def _other_log(text: str) -> str | None:
    """Return what a line is that begins as those of another log do."""
    return next((log for log, pattern in _OTHER_LOGS.items() if pattern.match(text)), None)
