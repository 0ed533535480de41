"""A store whose ledger holds what a test says, without a server."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from elastic_transport import ApiResponseMeta, HttpHeaders, TransportApiResponse
from elasticsearch import Elasticsearch

from pipeline.alb.document import Period
from pipeline.jobs.selecting import version_of
from pipeline.sink.ledger import COUNTED, Entry, State
from pipeline.sink.store import Store
from pipeline.source.objects import ObjectRef

Entries = Mapping[str, Mapping[str, Any]]
"""The documents of a ledger, by id; it may change meanwhile."""

_HEADERS = HttpHeaders({"content-type": "application/json", "x-elastic-product": "Elasticsearch"})


def store_of(entries: Entries) -> Store:
    """Return a store whose ledger holds these entries."""
    es = Elasticsearch("http://127.0.0.1:1")
    (node,) = es.transport.node_pool.all()

    def answered(*_: object, body: bytes, **_options: object) -> TransportApiResponse:
        ids = [each["_id"] for each in json.loads(body)["docs"]]
        docs = [{"found": id_ in entries, "_source": entries.get(id_)} for id_ in ids]
        meta = ApiResponseMeta(200, "1.1", _HEADERS, 0.0, node.config)
        return TransportApiResponse(meta, json.dumps({"docs": docs}).encode())

    node.perform_request = answered  # type: ignore[method-assign, assignment]
    return Store(es, "none", Period.DAY)


def entry(
    ref: ObjectRef, state: State = State.COMPLETE, error: tuple[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """Return the entry of an object by its id."""
    version = version_of(ref)
    assert version
    told = Entry(state, dict.fromkeys(COUNTED, 0), 0, "lambda", error=error)
    return {version.id: told.document(version, datetime.now(UTC))}
