"""Prepare a real Elasticsearch under a prefix of the run's own, and clean it up at the end."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from elasticsearch import Elasticsearch

from devstack.elasticsearch import start_elasticsearch
from pipeline.cluster.templates import Layout, Plan, apply_setup, plan_setup
from pipeline.config import Config
from pipeline.sink.bulk import HEADERS
from pipeline.sink.requests import JSON
from pipeline.sink.store import Store, open_store

PATIENCE = 120.0
"""Seconds: a busy machine may be slow to make an index, which is not measured."""


@contextmanager
def elasticsearch_config() -> Iterator[Config]:
    """Yield the settings of the Elasticsearch in the environment, or else of one started here."""
    config = Config.from_env()
    if config.es_url or config.es_cloud_id:
        yield config
        return
    with start_elasticsearch() as server:
        yield replace(config, es_url=(server.url,))


def new_prefix() -> str:
    """Return a prefix of this run's own, for everything that it makes in a cluster."""
    return f"bench-{secrets.token_hex(4)}"


@contextmanager
def own_store(es: Elasticsearch) -> Iterator[Store]:
    """Yield a cluster that `setup` has prepared under a prefix of this run."""
    prefix = new_prefix()
    plan = plan_setup(es, Layout(prefix=prefix, replicas=0))
    try:
        apply_setup(es, plan)
        yield open_store(es, prefix)
    finally:
        _remove(es, prefix, plan)


def _remove(es: Elasticsearch, prefix: str, plan: Plan) -> None:
    for index in es.indices.get(index=f"{prefix}-*"):
        remove_index(es, index)
    for part in reversed(plan.parts):  # a part that names another is deleted first
        es.options(ignore_status=404).perform_request("DELETE", part.path, headers=JSON)


def remove_index(es: Elasticsearch, index: str) -> None:
    """Delete an index if it exists."""
    es.options(ignore_status=404).indices.delete(index=index)


def post_bodies(es: Elasticsearch, index: str, bodies: list[bytes], connections: int) -> None:
    """Send ready bulk bodies as fast as the server takes them."""
    path, asked = f"/{index}/_bulk", {"filter_path": "errors"}

    def post(body: bytes) -> None:
        answer = es.perform_request("POST", path, params=asked, headers=HEADERS, body=body)
        if answer.body["errors"]:
            raise RuntimeError("Elasticsearch refused documents of the benchmark")

    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(post, bodies))


def bytes_per_document(es: Elasticsearch, index: str) -> float:
    """Return the bytes on disk of one document, after merging to one segment."""
    es.indices.forcemerge(index=index, max_num_segments=1)
    es.indices.flush(index=index, force=True, wait_if_ongoing=True)
    total = es.indices.stats(index=index, metric=["store", "docs"])["_all"]["primaries"]
    return float(total["store"]["size_in_bytes"]) / int(total["docs"]["count"])
