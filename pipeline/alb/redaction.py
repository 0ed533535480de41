r"""
Replace the values of query parameters by `REDACTED`, wherever a text holds a URL.

A parameter begins after `?`, `&` or `#` and, once a query has begun, also after `;`. Its value
reaches to the next `&` or `#`, or to the end of the text: where servers disagree on where a value
ends, as on `a;b`, the longer one is replaced. Names are compared without regard to case, after
percent-decoding and without an index in brackets: `%74oken`, `Token` and `token[0]` are `token`.

A URL within a URL is percent-encoded, perhaps repeatedly: `?next=%2Flogin%3Ftoken%3D1%26a%3D2`. Its
parameters are found too. An encoded `&` ends only values that are encoded at least as often.

All of it is expressions that try no character twice: strangers decide what is in a URL.
"""

import re
from functools import lru_cache

REDACTED = "REDACTED"
"""What replaces a value."""

EVERY = "*"
"""Stands for every name."""

_MARK = r"(?:3[BFbf]|26|23)"  # ; ? & # after the percent sign
_IN_NAME = rf"(?:[^?&;#=%]++|%(?!(?:25)*+(?:{_MARK}|3[Dd])))*+"
_INDEX = rf"(?:(?:\[|%(?:25)*+5[Bb]){_IN_NAME})?+"
_OPENING = re.compile(r"[?&#%](?:(?<!%)|(?<=%)(?:25)*+(?:3[Ff]|26|23))")
_ENCODED = re.compile(rf"%(?:25)*+{_MARK}")
_QUERY = re.compile(r"[?#]")
_VALUE = re.compile(r"=[^&#]++")
_BARE = re.compile(r"(?<=[?&;#])[^?&;#=]++(?=[?&;#]|\Z)")
_PROTOCOL = re.compile(r"HTTP/[0-9.]+|-")
_DEEPEST = 3
"""A value that is encoded more often is taken for one encoded so often: more is replaced."""


class Redactor:
    """Redact the parameters of these names, or of `EVERY` name."""

    __slots__ = ("_depths", "_every", "suspect")

    def __init__(self, names: tuple[str, ...]) -> None:
        self._every = EVERY in names
        name = _IN_NAME if self._every else _any_of(names)
        self._depths = [_parameter(name, depth) for depth in range(_DEEPEST + 1)]
        self.suspect = (_OPENING if self._every else _suspect(name)).search
        """Finds something in every text that has anything to redact, and in hardly any other."""

    def redact(self, text: str) -> str:
        """Redact a text, of which any part may be a URL."""
        found = self.suspect(text)
        opening = found if self._every or found is None else _OPENING.search(text)
        if opening is None:
            return text
        before, rest = text[: opening.start()], text[opening.start() :]
        return before + (self._redact_every(rest) if self._every else self._redact_named(rest))

    def redact_request(self, text: str) -> str:
        """Redact a request line, but for the HTTP version or `-` at its end."""
        stripped = text.rstrip(" ")
        rest, _, last = stripped.rpartition(" ")
        end = len(rest if _PROTOCOL.fullmatch(last) else stripped)
        return self.redact(text[:end]) + text[end:]

    def _redact_named(self, text: str) -> str:
        for parameter in self._depths if _ENCODED.search(text) else self._depths[:1]:
            text = _without_values(parameter, text)
        return text

    def _redact_every(self, text: str) -> str:
        """Redact every parameter; one without an equals sign is all value."""
        begin = _QUERY.search(text)
        at = begin.start() if begin else len(text)
        path, query = self._redact_named(text[:at]) if at else "", text[at:]
        query = _VALUE.sub(f"={REDACTED}", query)
        if sum(map(query.count, "?&;#")) > query.count("="):  # at most one follows each mark now
            query = _BARE.sub(REDACTED, query)
        return path + query


@lru_cache(maxsize=16)
def redactor(names: tuple[str, ...]) -> Redactor:
    """Return the redactor of these names, made only once."""
    return Redactor(names)


def _without_values(parameter: re.Pattern[str], text: str) -> str:
    parts = parameter.split(text)  # every second part is one that is kept before a value
    if len(parts) == 1:
        return text
    parts[1::2] = [kept + REDACTED for kept in parts[1::2]]
    return "".join(parts)


def _suspect(name: str) -> re.Pattern[str]:
    """Return an expression for what nearly no text has that need not be redacted."""
    return re.compile(rf"[?&;#%](?:(?<!%){name}(?:=|%(?:25)*+3[Dd])|(?<=%)(?:25)*+{_MARK})")


def _parameter(name: str, depth: int) -> re.Pattern[str]:
    """
    Return an expression for parameters that are encoded so often: all before the value, the value.

    That is how often the mark before the name or, if it is less, the equals sign is encoded.
    """
    if depth == 0:
        raw = rf"(?<!%){name}(?:=|%(?:25)*+3[Dd])"
        return re.compile(rf"([?&;#%](?:{raw}|(?<=%)(?:25)*+{_MARK}{name}=))[^&#]++")
    at_least, more = rf"(?:25){{{depth - 1},}}+", rf"(?:25){{{depth},}}+"
    exactly = at_least if depth == _DEEPEST else rf"(?:25){{{depth - 1}}}"
    marked = rf"{exactly}{_MARK}{name}%{at_least}3[Dd]|{more}{_MARK}{name}%{exactly}3[Dd]"
    value = rf"(?:[^&#%]++|%(?!(?:25){{0,{depth - 1}}}+(?:26|23)))++"
    return re.compile(rf"(%(?:{marked})){value}")


def _any_of(names: tuple[str, ...]) -> str:
    """Return an expression for any of the names, however it is written."""
    texts = "|".join("".join(map(_written, name)) for name in names)
    return rf"(?:{texts}){_INDEX}"


def _written(character: str) -> str:
    """Return an expression for a character of a name, in either case and plain or encoded."""
    forms = {character, character.lower(), character.upper()}
    encoded = {
        "".join(f"%(?:25)*+{_hex(byte)}" for byte in form.encode("utf-8", "replace"))
        for form in forms
    }
    space = [r"\+", "%(?:25)*+2[Bb]"] if character == " " else []
    return f"(?:{'|'.join([*map(re.escape, sorted(forms)), *space, *sorted(encoded)])})"


def _hex(byte: int) -> str:
    return "".join(
        f"[{digit}{digit.lower()}]" if digit.isalpha() else digit for digit in f"{byte:02X}"
    )
