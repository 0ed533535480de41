"""
Run the parent's part of a backfill over so many objects, and print the peak of its memory in bytes.

    python -m tests.support.backfill_process OBJECTS

The listing is made up, the ledger knows nothing, and the process that ingests only counts.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elastic_transport import ApiResponseMeta, HttpHeaders, TransportApiResponse
from elasticsearch import Elasticsearch

from pipeline.alb.document import Period
from pipeline.cli.range_run import RangeRun
from pipeline.cli.screen import Screen
from pipeline.jobs.backfill import Selection
from pipeline.jobs.selecting import Choice, Survey, survey, with_entries
from pipeline.jobs.workers import Work, Workers
from pipeline.sink.store import Store
from pipeline.source.objects import ObjectRef
from tests.support.workers import obeying, ref_at

HEADERS = HttpHeaders({"content-type": "application/json", "x-elastic-product": "Elasticsearch"})


def empty_cluster() -> Elasticsearch:
    """Return the client of a cluster that has no document."""
    es = Elasticsearch("http://127.0.0.1:1")
    for node in es.transport.node_pool.all():

        def answered(*_: object, body: bytes, **_options: Any) -> TransportApiResponse:  # noqa: ANN401
            docs = [{"found": False} for _ in json.loads(body)["docs"]]
            meta = ApiResponseMeta(200, "1.1", HEADERS, 0.0, node.config)  # noqa: B023  the only one
            return TransportApiResponse(meta, json.dumps({"docs": docs}).encode())

        node.perform_request = answered  # type: ignore[method-assign, assignment]
    return es


def main() -> None:
    """Run, and print the peak."""
    number = int(sys.argv[1])

    def listed() -> Iterator[ObjectRef]:
        return (ref_at(at) for at in range(number))

    selection = Selection(listed, Choice.OPEN, Store(empty_cluster(), "none", Period.DAY))
    found = Survey()
    survey(with_entries(listed(), selection.store), Choice.OPEN, found)
    code = RangeRun(Screen(), found, as_json=True).go(
        selection, Workers(1, Work("backfill", 1), obeying)
    )
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    print(json.dumps({"code": code, "peak": int(peak) * 1024}))  # noqa: T201


if __name__ == "__main__":
    main()
