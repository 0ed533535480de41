"""
Ask Elasticsearch what arrived, compare it with what was written, and print both.

The expected ids come from the traffic generator's own computation, never from the pipeline.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan
from rich.console import Console
from rich.table import Table

from devstack.traffic import WrittenObject

KINDS = ("access", "connection", "health-check")

Bucket = dict[str, Any]
"""One bucket of an aggregation's answer."""


@dataclass(frozen=True, slots=True)
class Account:
    """The ids of one kind: those that were written, and those found in Elasticsearch."""

    written: frozenset[str]
    found: frozenset[str]

    @property
    def right(self) -> bool:
        """Return whether exactly what was written is there."""
        return self.written == self.found


def take_accounts(
    es: Elasticsearch, prefix: str, written: Sequence[WrittenObject]
) -> dict[str, Account]:
    """Compare the sets of ids of each kind and of the dead letters."""
    es.indices.refresh(index=f"{prefix}-*")
    accounts = {
        kind: Account(
            _union(each.good_ids for each in written if each.kind == kind),
            _found(es, f"{prefix}-{kind}-*"),
        )
        for kind in KINDS
    }
    rejected = _union(each.rejected_ids for each in written)
    return accounts | {"dead letters": Account(rejected, _found(es, f"{prefix}-dead-letter"))}


def print_accounts(
    accounts: dict[str, Account], handled: dict[str, float], console: Console
) -> None:
    """Print what was written and what was found, and the handler's own metrics."""
    table = Table("", "written", "found", "missing", "too many", title="Every line once")
    for name, account in accounts.items():
        table.add_row(
            name,
            *(
                f"{len(ids):,}"
                for ids in (
                    account.written,
                    account.found,
                    account.written - account.found,
                    account.found - account.written,
                )
            ),
        )
    _right_align(table, console)
    terms = ("Indexed", "Duplicates", "Rejected", "Blank", "Truncated")
    total = sum(handled.get(term, 0) for term in terms)
    said = " + ".join(f"{handled.get(term, 0):,.0f} {term.lower()}" for term in terms)
    equal = "=" if total == handled["Lines"] else "[red]≠[/red]"
    console.print(
        f"The handler read {handled['Lines']:,.0f} lines {equal} {said}\n"
        f"{_delivered_again(accounts, handled)}",
        highlight=False,
        soft_wrap=True,
    )


def _delivered_again(accounts: dict[str, Account], handled: dict[str, float]) -> str:
    """Explain why more lines were rejected than there are dead letters."""
    letters = len(accounts["dead letters"].found)
    again = handled.get("Rejected", 0) - letters
    return (
        f"Lines that were delivered again are duplicates. Of the rejected, {again:,.0f} came "
        f"again; a dead letter\nhas the id of its line, so there are {letters:,} of them."
    )


def print_dead_letters(es: Elasticsearch, prefix: str, console: Console) -> None:
    """Print why lines were rejected, with one example each."""
    table = Table("reason", "lines", "for example", title="Dead letters")
    answer = es.search(
        index=f"{prefix}-dead-letter",
        size=0,
        aggs={
            "reason": {
                "terms": {"field": "error.type"},
                "aggs": {"example": {"top_hits": {"size": 1, "_source": ["error.message"]}}},
            }
        },
    )
    for each in answer["aggregations"]["reason"]["buckets"]:
        example = each["example"]["hits"]["hits"][0]["_source"]["error"]["message"]
        table.add_row(each["key"], f"{each['doc_count']:,}", example)
    console.print(table)


def print_traffic(
    es: Elasticsearch, prefix: str, load_balancers: Collection[str], console: Console
) -> None:
    """Print requests, errors and latencies of each load balancer, and the slowest templates."""
    index = f"{prefix}-access-*"
    table = Table(
        "load balancer", "requests", "5xx", "p50", "p95", "p99", title="Target latency in seconds"
    )
    balancers = {"field": "observer.name", "size": 20}
    odd = []
    for each in _buckets(es, index, balancers):
        table.add_row(each["key"], f"{each['doc_count']:,}", _error_share(each), *_latency(each))
        odd += [each["key"]] if each["key"] not in load_balancers else []
    table.caption = f"in odd lines that are mixed in: {', '.join(odd)}" if odd else None
    _right_align(table, console)
    table = Table("url.template", "requests", "5xx", "p50", "p95", "p99", title="Slowest templates")
    templates = {
        "field": "url.template",
        "size": 6,
        "min_doc_count": 30,
        "order": {"latency.95": "desc"},
    }
    for each in _buckets(es, index, templates):
        table.add_row(each["key"], f"{each['doc_count']:,}", _error_share(each), *_latency(each))
    _right_align(table, console)


def bytes_per_document(es: Elasticsearch, prefix: str) -> float:
    """Return the bytes on disk of one access log document, after merging."""
    index = f"{prefix}-access-*"
    es.options(request_timeout=120).indices.forcemerge(index=index, max_num_segments=1)
    es.indices.flush(index=index, force=True)
    total = es.indices.stats(index=index, metric="store,docs")["_all"]["primaries"]
    return float(total["store"]["size_in_bytes"]) / max(1, int(total["docs"]["count"]))


def _buckets(es: Elasticsearch, index: str, terms: dict[str, Any]) -> list[Bucket]:
    latency = {"field": "aws.elb.backend_processing_time.sec", "percents": [50, 95, 99]}
    errors = {"range": {"http.response.status_code": {"gte": 500}}}
    by = {
        "terms": terms,
        "aggs": {"latency": {"percentiles": latency}, "errors": {"filter": errors}},
    }
    answer = es.search(index=index, size=0, aggs={"by": by})
    buckets: list[Bucket] = answer["aggregations"]["by"]["buckets"]
    return buckets


def _error_share(bucket: Bucket) -> str:
    return f"{bucket['errors']['doc_count'] / bucket['doc_count']:.2%}"


def _latency(bucket: Bucket) -> list[str]:
    return [f"{value:.3f}" for value in bucket["latency"]["values"].values()]


def _found(es: Elasticsearch, index: str) -> frozenset[str]:
    hits = scan(es, index=index, query={"_source": False}, size=10_000)
    return frozenset(hit["_id"] for hit in hits)


def _union(ids: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*ids)


def _right_align(table: Table, console: Console) -> None:
    for column in table.columns[1:]:
        column.justify = "right"
    console.print(table)
