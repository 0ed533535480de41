"""
Measure what each field costs the server, by leaving one group of fields out at a time.

    python -m bench.fields   # about nine minutes

A group's fields are left out of the mapping and of the documents; what is missing then is what they
cost. Contenders take turns on one server, each into a new index. The time is CPU time of the
server, from the first bulk request to the end of merging to one segment, so what else runs on the
machine counts little; nothing else should use the server. Bytes are those on disk after merging.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import mean, median, quantiles
from typing import Any, NamedTuple

import orjson
from elasticsearch import Elasticsearch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench.cluster import (
    PATIENCE,
    bytes_per_document,
    elasticsearch_config,
    new_prefix,
    post_bodies,
    remove_index,
)
from bench.groups import GROUPS, Group
from bench.machine import describe_elasticsearch, describe_machine
from bench.sample import Traffic, bench_context
from bench.timing import results_in_turns
from pipeline.alb.fields import CONSTANT, Kind, fields_of
from pipeline.clients.elasticsearch import make_elasticsearch
from pipeline.cluster.mapping import mapping_of
from pipeline.cluster.templates import Layout, all_parts
from pipeline.ingest import Options
from pipeline.sink.encoding import bulk_body, create_action, encode_chunk
from pipeline.sink.requests import JSON

_WIDTH = 150
_BATCH = 2_000
"""Documents of one bulk request: about the 2 MB that ingestion sends."""

_OFTEN = 3
"""Groups between two turns with all fields: few, for a machine's speed changes within seconds."""


class Cost(NamedTuple):
    """What one document costs."""

    micros: float
    size: float


@dataclass(frozen=True, slots=True)
class Stored:
    """The bytes per document of a field's index and of its doc values."""

    index: float = 0
    doc_values: float = 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every group of fields and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.fields", description=__doc__)
    parser.add_argument("--documents", type=int, default=20_000, help="in each index")
    parser.add_argument("--rounds", type=int, default=4, help="at least two")
    given = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    with console.status("Indexing"), elasticsearch_config() as config:
        es = make_elasticsearch(config).options(request_timeout=PATIENCE)
        about = describe_machine() | describe_elasticsearch(es)
        table = measure_fields(es, GROUPS, given.documents, given.rounds)
    for name, value in about.items():
        console.print(f"{name}: {value}", highlight=False, markup=False)
    console.print(table)


def measure_fields(
    es: Elasticsearch, groups: Sequence[Group], documents: int, rounds: int
) -> Table:
    """Index the same documents without each group in turn, and return the table of costs."""
    index, traffic = _Index(es, f"{new_prefix()}-fields"), Traffic()
    together = Group("all of these", tuple(name for each in groups for name in each.fields), "")
    groups = (*groups, together)
    contenders: dict[str, Callable[[list[_Document]], Cost]] = {
        name: partial(index.cost, left_out) for name, left_out in _contenders(groups)
    }
    costs = results_in_turns(contenders, rounds, lambda: _documents(traffic, documents))
    stored = index.stored(_documents(traffic, documents))
    return _table(groups, costs, stored)


def _contenders(groups: Sequence[Group]) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield names and what is left out, with a turn of all fields before and after every few."""
    for at, group in enumerate(groups):
        if at % _OFTEN == 0:
            yield _whole(at), ()
        yield group.name, group.fields
    yield _whole(len(groups) + _OFTEN - 1), ()


def _whole(at: int) -> str:
    """Return the name of the turn of all fields that comes before the group at this position."""
    return f"{_WHOLE} {at // _OFTEN}"


_WHOLE = "all fields"


# --- what is sent --------------------------------------------------------------------------------


class _Document(NamedTuple):
    id: str
    source: dict[str, Any]


def _documents(traffic: Traffic, count: int) -> list[_Document]:
    chunks, context = traffic.take(count).read(), bench_context("bench")
    actions = (action for chunk in chunks for action in encode_chunk(chunk, context).actions)
    return [_Document(each.id, orjson.loads(each.source)) for each in actions]


def _bodies(index: str, documents: list[_Document], left_out: Sequence[str]) -> list[bytes]:
    paths = [name.split(".") for name in left_out]
    actions = [
        create_action(each.id, index, orjson.dumps(_without(each.source, paths)))
        for each in documents
    ]
    return [bulk_body(actions[at : at + _BATCH]) for at in range(0, len(actions), _BATCH)]


def _without(source: dict[str, Any], paths: list[list[str]]) -> dict[str, Any]:
    for path in paths:
        source = _without_one(source, *path)
    return source


def _without_one(source: dict[str, Any], name: str, *below: str) -> dict[str, Any]:
    """Return a document without a field, and without objects that are empty then."""
    if name not in source:
        return source
    kept = _without_one(source[name], *below) if below else None
    others = {other: value for other, value in source.items() if other != name}
    return others | {name: kept} if kept else others


# --- how it is sent ------------------------------------------------------------------------------


class _Index(NamedTuple):
    """An index that is made again for every turn."""

    es: Elasticsearch
    name: str

    def cost(self, left_out: Sequence[str], documents: list[_Document]) -> Cost:
        """Index documents without some fields, and return what one costs."""
        bodies = _bodies(self.name, documents, left_out)
        with self._made_without(left_out):
            began = _server_seconds(self.es)
            size = self._fill(bodies)
            return Cost((_server_seconds(self.es) - began) / len(documents) * 1e6, size)

    def stored(self, documents: list[_Document]) -> dict[str, Stored]:
        """Index whole documents, and return what each field's index and doc values take."""
        with self._made_without(()):
            self._fill(_bodies(self.name, documents, ()))
            path = f"/{self.name}/_disk_usage?run_expensive_tasks=true"
            fields = self.es.perform_request("POST", path, headers=JSON).body[self.name]["fields"]
        return {name: _stored(used, len(documents)) for name, used in fields.items()}

    @contextmanager
    def _made_without(self, left_out: Sequence[str]) -> Iterator[None]:
        """Make the index as our templates do, without some fields, and remove it."""
        fields = [each for each in fields_of(Kind.ACCESS) if each.name not in left_out]
        mapping = mapping_of(each for each in fields if each not in CONSTANT)
        try:
            self.es.indices.create(index=self.name, settings=_settings(), mappings=mapping)
            yield
        finally:
            remove_index(self.es, self.name)

    def _fill(self, bodies: list[bytes]) -> float:
        """Send the bodies and merge to one segment; return the bytes of a document."""
        post_bodies(self.es, self.name, bodies, Options().connections)
        return bytes_per_document(self.es, self.name)


