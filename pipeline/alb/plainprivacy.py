"""
Conceal in plain lines what `privacy` says, at little cost where there is nothing to conceal.

A plain line may hold a URL in six of its parts; in no other part is there a character that begins a
parameter, or the line is not plain. Where something is to be concealed at an uncommon place, the
line takes the reference path.
"""

from functools import lru_cache
from typing import Any

import orjson

from pipeline.alb.privacy import Bits, Privacy, masked_ip, mentions
from pipeline.alb.redaction import Redactor, redactor

_CACHED = 4_096

AGENT = "user_agent.original"
"""The one field that the encoder drops itself."""

Parts = tuple[str, str, str | None, str | None, str | None, str, str, str | None]
"""Address, URL, its query, the seven texts after the time, the rest; agent, trace, names."""

Concealed = tuple[str, str, str | None, str | None, str | None]
"""The first five of them, as they may be stored."""


class PlainPrivacy:
    """Conceal parts of plain lines."""

    def __init__(self, privacy: Privacy) -> None:
        self._redaction = _Redaction(redactor(privacy.redact)) if privacy.redact else None
        self._addresses = _Addresses(privacy.bits) if privacy.bits else None
        self._dropped = [name.split(".") for name in sorted(privacy.drop - {AGENT})]

    def concealed(self, line: str, parts: Parts) -> Concealed | None:
        """Return parts of a line as they may be stored; None: it takes the other path."""
        if self._redaction:
            redacted = self._redaction.redacted(parts)
            if redacted is None:
                return None
            parts = redacted
        ip, url, query, actions, rest, *_ = parts
        if self._addresses:
            masked = self._addresses.masked(line, ip)
            if masked is None:
                return None
            ip = masked
        return ip, url, query, actions, rest

    def without_dropped(self, text: str) -> str:
        """Return the bulk lines of a document without the fields that are dropped."""
        if not self._dropped:
            return text
        action, _, document = text.partition("\n")
        source = orjson.loads(document)
        for path in self._dropped:
            _remove(source, path)
        return f"{action}\n{orjson.dumps(source).decode()}\n"


@lru_cache(maxsize=16)
def plain_privacy(privacy: Privacy) -> PlainPrivacy | None:
    """Return how to conceal parts of plain lines; None if nothing is to be concealed."""
    anything = privacy.redact or privacy.bits or privacy.drop - {AGENT}
    return PlainPrivacy(privacy) if anything else None


class _Redaction:
    """Redact the parts of plain lines; parts that repeat are looked at once."""

    def __init__(self, redactor: Redactor) -> None:
        self._redact, self._suspect = redactor.redact, redactor.suspect
        self._suspects = lru_cache(maxsize=_CACHED)(
            lambda part: part is not None and redactor.suspect(part) is not None
        )
        self._redact_tokens = lru_cache(maxsize=_CACHED)(self._redact_each)

    def redacted(self, parts: Parts) -> Parts | None:
        """Return the parts without values of parameters; None where they are hardly ever."""
        ip, url, query, actions, rest, agent, trace, names = parts
        suspects = self._suspects
        if suspects(agent) or suspects(names) or self._suspect(trace):
            return None
        if suspects(actions) or suspects(rest):
            actions, rest = self._redact_tokens(actions), self._redact_tokens(rest)
        if self._suspect(url):
            before = url.removesuffix(query or "")
            url = self._redact(url)
            if not url.startswith(before):  # something before the query was redacted
                return None
            query = url[len(before) :] or None
        return ip, url, query, actions, rest, agent, trace, names

    def _redact_each(self, text: str | None) -> str | None:
        """Redact tokens one by one, in quotes or not."""
        if text is None:
            return None
        parts = text.split('"')
        parts[1::2] = map(self._redact, parts[1::2])
        parts[0::2] = [" ".join(map(self._redact, words.split(" "))) for words in parts[0::2]]
        return '"'.join(parts)


class _Addresses:
    """Mask the clients' addresses of plain lines."""

    def __init__(self, bits: Bits) -> None:
        self._mask = lru_cache(maxsize=_CACHED)(lambda ip: masked_ip(ip, bits))

    def masked(self, line: str, ip: str) -> str | None:
        """Return the address; None where it is none, or may stand elsewhere in the line too."""
        return None if mentions(line, ip) > 1 else self._mask(ip)


def _remove(source: dict[str, Any], path: list[str]) -> None:
    """Remove a field, and the objects above it that hold nothing else."""
    name, *below = path
    inner = source.get(name)
    if below and isinstance(inner, dict):
        _remove(inner, below)
    if not below or inner == {}:
        source.pop(name, None)
