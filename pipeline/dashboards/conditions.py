"""
Say which documents are meant, once, for both readers: KQL for Kibana, a query for Elasticsearch.

https://www.elastic.co/guide/en/kibana/8.19/kuery-query.html
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Is:
    """The field has one of these values."""

    field: str
    values: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """The field is at least `low` and less than `high`, if there is such a limit."""

    field: str
    low: float
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Has:
    """The document has the field."""

    field: str


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    condition: "Condition"


@dataclass(frozen=True, slots=True)
class Both:
    """All conditions hold."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one condition holds."""

    conditions: tuple["Condition", ...]


Condition: TypeAlias = Is | Between | Has | Not | Both | Either


def one_of(field: str, *values: str | int) -> Is:
    """Return the condition that a field has one of these values."""
    return Is(field, values)


def both(*conditions: Condition) -> Both:
    """Return the condition that all of these hold."""
    return Both(conditions)


def either(*conditions: Condition) -> Either:
    """Return the condition that at least one of these holds."""
    return Either(conditions)


def kql(condition: Condition | None) -> str:
    """Return a condition in Kibana's query language; no condition is an empty text."""
    return "" if condition is None else _kql(condition)


def _kql(condition: Condition) -> str:
    match condition:
        case Is(field, values):
            return f"{field} : {_any_of([_literal(value) for value in values])}"
        case Between():
            return " and ".join(_limits(condition))
        case Has(field):
            return f"{field} : *"
        case Not(inner):
            return f"not ({kql(inner)})"
        case Both(conditions):
            return " and ".join(_grouped(each) for each in conditions)
        case Either(conditions):
            return " or ".join(_grouped(each) for each in conditions)


def _any_of(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"({' or '.join(texts)})"


def _literal(value: str | int) -> str:
    return str(value) if isinstance(value, int) else f'"{value}"'


def _limits(between: Between) -> Iterator[str]:
    yield f"{between.field} >= {between.low:g}"
    if between.high is not None:
        yield f"{between.field} < {between.high:g}"


def _grouped(condition: Condition) -> str:
    plain = isinstance(condition, Is | Has | Not)
    return kql(condition) if plain else f"({kql(condition)})"


def query(condition: Condition | None) -> Json:
    """Return a condition as a query of Elasticsearch."""
    return {"match_all": {}} if condition is None else _query(condition)


def _query(condition: Condition) -> Json:
    match condition:
        case Is(field, values):
            return {"terms": {field: list(values)}}
        case Between(field, low, high):
            limits = {"gte": low} if high is None else {"gte": low, "lt": high}
            return {"range": {field: limits}}
        case Has(field):
            return {"exists": {"field": field}}
        case Not(inner):
            return {"bool": {"must_not": [query(inner)]}}
        case Both(conditions):
            return {"bool": {"filter": [query(each) for each in conditions]}}
        case Either(conditions):
            return {"bool": {"should": [query(each) for each in conditions]}}


def fields_in(condition: Condition | None) -> Iterator[str]:
    """Yield the fields that a condition names."""
    match condition:
        case None:
            return
        case Not(inner):
            yield from fields_in(inner)
        case Both(conditions) | Either(conditions):
            for each in conditions:
                yield from fields_in(each)
        case _:
            yield condition.field
