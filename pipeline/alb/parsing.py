r"""
Turn one raw line into a typed `Record`, or say why it is none: the reference parser.

It matches the line against the grok patterns in `logstash/patterns/alb`, the very file that
Logstash reads, then types the captured strings as the field table says. It never raises, whatever
the bytes. It does not take values apart into document fields: that is `document`'s business.

How the load balancer escapes text is not documented by AWS; it is nginx's way: `\\xHH` for a quote,
a backslash, a control character and every byte beyond ASCII, and sometimes `\\x000000HH`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from pipeline.alb.fields import COLUMNS, FIRST_GENERATION, Column, Form, Kind
from pipeline.shipped import shipped

if TYPE_CHECKING:
    from pygrok import Grok

Value = str | int | Decimal

EARLIEST = "2016-01-01T00:00:00Z"
"""Application Load Balancers came in August 2016: an earlier time is no log's."""


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


@dataclass(frozen=True, slots=True)
class Record:
    """
    One line, typed: AWS column name -> value.

    Text is decoded, numbers are exact, instants are kept as AWS wrote them. A column that is
    absent from the line, `-` or empty is not in `values`; nor is a time of -1.
    """

    kind: Kind
    values: Mapping[str, Value]
    extra: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unparsed:
    """Why a line is no record."""

    reason: Reason
    message: str


def parse_line(line: bytes, kind: Kind, *, latest: str) -> Record | Unparsed:
    """
    Parse one raw line, given without its line end.

    `latest` is the last instant that an event may have (YYYY-MM-DDTHH:MM:SSZ).
    """
    text = line.decode("latin-1")  # one character a byte: nothing lost, nothing widened
    captured = _grok(kind).match(text)
    if captured is None:
        return _why_no_match(text, kind)
    tail = _TOKEN.findall(captured.pop("extra_fields"))
    values: dict[str, Value] = {}
    for column in COLUMNS[kind]:
        value = _type(captured[column.name], column)
        if isinstance(value, Unparsed):
            return value
        if value is not None:
            values[column.name] = value
    return _check_time(Record(kind, values, tuple(filter(None, map(decode_text, tail)))), latest)


def kind_of_line(line: bytes) -> Kind:
    """Tell the three logs apart by a line's first tokens, where no object key does."""
    tokens = [token.decode("latin-1").strip('"') for token in line.split(b" ", 3)[:3]]
    if _LIKE_INSTANT.match(tokens[0]):
        return Kind.CONNECTION
    if len(tokens) > 2 and _DECIMAL.fullmatch(tokens[2]):  # noqa: PLR2004  the third
        return Kind.HEALTH_CHECK
    return Kind.ACCESS


def decode_text(token: str) -> str | None:
    """Give a captured token's text, or None where it is `-` or empty."""
    quoted = token.startswith('"')
    raw = (token[1:-1] if quoted else token).encode("latin-1")
    if quoted and b"\\x" in raw:
        raw = _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), raw)
    text = raw.decode("utf-8", "replace")
    return None if text in {"", "-"} else text


def is_instant(text: str) -> bool:
    """Tell whether the text is `YYYY-MM-DDTHH:MM:SS[.1-6 digits]Z` and a real moment."""
    if not _INSTANT.fullmatch(text):
        return False
    try:
        date.fromisoformat(text[:10])
    except ValueError:
        return False
    return True


def validity_dates(text: str) -> tuple[str | None, str | None] | None:
    """Take `NotBefore=…;NotAfter=…` apart; None where it is not that."""
    match = _VALIDITY.fullmatch(text)
    if match is None:
        return None
    start, end = (None if instant == "-" else instant for instant in match.groups())
    real = all(instant is None or is_instant(instant) for instant in (start, end))
    return (start, end) if real else None


# --- how a token becomes a value -----------------------------------------------------------------

_TOKEN = re.compile(r'"[^"]*"|[^" ]+')
_NEXT_TOKEN = re.compile(r'(?:"[^"]*"|[^" ]+)(?: |\Z)')
_ESCAPE = re.compile(rb"\\x(?:000000)?([0-9a-fA-F]{2})")
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


@cache
def _grok(kind: Kind) -> "Grok":
    """Compile the kind's pattern, when it is first wanted: only this slow path needs pygrok."""
    from pygrok import Grok  # noqa: PLC0415

    name = "ALB_" + kind.name
    return Grok(f"%{{{name}}}", custom_patterns_dir=str(shipped("logstash/patterns")))


def _type(token: str | None, column: Column) -> Value | Unparsed | None:
    text = None if token is None else decode_text(token)
    if text is None:
        return None
    match column.form:
        case Form.INTEGER:
            return _integer(text, column)
        case Form.SECONDS:
            return _seconds(text, column)
        case Form.INSTANT if not is_instant(text):
            return Unparsed(Reason.BAD_TIME, f"{column.name}: {_shown(text)} is not an instant")
        case Form.VALIDITY if validity_dates(text) is None:
            return Unparsed(
                Reason.BAD_TIME,
                f"{column.name}: {_shown(text)} is not NotBefore=INSTANT;NotAfter=INSTANT",
            )
        case _:
            return text


def _integer(text: str, column: Column) -> int | Unparsed:
    if not _INTEGER.fullmatch(text):
        return Unparsed(Reason.BAD_NUMBER, f"{column.name}: {_shown(text)} is not an integer")
    # Python refuses to read integers of thousands of digits, be they zeros.
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


def _check_time(record: Record, latest: str) -> Record | Unparsed:
    time = record.values.get(TIME_COLUMN[record.kind])
    if not isinstance(time, str):
        return Unparsed(Reason.BAD_TIME, "the line has no time")
    if not EARLIEST[:19] <= time[:19] <= latest[:19]:
        return Unparsed(Reason.TIME_OUT_OF_RANGE, f"{time} is not between {EARLIEST} and {latest}")
    return record


def _why_no_match(text: str, kind: Kind) -> Unparsed:
    count = position = 0
    while match := _NEXT_TOKEN.match(text, position):
        position = match.end()
        count += 1
    if position < len(text):
        return _fault_at(text, position)
    return Unparsed(
        Reason.TOO_FEW_FIELDS,
        f"{count} of the {FIRST_GENERATION[kind]} fields that even the oldest lines have",
    )


def _fault_at(text: str, position: int) -> Unparsed:
    if text[position] == " ":
        return Unparsed(Reason.EMPTY_FIELD, f"a space too many at byte {position}")
    return Unparsed(Reason.BAD_QUOTING, f"a quote is out of place after byte {position}")


def _shown(text: str) -> str:
    """Quote a value in a message, cut to what a person reads."""
    limit = 60
    return repr(text if len(text) <= limit else text[:limit] + "…")
