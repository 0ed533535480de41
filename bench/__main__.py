"""Run all measurements in one go and print them: `make bench`, or `python -m bench`."""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.cluster import PATIENCE, elasticsearch_config, own_store
from bench.concealing import compare_settings
from bench.indexing import compare_indexing
from bench.machine import describe_elasticsearch, describe_machine
from bench.memory import measure_memory
from bench.parsing import compare_parsers
from bench.report import Report, print_report
from bench.sample import Traffic
from bench.sizes import SIZES, Sizes
from bench.split import split_encoder
from bench.workers import compare_workers
from pipeline.clients.elasticsearch import make_elasticsearch


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure with the options of the command line; a missed goal is shown and is no error."""
    given = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    report = measure(SIZES[given.size], console)
    print_report(report, console)
    if given.json:
        given.json.write_text(json.dumps(report.as_dict(), indent=2) + "\n", encoding="utf-8")


_WIDTH = 130
"""Columns where the output is no terminal, so that each figure has one line."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    for name, about in _ABOUT.items():
        size.add_argument(f"--{name}", action="store_const", dest="size", const=name, help=about)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    parser.set_defaults(size="default")
    return parser


_ABOUT = {
    "tiny": "some seconds; shows that it runs, its figures mean nothing",
    "quick": "about two minutes; the figures vary more",
    "full": "objects of 1 and 4 GiB, instead of a quarter and 1; about a quarter of an hour",
}


def measure(sizes: Sizes, console: Console) -> Report:
    """Measure everything; CPU time first, before Elasticsearch is started."""
    began, traffic = time.monotonic(), Traffic()
    report = Report(machine=describe_machine())
    with console.status("Encoding") as status:
        report.figures += compare_parsers(traffic, sizes.parsed, sizes.parsing_rounds)
        report.figures += compare_settings(traffic, sizes.parsed, sizes.parsing_rounds)
        report.split += split_encoder(traffic, sizes.parsed, sizes.split_rounds)
        status.update("Starting Elasticsearch")
        with elasticsearch_config() as config:
            es = make_elasticsearch(config).options(request_timeout=PATIENCE)
            report.machine |= describe_elasticsearch(es)
            with own_store(es) as store:
                status.update("Indexing")
                report.figures += compare_indexing(
                    traffic, store, sizes.indexed, sizes.indexing_rounds
                )
                status.update("Ingesting by several processes")
                report.figures += compare_workers(traffic, store, config, sizes)
                status.update("Ingesting large objects")
                report.figures += measure_memory(traffic, store, config, sizes.objects)
    report.traffic += traffic.describe()
    report.machine["took"] = (
        f"{time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f} after"
    )
    return report


if __name__ == "__main__":
    main()
