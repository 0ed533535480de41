"""
Ingest one file into a slow Elasticsearch and print this process's peak memory; run by `memory`.

    python -m bench.large PREFIX FILE [URL…]
"""

import json
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from elastic_transport import BaseNode
from elasticsearch import Elasticsearch

from bench.sample import bench_context
from pipeline.clients.elasticsearch import make_elasticsearch
from pipeline.config import Config
from pipeline.ingest import Ingestion, Options
from pipeline.sink.store import open_store
from pipeline.source.reading import read_stream

_DELAY = 0.15
"""Seconds: with two connections, longer than reading and encoding a chunk takes."""


def main() -> None:
    """Ingest the file, then print the peak in bytes and the share of time that was idle."""
    prefix, path, *urls = sys.argv[1:]
    store = open_store(_slow_client(urls), prefix)
    began, worked = time.perf_counter(), time.process_time()
    with Path(path).open("rb") as stream:
        chunks = read_stream(stream, name=path, chunk_bytes=Options().chunk_bytes)
        outcome = Ingestion(bench_context(prefix), store).run(chunks)
    if outcome.error:
        raise outcome.error
    busy = (time.process_time() - worked) / (time.perf_counter() - began)
    sys.stdout.write(json.dumps({"size": peak_bytes(), "idle": 1 - busy}))


def _slow_client(urls: list[str]) -> Elasticsearch:
    config = Config.from_env()
    client = make_elasticsearch(replace(config, es_url=tuple(urls)) if urls else config)
    for node in client.transport.node_pool.all():
        _slow_down(node)
    return client


def _slow_down(node: BaseNode) -> None:
    """Delay the reply to each bulk request; everything else is as in the product."""
    perform = node.perform_request

    def slowly(method: str, *request: Any, **options: Any) -> Any:  # noqa: ANN401  as they come
        reply = perform(method, *request, **options)
        if method == "POST":
            time.sleep(_DELAY)
        return reply

    node.perform_request = slowly  # type: ignore[method-assign]


def peak_bytes() -> int:
    """Return the peak since this program began; getrusage would include the parent's before it."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak) * 1024


if __name__ == "__main__":
    main()
