"""
What the processes of a backfill ingest with when they are measured: all is as in the product.

Only the addresses come from the benchmark. Where the sink is to take no time, bulk requests and
ledger entries are answered within the process. After each object its processor time and the peak
of the process's memory are told by a line in the log, which comes to the parent with the outcome.
"""

import json
import logging
import os
import re
import time
from dataclasses import dataclass, replace
from typing import Any

from elastic_transport import ApiResponseMeta, BaseNode, HttpHeaders, TransportApiResponse

from bench.large import peak_bytes
from devstack.aws import environment
from pipeline.config import Config
from pipeline.jobs.workers import Work
from pipeline.outcome import Outcome
from pipeline.source.objects import ObjectRef
from pipeline.wiring import Pipeline, open_pipeline

_logger = logging.getLogger("pipeline.bench")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the objects are and where the documents go; to nowhere, if the sink is `instant`."""

    s3: str
    es: tuple[str, ...]
    prefix: str
    instant: bool


def open_measured(addresses: Addresses, work: Work) -> "Measured":
    """Open what a process ingests with."""
    os.environ.update(environment(addresses.s3))  # noqa: TID251  boto3 reads it
    config = replace(
        Config.from_env(), index_prefix=addresses.prefix, es_connections=work.connections
    )
    config = replace(config, es_url=addresses.es) if addresses.es else config
    pipeline = open_pipeline(config, route=work.route)
    if addresses.instant:
        for node in pipeline.store.es.transport.node_pool.all():
            _answer_at_once(node)
    return Measured(pipeline)


class Measured:
    """Ingest, and tell what it took."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def ingest(self, ref: ObjectRef) -> Outcome:
        """Ingest one object."""
        began = time.process_time()
        outcome = self._pipeline.ingest(ref)
        told = {"cpu": time.process_time() - began, "peak": peak_bytes()}
        _logger.warning("%s", json.dumps(told))
        return outcome


_HEADERS = HttpHeaders({"content-type": "application/json", "x-elastic-product": "Elasticsearch"})
_ID = re.compile(rb'^\{"create":\{[^}]*"_id":"([^"]*)"', re.MULTILINE)


def _answer_at_once(node: BaseNode) -> None:
    """Answer what is written in the server's place; everything else goes to the server."""
    perform = node.perform_request

    def answer(method: str, target: str, body: bytes | None = None, **options: Any) -> Any:  # noqa: ANN401  as they come
        if target.startswith("/_bulk"):
            said = b",".join(
                b'{"create":{"_id":"%b","status":201}}' % each for each in _ID.findall(body or b"")
            )
            said = b'{"errors":false,"items":[%b]}' % said
        elif method == "PUT" and "/_doc/" in target:
            said = b'{"result":"created"}'
        else:
            return perform(method, target, body, **options)
        return TransportApiResponse(ApiResponseMeta(200, "1.1", _HEADERS, 0.0, node.config), said)

    node.perform_request = answer  # type: ignore[method-assign, assignment]
