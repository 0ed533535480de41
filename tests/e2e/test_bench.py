"""The benchmark runs as a whole, says what it promises to say, and leaves nothing behind."""

import io
import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from rich.console import Console

import bench
from bench.fields import measure_fields
from bench.groups import GROUPS
from bench.report import Figure, Goal, Report, print_report
from bench.sample import Traffic
from bench.timing import in_turns
from pipeline.alb.fields import CONSTANT, ENRICHED, ERASED, PROVENANCE, Kind, fields_of

ROOT = Path(__file__).resolve().parents[2]
FIGURES = {
    "encode_speed": ("x", 7, None),
    "encode_speed_match": ("x", None, None),
    "encode_cost": ("x", None, 7),
    "encode_redacted": ("x", None, 1.3),
    "encode_filtered": ("x", None, 1.1),
    "encode_recipe": ("x", None, None),
    "end_to_end": ("%", 75, None),
    "landed_speed": ("x", 1.3, None),
    "dynamic_speed": ("x", 4, None),
    "landed_size": ("%", None, 90),
    "dynamic_size": ("%", None, 36),
    "backfill": ("%", 75, None),
    "workers_speed": ("x", 1.9, None),
    "workers_cost": ("x", None, 1.1),
    "workers_parent": ("%", None, 2),
    "workers_growth": ("MB", None, 10),
    "memory_small": ("MB", None, 200),
    "memory": ("MB", None, 200),
    "memory_growth": ("MB", None, 10),
}
TRAFFIC = {"line_bytes", "v6", "encoded", "agents", "urls", "traces"}
SPLIT = ["read", "match", "encode", "hash", "assemble", "whole"]


def ours_in(es: Elasticsearch) -> set[str]:
    """Return the names of all that a benchmark makes in a cluster."""
    templates = es.indices.get_index_template()["index_templates"]
    components = es.cluster.get_component_template()["component_templates"]
    names = {*es.indices.get(index="*"), *(each["name"] for each in [*templates, *components])}
    return {name for name in names if name.startswith("bench-")}


