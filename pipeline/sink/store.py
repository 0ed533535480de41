"""
Hold what ingestion needs to know of a prepared cluster, and let no line into any other.

One early line would give its day's index a dynamic mapping that no later template mends. So on
first sight of an index its mapping must carry the mark that `setup`'s templates put there; a
missing index is created empty, and so gets it.
"""

import math
import time
from dataclasses import dataclass, field
from typing import Any

from elasticsearch import BadRequestError, Elasticsearch, NotFoundError

from pipeline.alb.document import Period
from pipeline.errors import ConfigError, SinkUnavailableError
from pipeline.sink.refusals import elasticsearch_errors, is_foreign

SCHEMA = 1
"""Raised only where documents of the former schema no longer fit the indices."""

JSON = {"accept": "application/json", "content-type": "application/json"}
"""The headers of a JSON request."""

_RUN_SETUP = "run `alb-logs setup`"
_REQUEST_SECONDS = 10.0
_REQUESTS = 3  # to prepare an index, at most


@dataclass(slots=True)
class Store:
    """A prepared cluster: how its indices are named, and which of them were looked at."""

    es: Elasticsearch
    prefix: str
    period: Period
    prepared: set[str] = field(default_factory=set)

    @property
    def dead_letters(self) -> str:
        """Give the index of the lines that could not be indexed."""
        return f"{self.prefix}-dead-letter"

    def admit(self, indices: set[str], *, within: float = math.inf) -> None:
        """See to it, in so many seconds, that indices are prepared before anything is written."""
        end = time.monotonic() + within
        for index in sorted(indices - self.prepared):
            timeout = (end - time.monotonic()) / _REQUESTS
            if timeout <= 0:
                raise SinkUnavailableError("Elasticsearch did not tell in time which indices exist")
            with elasticsearch_errors():
                _prepare(self.es.options(request_timeout=min(_REQUEST_SECONDS, timeout)), index)
            self.prepared.add(index)


def open_store(es: Elasticsearch, prefix: str) -> Store:
    """Give the cluster as `setup` left it; ConfigError where it was never run."""
    with elasticsearch_errors():
        meta = index_meta(es, f"{prefix}-dead-letter")
    if not meta:
        raise ConfigError(
            f"this cluster is not prepared for the prefix {prefix!r}: {_RUN_SETUP} with the same "
            "ALB_LOGS_INDEX_PREFIX"
        )
    return Store(es, prefix, Period(meta.get("period", Period.DAY)))


def _prepare(es: Elasticsearch, index: str) -> None:
    meta = index_meta(es, index)
    if meta is None:
        _create(es, index)
        meta = index_meta(es, index)
    if meta is None or meta.get("schema") != SCHEMA:
        raise ConfigError(
            f"the index {index} was not made from this version's templates, so its mapping is not "
            f"ours: {_RUN_SETUP}, then reindex or delete {index}"
        )


def index_meta(es: Elasticsearch, index: str) -> dict[str, Any] | None:
    """Give our `_meta` of an index: None where the index is missing, {} where it is not ours."""
    try:
        answer = es.perform_request("GET", f"/{index}/_mapping", headers=JSON).body
    except NotFoundError as error:
        if is_foreign(error):
            raise
        return None
    # An alias gives the indices behind it; none of ours is one.
    mapping = answer.get(index, {}).get("mappings", {})
    meta: dict[str, Any] = mapping.get("_meta", {}).get("alb_logs", {})
    return meta


def _create(es: Elasticsearch, index: str) -> None:
    try:
        es.perform_request("PUT", f"/{index}", headers=JSON)
    except BadRequestError as error:
        if error.error != "resource_already_exists_exception":  # another process was first
            raise