def _settings() -> dict[str, Any]:
    """Return the settings of our templates, without what not every cluster has."""
    parts = all_parts(Layout(replicas=0), ("lifecycle", "enrichment", "constants"))
    settings: dict[str, Any] = next(parts).body["template"]["settings"]
    return settings


def _server_seconds(es: Elasticsearch) -> float:
    """Return the CPU seconds that the server has used, once it has looked at them again."""
    while True:
        nodes = es.perform_request("GET", "/_nodes/stats/process", headers=JSON).body["nodes"]
        looks = [(each["timestamp"], each["process"]) for each in nodes.values()]
        age = max(now - process["timestamp"] for now, process in looks)
        if age <= _FRESH:
            return sum(int(process["cpu"]["total_in_millis"]) for _, process in looks) / 1e3
        time.sleep(max(_LOOKS - age, 0) / 1e3 + 0.02)


_LOOKS = 1_000
"""Milliseconds between the looks that the server takes at its own CPU time."""

_FRESH = 5


def _stored(used: dict[str, Any], documents: int) -> Stored:
    index = used["inverted_index"]["total_in_bytes"] + used["points_in_bytes"]
    return Stored(index / documents, used["doc_values_in_bytes"] / documents)


# --- the table -----------------------------------------------------------------------------------


def _table(
    groups: Sequence[Group], costs: dict[str, list[Cost]], stored: dict[str, Stored]
) -> Table:
    table = Table(box=SIMPLE_HEAD, title="One document's cost, by field", title_justify="left")
    for heading in _HEADINGS:
        table.add_column(heading, justify="left" if heading in _TEXTS else "right")
    whole = [cost for name, of in costs.items() if name.startswith(_WHOLE) for cost in of]
    usual = median(cost.micros for cost in whole)
    table.add_row("(the whole document)", *_measured(whole))
    for at, group in enumerate(groups):
        turns = zip(costs[_whole(at)], costs[group.name], costs[_whole(at + _OFTEN)], strict=True)
        saved = [_saved(usual, *turn) for turn in turns]
        table.add_row(group.name, *_measured(saved), *_parts(group, stored), group.asked)
    return table


_HEADINGS = ("left out", "µs", "middle half", "bytes", "index", "doc values", "asked of it")
_TEXTS = {"left out", "asked of it"}


def _saved(usual: float, before: Cost, without: Cost, after: Cost) -> Cost:
    """Return what is saved, in a round, as a share of what the whole costs around that moment."""
    share = 1 - without.micros / mean((before.micros, after.micros))
    return Cost(share * usual, before.size - without.size)


def _measured(costs: Sequence[Cost]) -> tuple[str, ...]:
    micros = [cost.micros for cost in costs]
    low, middle, high = quantiles(micros, n=4, method="inclusive")
    return f"{middle:.1f}", f"{low:.1f} … {high:.1f}", f"{median(c.size for c in costs):.1f}"


def _parts(group: Group, stored: dict[str, Stored]) -> tuple[str, ...]:
    parts = [stored.get(name, Stored()) for name in group.fields]
    return f"{sum(p.index for p in parts):.1f}", f"{sum(p.doc_values for p in parts):.1f}"


if __name__ == "__main__":
    main()