@pytest.mark.server
def test_bench_measures_all_its_figures(
    es: Elasticsearch, elasticsearch_url: str, tmp_path: Path
) -> None:
    """One run prints every figure with its goal, in the table and in JSON, and cleans up."""
    before = ours_in(es)

    run = subprocess.run(
        [sys.executable, "-m", "bench", "--tiny", "--json", tmp_path / "figures.json"],
        cwd=ROOT,
        env=os.environ | {"ALB_LOGS_ES_URL": elasticsearch_url},  # noqa: TID251
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    report = json.loads((tmp_path / "figures.json").read_text())
    assert {"CPU", "Python", "packages", "Elasticsearch", "took"} == set(report["machine"])
    assert "cores" in report["machine"]["CPU"]
    assert "8." in report["machine"]["Elasticsearch"]
    assert FIGURES == {each["key"]: promise(each) for each in report["figures"]}
    assert TRAFFIC == {each["key"] for each in report["traffic"]}
    assert SPLIT == [each["key"] for each in report["split"]]
    everything = [*report["figures"], *report["traffic"], *report["split"]]
    assert all(math.isfinite(each["value"]) for each in everything)
    assert all(each["name"].split()[0] in run.stdout for each in everything)
    assert before == ours_in(es)


def promise(figure: dict[str, Any]) -> tuple[str, float | None, float | None]:
    """Return a figure's unit and the bounds of its goal."""
    goal = figure["goal"] or {"at_least": None, "at_most": None}
    return figure["unit"], goal["at_least"], goal["at_most"]


@pytest.mark.parametrize(
    ("goal", "value", "reached"),
    [
        pytest.param(Goal(7), 7.0, True, id="just enough"),
        pytest.param(Goal(7), 6.99, False, id="too little"),
        pytest.param(Goal(at_most=36), 36.0, True, id="just not too much"),
        pytest.param(Goal(at_most=36), 36.1, False, id="too much"),
        pytest.param(Goal(5, 10), 11, False, id="above both"),
        pytest.param(Goal(5, 10), 7, True, id="between"),
        pytest.param(None, 1, None, id="no goal"),
    ],
)
def test_goal_is_reached_within_its_bounds(
    goal: Goal | None, value: float, reached: object
) -> None:
    """A bound itself is reached; without a goal there is nothing to reach."""
    assert Figure("key", "name", value, "x", goal).reached is reached


def test_missed_goal_is_shown() -> None:
    """The table shows which goal is missed."""
    figure = Figure("key", "speed", 8.0, "x", Goal(7))
    told = [printed(replace(figure, value=value)) for value in (8.0, 6.0)]

    assert ["missed" in text for text in told] == [False, True]
    assert ["reached" in text for text in told] == [True, False]
    assert all("≥ 7 x" in text for text in told)


def printed(figure: Figure) -> str:
    """Return what is printed for a figure."""
    console = Console(file=io.StringIO(), width=120)
    print_report(Report(figures=[figure]), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_module_is_introduced() -> None:
    """The package says what each of its modules is for."""
    told = re.findall(r"^    ([a-z]+) {2,}", bench.__doc__ or "", re.MULTILINE)

    modules = {path.stem for path in (ROOT / "bench").glob("*.py")}
    assert sorted(told) == sorted(modules - {"__init__", "__main__"})


def test_contenders_take_turns() -> None:
    """Each goes once a round, after a first round that does not count, and medians are compared."""
    order: list[str] = []
    took = {"a": iter([90.0, 1.0, 2.0, 9.0]), "b": iter([0.1, 4.0, 4.0, 3.0])}
    turns = iter(range(10))

    def go(name: str, turn: int) -> float:
        order.append(f"{name}{turn}")
        return next(took[name])

    contenders = {"a": lambda turn: go("a", turn), "b": lambda turn: go("b", turn)}
    times = in_turns(contenders, 3, lambda: next(turns))

    assert order == ["a0", "b0", "a1", "b1", "a2", "b2", "a3", "b3"]
    assert times.ratio("b", "a") == 4.0 / 2.0
    assert times.spread("b", "a") == (3.0 / 9.0, 4.0 / 1.0)


def test_traffic_is_as_varied_as_promised() -> None:
    """The lines that are measured differ as much as real ones: no goal of theirs is missed."""
    traffic = Traffic()

    samples = [traffic.take(4_000) for _ in range(2)]

    told = {each.key: each for each in traffic.describe()}
    assert [each.key for each in told.values() if each.reached is False] == []
    lines = samples[0].lines + samples[1].lines
    assert told["urls"].value == 100 * len({line.split(b'"')[1].split()[1] for line in lines}) / 8e3
    assert len(set(lines)) == 8_000


@pytest.mark.server
def test_fields_are_measured_by_leaving_them_out(es: Elasticsearch) -> None:
    """Each group of fields has its cost, an index that lacks a field is smaller, none stays."""
    before = ours_in(es)

    table = measure_fields(es, GROUPS[:1] + GROUPS[-1:], documents=200, rounds=2)

    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    names = [row[0] for row in rows]
    assert names == ["(the whole document)", "load balancer", "what few lines have", "all of these"]
    assert all(float(row[3]) > 0 for row in rows)
    assert before == ours_in(es)


def test_every_field_is_in_one_group() -> None:
    """No field of an access log document goes unmeasured but the time, by which it is sorted."""
    grouped = [name for group in GROUPS for name in group.fields]
    never = {*PROVENANCE, *CONSTANT, *ENRICHED[Kind.ACCESS]}
    stored = {each.name for each in fields_of(Kind.ACCESS) if each not in never}

    assert sorted(grouped) == sorted(stored - {"@timestamp", "event.original", ERASED.name})
