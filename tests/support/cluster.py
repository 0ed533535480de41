"""Prepare the real Elasticsearch for a test, ingest into it, and read back what is there."""

import io
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from elasticsearch import Elasticsearch

from devstack.traffic import line_id
from pipeline.alb.fields import Kind
from pipeline.cluster.templates import Layout, apply_setup, plan_setup
from pipeline.ingest import Options, ingest_stream
from pipeline.outcome import Outcome
from pipeline.sink.store import Store, open_store


@contextmanager
def prepared(es: Elasticsearch, layout: Layout | None = None) -> Iterator[Store]:
    """Prepare the cluster under a prefix of its own, and remove all that was made under it."""
    prefix = f"t{uuid.uuid4().hex[:10]}"
    try:
        apply_setup(es, plan_setup(es, replace(layout or Layout(replicas=0), prefix=prefix)))
        yield open_store(es, prefix)
    finally:
        remove(es, prefix)


def remove(es: Elasticsearch, prefix: str) -> None:
    """Remove all that was made under a prefix: indices first, then templates."""
    quiet = es.options(ignore_status=404)
    for index in es.indices.get(index=f"{prefix}-*", expand_wildcards="all"):
        quiet.indices.delete(index=index)
    kinds = ("access", "connection", "health-check", "dead-letter", "ledger")
    for kind in kinds:
        quiet.indices.delete_index_template(name=f"{prefix}-{kind}")
    for name in ("settings", *(f"mappings-{kind}" for kind in kinds)):
        quiet.cluster.delete_component_template(name=f"{prefix}-{name}")


def ingest(store: Store, data: bytes, options: Options | None = None) -> Outcome:
    """Ingest these bytes as a local file."""
    return ingest_stream(io.BytesIO(data), "these.log", store=store, options=options or Options())


def index_of(store: Store, day: str, kind: Kind = Kind.ACCESS) -> str:
    """Return the index of a day."""
    return f"{store.prefix}-{kind}-{day.replace('-', '.')}"


def documents_in(
    es: Elasticsearch, index: str, query: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the documents of an index by id."""
    es.indices.refresh(index=index, ignore_unavailable=True)
    found = es.search(index=index, query=query, size=10_000, ignore_unavailable=True)
    return {hit["_id"]: hit["_source"] for hit in found["hits"]["hits"]}


def letters_of(es: Elasticsearch, store: Store, lines: list[bytes]) -> dict[str, Any]:
    """Return the dead letters of these lines by id."""
    query = {"ids": {"values": [line_id(line) for line in lines]}}
    return documents_in(es, store.dead_letters, query)
