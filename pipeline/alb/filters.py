r"""
Leave out lines that nobody wants to search: rules, and which lines they exclude.

    url.path=/health*                                         what begins so
    user_agent.original=ELB-HealthChecker*; url.path=/ping    either
    http.response.status_code=200..299 & url.path=/static/*   both
    event.outcome=success @0.1                                all but a tenth of them

Rules look at the document as the line says it, before privacy settings conceal anything. A
backslash before `*`, `&`, `;`, `@` or a backslash makes it an ordinary character.

Of the lines that match a rule with a share, those are kept whose id begins with a number below that
share: SHA-256 of the raw line, of which the id is the beginning, read as a big-endian number of 32
bits, is below share * 2**32. So every route keeps the same lines, and a smaller share keeps some of
those that a larger one keeps.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, NoReturn

from pipeline.alb.fields import Field
from pipeline.alb.lookup import find_field
from pipeline.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Like:
    """A field holds this text; between its parts there may be anything."""

    field: str
    parts: tuple[str, ...]

    def matches(self, value: object) -> bool:
        """Check a value; an absent one does not match, of a list any item may."""
        match value:
            case None:
                return False
            case list():
                return any(map(self.matches, value))
            case bool():
                return self._matches(str(value).lower())
            case _:
                return self._matches(str(value))

    def _matches(self, text: str) -> bool:
        first, *rest = self.parts
        if not rest:
            return text == first
        *middle, last = rest
        end = len(text) - len(last)
        if not (len(first) <= end and text.startswith(first) and text.endswith(last)):
            return False
        position = len(first)
        for part in middle:
            position = text.find(part, position, end)
            if position < 0:
                return False
            position += len(part)
        return True


@dataclass(frozen=True, slots=True)
class Between:
    """A field holds a number in this range, both ends included."""

    field: str
    low: float
    high: float

    def matches(self, value: object) -> bool:
        """Check a value; an absent one does not match."""
        return isinstance(value, int | float) and self.low <= value <= self.high


Condition = Like | Between


@dataclass(frozen=True, slots=True)
class Rule:
    """Exclude the lines that match all conditions, except for a share of `kept` / 2**32."""

    conditions: tuple[Condition, ...]
    kept: int = 0

    def spares(self, line: bytes) -> bool:
        """Check whether a line that matches is in the share that is kept."""
        return bool(self.kept) and _beginning_of_id(line) < self.kept


def is_excluded(rules: Iterable[Rule], fields: Mapping[str, object], line: bytes) -> bool:
    """Check whether any rule excludes a raw line, whose document has these fields."""
    return any(
        all(condition.matches(fields.get(condition.field)) for condition in rule.conditions)
        and not rule.spares(line)
        for rule in rules
    )


_SPACE = 2**32


def _beginning_of_id(line: bytes) -> int:
    return int.from_bytes(hashlib.sha256(line).digest()[:4], "big")


# --- how the setting is read ---------------------------------------------------------------------


class _Character(NamedTuple):
    """A character of the setting; `plain` if a backslash stands before it."""

    text: str
    at: int
    plain: bool = False


_Text = Sequence[_Character]
_ESCAPABLE = "*&;@\\"
_SHARE = re.compile(r"[0-9.]+")
_DECIMAL = re.compile(r"[01]?(?:\.[0-9]{1,9})?")
_NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,9})?")
_NUMBERS = {"long", "float"}
_NOT_OF_THE_LINE = {
    "aws.s3.bucket.name",
    "aws.s3.object.key",
    "event.ingested",
    "event.original",
}


def read_rules(variable: str, text: str) -> tuple[Rule, ...]:
    """Read the rules of a setting; ConfigError for a wrong one, with its position."""
    reader = _Reader(variable)
    rules = _split(list(reader.characters(text)), ";")
    return tuple(reader.rule(rule) for rule in map(_stripped, rules) if rule)


class _Reader:
    """Read one setting; every error names the variable and a position."""

    def __init__(self, variable: str) -> None:
        self._variable = variable

    def characters(self, text: str) -> Iterator[_Character]:
        at = 0
        while at < len(text):
            escaped = text[at] == "\\"
            if escaped and text[at + 1 : at + 2] not in tuple(_ESCAPABLE):
                self._refuse(at, "a backslash stands only before * & ; @ or another backslash")
            at += escaped
            yield _Character(text[at], at, plain=escaped)
            at += 1

    def rule(self, text: _Text) -> Rule:
        body, kept = self._share(text)
        conditions = [_stripped(each) for each in _split(body, "&")]
        if not all(conditions):
            self._refuse(text[-1].at, "a rule lacks a condition; write field=value")
        return Rule(tuple(map(self._condition, conditions)), kept)

    def _share(self, text: _Text) -> tuple[_Text, int]:
        """Split `@0.1` off the end of a rule."""
        body, sign, share = _cut(text, "@", -1)
        if not sign or not _SHARE.fullmatch(_string(share).strip()):
            return text, 0
        number = _string(share).strip()
        if not _DECIMAL.fullmatch(number) or not 0 < Fraction(number) < 1:
            self._refuse(share[0].at, f"@{number} is not between 0 and 1: write @0.1 for a tenth")
        return body, int(Fraction(number) * _SPACE)

    def _condition(self, text: _Text) -> Condition:
        name, sign, value = _cut(text, "=")
        name, value = _stripped(name), _stripped(value)
        if not sign or not name or not value:
            self._refuse(text[0].at, f"{_string(text)!r} is not a condition; write field=value")
        field = find_field(_string(name))
        if not isinstance(field, str) and field.name in _NOT_OF_THE_LINE:
            field = f"{field.name} is not in the line: name another field"
        if isinstance(field, str):
            self._refuse(name[0].at, field)
        return self._matching(field, value)

    def _matching(self, field: Field, value: _Text) -> Condition:
        parts = tuple(_string(part) for part in _split(value, "*"))
        if field.type not in _NUMBERS or not any(parts):
            return Like(field.name, parts)
        low, dots, high = _string(value).partition("..")
        ends = (low, high) if dots else (low, low)
        if not any(ends) or not all(not end or _NUMBER.fullmatch(end) for end in ends):
            self._refuse(
                value[0].at,
                f"{_string(value)!r} is neither a number nor a range, which {field.name} needs; "
                "write 200 or 200..299",
            )
        return Between(field.name, float(ends[0] or "-inf"), float(ends[1] or "inf"))

    def _refuse(self, at: int, why: str) -> NoReturn:
        raise ConfigError(f"{self._variable}, character {at + 1}: {why}")


def _string(text: _Text) -> str:
    return "".join(character.text for character in text)


def _stripped(text: _Text) -> _Text:
    begin, end = 0, len(text)
    while begin < end and text[begin].text.isspace():
        begin += 1
    while end > begin and text[end - 1].text.isspace():
        end -= 1
    return text[begin:end]


def _signs(text: _Text, sign: str) -> list[int]:
    return [at for at, each in enumerate(text) if each.text == sign and not each.plain]


def _split(text: _Text, sign: str) -> list[_Text]:
    begins = [0, *(at + 1 for at in _signs(text, sign))]
    ends = [*_signs(text, sign), len(text)]
    return [text[begin:end] for begin, end in zip(begins, ends, strict=True)]


def _cut(text: _Text, sign: str, which: int = 0) -> tuple[_Text, bool, _Text]:
    found = _signs(text, sign)
    return (text[: found[which]], True, text[found[which] + 1 :]) if found else (text, False, ())
