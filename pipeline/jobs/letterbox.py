"""
Find dead letters again, and say what of each is sound: whoever may ingest may have forged one.

What a letter holds is written by `sink/letters`. A value of another kind than is written there is
taken for absent.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from elasticsearch import Elasticsearch

from pipeline.alb.fields import DEAD_LETTER, ERASED
from pipeline.alb.keys import ObjectName, classify_key
from pipeline.deadline import Deadline
from pipeline.sink.scanning import Hit, Wanted, count, scan

UNKNOWN = "unknown"
"""The reason of a letter that has none."""

_REASON = re.compile(r"[A-Za-z0-9_.-]{1,100}")
FIELDS = tuple(field.name for field in DEAD_LETTER)
"""What we write into letters."""

_ORDER = (
    ("aws.s3.bucket.name", "keyword"),
    ("aws.s3.object.key", "keyword"),
    ("log.offset", "long"),
)


@dataclass(frozen=True, slots=True)
class Letter:
    """
    A dead letter, and what it says of its line.

    `line` is None where the letter does not hold it, or only its head: then the object has it.
    """

    hit: Hit
    reason: str
    bucket: str | None
    key: str | None
    offset: int | None
    line: bytes | None

    @property
    def name(self) -> ObjectName | None:
        """Return what the object's key says; None where it is not that of an ALB log."""
        name = classify_key(self.key) if self.key else None
        return name if isinstance(name, ObjectName) else None

    def texts(self) -> Iterator[str]:
        """Yield every text that may quote the line, whatever it is."""
        for name in ("event.original", "event.original_base64", "error.message"):
            value = self.hit.get(name)
            yield from (str(each) for each in (value if isinstance(value, list) else [value]))
        held = _line(self.hit)
        if held is not None:
            yield held.decode("latin-1")

    @property
    def erased(self) -> bool:
        """Return whether its line was erased."""
        return self.hit.get(ERASED.name) is not None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters: those that all of this applies to. Without a value, it applies to all."""

    since: datetime | None = None
    reasons: tuple[str, ...] = ()
    bucket: str | None = None
    load_balancers: tuple[str, ...] = ()
    """Names, or `app/NAME/ID`."""

    def query(self) -> dict[str, Any]:
        """Return the query that finds them, and perhaps others."""
        filters: list[dict[str, Any]] = []
        if self.since:
            filters.append({"range": {"@timestamp": {"gte": self.since.isoformat()}}})
        if self.reasons:
            filters.append({"terms": {"error.type": list(self.reasons)}})
        if self.bucket:
            filters.append({"term": {"aws.s3.bucket.name": self.bucket}})
        if self.load_balancers:
            filters.append({"bool": {"should": [*map(_with_name, self.load_balancers)]}})
        return {"bool": {"filter": filters}}

    def includes(self, letter: Letter) -> bool:
        """Return whether a letter that the query found is one of them."""
        if not self.load_balancers:
            return True
        whole = letter.name.load_balancer if letter.name else ""
        return any(each in {whole, *whole.split("/")[1:2]} for each in self.load_balancers)


def _with_name(load_balancer: str) -> dict[str, Any]:
    """Return the query for keys that hold a load balancer's name, as the names of objects do."""
    plain = re.sub(r"([*?\\])", r"\\\1", load_balancer)
    part = f"{plain.replace('/', '.')}_" if "/" in plain else f"app.{plain}."
    return {"wildcard": {"aws.s3.object.key": f"*_{part}*"}}


def count_letters(es: Elasticsearch, alias: str, selection: Selection, deadline: Deadline) -> int:
    """Return how many letters a selection may find."""
    return count(es, Wanted(alias, selection.query()), deadline)


def find_letters(es: Elasticsearch, wanted: Wanted, deadline: Deadline) -> Iterator[Letter]:
    """Yield letters, those of one object together and in the order of their lines."""
    sort = [{name: {"order": "asc", "unmapped_type": type_}} for name, type_ in _ORDER]
    for page in scan(es, replace(wanted, sort=sort), deadline):
        yield from map(letter_of, page)


def letter_of(hit: Hit) -> Letter:
    """Return what is sound of a dead letter."""
    line, length = _line(hit), hit.get("log.length")
    whole = line is not None and not (isinstance(length, int) and length > len(line))
    reason = _text(hit, "error.type")
    offset = hit.get("log.offset")
    return Letter(
        hit=hit,
        reason=reason if reason and _REASON.fullmatch(reason) else UNKNOWN,
        bucket=_text(hit, "aws.s3.bucket.name"),
        key=_text(hit, "aws.s3.object.key"),
        offset=offset if type(offset) is int and offset >= 0 else None,
        line=line if whole else None,
    )


def _line(hit: Hit) -> bytes | None:
    text, encoded = _text(hit, "event.original"), _text(hit, "event.original_base64")
    if text is not None:
        return text.encode()
    try:
        return None if encoded is None else base64.b64decode(encoded, validate=True)
    except ValueError:
        return None


def _text(hit: Hit, name: str) -> str | None:
    value = hit.get(name)
    return value if isinstance(value, str) else None
