"""What `alb-logs setup` installs: made from the field table, whole, in an order that works."""

import json
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path
from typing import get_args

import pytest

from docs.generate.files import ROOT, generated_files
from pipeline.alb.document import Context, Period, index_name
from pipeline.alb.fields import FieldType, Kind
from pipeline.cluster.mapping import without_constants
from pipeline.cluster.templates import Layout, Part, all_parts
from pipeline.sink.store import SCHEMA
from tests.support.mappings import TEMPLATES, Json, leaves, mapping

MAPPINGS = (*(kind.value for kind in Kind), "dead-letter", "ledger")


# --- the files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text"), [pytest.param(*each, id=str(each[0])) for each in generated_files()]
)
def test_a_generated_file_is_up_to_date(path: Path, text: str) -> None:
    """What is checked in is what the field table gives; else run `make docs`."""
    assert text == (ROOT / path).read_text(encoding="utf-8")


def test_every_mapping_is_generated() -> None:
    """No mapping is written by hand."""
    assert {f"mappings-{name}.json" for name in MAPPINGS} == {
        path.name for path in TEMPLATES.glob("mappings-*.json")
    }
    assert {TEMPLATES / f"mappings-{name}.json" for name in MAPPINGS} <= {
        ROOT / path for path, _ in generated_files()
    }


def test_the_mark_is_the_one_that_ingestion_looks_for() -> None:
    """The schema in the generated mappings is the schema that the store asks for."""
    for path in TEMPLATES.glob("mappings-*.json"):
        mappings = json.loads(path.read_text())["template"]["mappings"]
        assert {"alb_logs": {"schema": SCHEMA}} == mappings["_meta"]


@pytest.mark.parametrize("name", MAPPINGS)
def test_a_mapping_is_explicit_and_of_core_types_only(name: str) -> None:
    """Nothing is mapped by guess, and no type is used that some distribution lacks."""
    found = mapping(name)
    core = {*get_args(FieldType), "alias"} - {"constant_keyword"}

    assert found["dynamic"] is False
    assert {"keyword", "long", "float", "date", "ip", "boolean", "geo_point", "alias"} == core
    bare = without_constants(found)
    assert {leaf["type"] for _, leaf in leaves(bare["properties"])} <= core
    assert {"constant_keyword"} >= {
        leaf["type"]
        for name, leaf in leaves(found["properties"])
        if (name, leaf) not in [*leaves(bare["properties"])]
    } - {"alias"}


@pytest.mark.parametrize("name", MAPPINGS)
def test_no_value_rejects_a_document(name: str) -> None:
    """A long text or an odd address is stored and not indexed: neither is refused."""
    for field, leaf in leaves(mapping(name)["properties"]):
        if leaf["type"] == "keyword" and (leaf.get("index", True) or leaf.get("doc_values", True)):
            assert leaf["ignore_above"] * 4 <= 32_766, field  # bytes that Lucene takes
        if leaf["type"] in {"ip", "geo_point"}:
            assert leaf["ignore_malformed"] is True, field


# --- the parts -----------------------------------------------------------------------------------

LAYOUT = Layout(prefix="shop", period=Period.MONTH, shards=3, replicas=2, retention_days=60)
POLICIES = {f"/_ilm/policy/shop{part}" for part in ("", "-dead-letter", "-ledger")}


def parts_of(layout: Layout = LAYOUT, lacks: tuple[str, ...] = ()) -> dict[str, Part]:
    """Return the parts by their path, in their order."""
    parts = list(all_parts(layout, lacks))
    assert len({part.path for part in parts}) == len(parts)
    return {part.path: part for part in parts}


def names_in(body: Json) -> Iterator[str]:
    """Yield the path of every part that a body names."""
    settings = body.get("template", {}).get("settings", {}).get("index", {})
    if "default_pipeline" in settings:
        yield f"/_ingest/pipeline/{settings['default_pipeline']}"
    if "lifecycle" in settings:
        yield f"/_ilm/policy/{settings['lifecycle']['name']}"
    for name in body.get("composed_of", []):
        yield f"/_component_template/{name}"


@pytest.mark.parametrize(
    "lacks", [(), ("lifecycle",), ("enrichment",), ("lifecycle", "enrichment")]
)
def test_what_is_named_is_installed_before(lacks: tuple[str, ...]) -> None:
    """Policy, pipeline and components come before what names them, and none of them is missing."""
    parts = parts_of(lacks=lacks)
    order = list(parts)

    named = {path: list(names_in(part.body)) for path, part in parts.items()}

    assert all(order.index(name) < order.index(path) for path in named for name in named[path])
    everything = set(chain.from_iterable(named.values()))
    assert (everything & POLICIES == POLICIES) == ("lifecycle" not in lacks)
    assert ("/_ingest/pipeline/shop-enrich" in everything) == ("enrichment" not in lacks)
    assert everything == {path for path in order if path.startswith("/_")} - {
        path for path in order if path.startswith("/_index_template/")
    }
    assert "/shop-dead-letter-000001" == order[-1]  # made from its own template


def test_parts_are_json() -> None:
    """Every part survives the way through JSON as it is."""
    for part in parts_of().values():
        assert part.body == json.loads(json.dumps(part.body))


@pytest.mark.parametrize("prefix", ["shop", "prod-alb-logs", "x"])
def test_the_prefix_is_everywhere(prefix: str) -> None:
    """No name of the shipped prefix is left in a part, nor in its address."""
    parts = parts_of(Layout(prefix=prefix))

    assert {
        f"/_ilm/policy/{prefix}",
        f"/_ilm/policy/{prefix}-dead-letter",
        f"/_ilm/policy/{prefix}-ledger",
        f"/_ingest/pipeline/{prefix}-enrich",
        f"/_component_template/{prefix}-settings",
        *(f"/_component_template/{prefix}-mappings-{name}" for name in MAPPINGS),
        *(f"/_index_template/{prefix}-{name}" for name in MAPPINGS),
        f"/{prefix}-dead-letter-000001",
    } == parts.keys()
    text = json.dumps([part.body for part in parts.values()])
    assert "alb-logs" not in text.replace(prefix, "")


def test_templates_win_over_the_built_in_ones() -> None:
    """Elastic's own templates have priority 500 at most; ours are all of 501."""
    templates = [part for path, part in parts_of().items() if path.startswith("/_index_template")]

    assert 5 == len(templates)
    assert [501] * 5 == [part.body["priority"] for part in templates]


def test_each_index_falls_under_one_pattern() -> None:
    """No kind's pattern takes an index of another kind, or the dead letters."""
    context = Context(latest="", prefix="shop")
    names = {kind.value: index_name(kind, "2026-09-17", context) for kind in Kind}
    names |= {"dead-letter": "shop-dead-letter-000001", "ledger": "shop-ledger-2026.11.01"}
    parts = parts_of()

    for own, index in names.items():
        assert [own] == [
            name
            for name in MAPPINGS
            for pattern in parts[f"/_index_template/shop-{name}"].body["index_patterns"]
            if fnmatchcase(index, pattern)
        ]


def test_each_template_has_its_own_mapping() -> None:
    """A kind's index gets the shared settings and the mapping of its kind."""
    parts = parts_of()

    for kind in Kind:
        body = parts[f"/_index_template/shop-{kind}"].body
        assert ["shop-settings", f"shop-mappings-{kind}"] == body["composed_of"]
    assert ["shop-mappings-dead-letter"] == (
        parts["/_index_template/shop-dead-letter"].body["composed_of"]
    )
    for name in MAPPINGS:
        body = parts[f"/_component_template/shop-mappings-{name}"].body
        assert mapping(name)["properties"] == body["template"]["mappings"]["properties"]


def test_the_layout_is_what_was_asked_for() -> None:
    """Shards, replicas, retention and period stand where Elasticsearch and setup look for them."""
    parts = parts_of()

    settings = parts["/_component_template/shop-settings"].body["template"]["settings"]["index"]
    assert (3, 2) == (settings["number_of_shards"], settings["number_of_replicas"])
    assert {"name": "shop", "parse_origination_date": True} == settings["lifecycle"]
    phases = parts["/_ilm/policy/shop"].body["policy"]["phases"]
    assert {"hot", "delete"} == phases.keys()  # nothing that would refuse a late line
    assert {} == phases["hot"]["actions"]
    assert "60d" == phases["delete"]["min_age"]
    letters = parts["/_index_template/shop-dead-letter"].body["template"]["settings"]["index"]
    assert 2 == letters["number_of_replicas"]
    mark = parts["/_index_template/shop-access"].body["_meta"]["alb_logs"]
    assert {"schema": SCHEMA, "period": "month", "shards": 3, "replicas": 2} == {
        name: value for name, value in mark.items() if name != "digest"
    }


@pytest.mark.parametrize(("days", "rollover"), [(30, 7), (400, 7), (7, 7), (3, 3), (1, 1)])
def test_dead_letters_are_deleted_after_their_own_days(days: int, rollover: int) -> None:
    """Their alias gets a new index each week, or sooner; an old one is deleted after the days."""
    parts = parts_of(replace(LAYOUT, letter_retention_days=days))
    policy = parts["/_ilm/policy/shop-dead-letter"].body["policy"]["phases"]
    template = parts["/_index_template/shop-dead-letter"].body
    letters = parts["/shop-dead-letter-000001"].body

    assert {"hot", "delete"} == policy.keys()
    assert (f"{rollover}d", f"{days}d") == (
        policy["hot"]["actions"]["rollover"]["max_age"],
        policy["delete"]["min_age"],
    )
    assert {"name": "shop-dead-letter", "rollover_alias": "shop-dead-letter"} == (
        template["template"]["settings"]["index"]["lifecycle"]
    )
    assert {"shop-dead-letter": {"is_write_index": True}} == letters["aliases"]


def test_the_ledger_is_kept_longer_than_what_it_is_of() -> None:
    """An index of it covers a month, and counts from its first day: the last needs as long."""
    parts = parts_of()
    template = parts["/_index_template/shop-ledger"].body["template"]
    policy = parts["/_ilm/policy/shop-ledger"].body["policy"]["phases"]

    assert {"shop-ledger": {}} == template["aliases"]
    index = template["settings"]["index"]
    assert {"name": "shop-ledger", "parse_origination_date": True} == index["lifecycle"]
    assert 2 == index["number_of_replicas"]
    assert f"{60 + 32}d" == policy["delete"]["min_age"]


def test_no_dead_letter_makes_an_index_by_the_name_of_the_alias() -> None:
    """Where someone deleted the alias, a dead letter is refused and `setup` can make it again."""
    template = parts_of()["/_index_template/shop-dead-letter"].body

    assert template["allow_auto_create"] is False
    assert "shop-dead-letter" in template["index_patterns"]


def mark_of(part: Part) -> Json:
    """Return our mark of a part, wherever its API keeps it."""
    body = part.body.get("policy") or part.body.get("mappings") or part.body
    found: Json = body["_meta"]["alb_logs"]
    return found


def test_every_part_has_its_mark() -> None:
    """By schema and digest each part is known again; no two parts share a digest."""
    marks = [mark_of(part) for part in parts_of().values()]

    assert {SCHEMA} == {mark["schema"] for mark in marks}
    assert len(marks) == len({mark["digest"] for mark in marks})


SETTINGS = "/_component_template/shop-settings"
INDEX_TEMPLATES = {f"/_index_template/shop-{name}" for name in MAPPINGS}
WITH_PERIOD = {f"/_component_template/shop-mappings-{name}" for name in MAPPINGS} | {
    "/shop-dead-letter-000001"
}
WITH_RETENTION = {
    "/_ilm/policy/shop",
    "/_ilm/policy/shop-ledger",
    "/_component_template/shop-mappings-dead-letter",  # whoever works with the cluster looks there
    "/shop-dead-letter-000001",
}


@pytest.mark.parametrize(
    ("changed", "touched"),
    [
        pytest.param({}, set(), id="nothing"),
        pytest.param({"retention_days": 31}, WITH_RETENTION, id="retention"),
        pytest.param(
            {"letter_retention_days": 31},
            {"/_ilm/policy/shop-dead-letter"},
            id="retention of dead letters",
        ),
        pytest.param({"replicas": 3}, {SETTINGS, *INDEX_TEMPLATES}, id="replicas"),
        pytest.param({"shards": 4}, {SETTINGS, *INDEX_TEMPLATES}, id="shards"),
        pytest.param({"period": Period.DAY}, INDEX_TEMPLATES | WITH_PERIOD, id="period"),
    ],
)
def test_a_digest_changes_with_its_part(changed: Json, touched: set[str]) -> None:
    """What an option changes has another digest, and nothing else has."""
    before = parts_of()
    after = parts_of(replace(LAYOUT, **changed))

    assert touched == {path for path in before if mark_of(before[path]) != mark_of(after[path])}
    assert touched == {path for path in before if before[path] != after[path]}


def test_what_a_cluster_lacks_is_left_out() -> None:
    """Without lifecycle or processors no part names them, and the rest stays as it was."""
    whole, bare = parts_of(), parts_of(lacks=("lifecycle", "enrichment"))

    assert whole.keys() - bare.keys() == POLICIES | {"/_ingest/pipeline/shop-enrich"}
    text = json.dumps([part.body for part in bare.values()])
    assert "pipeline" not in text.replace("pipeline_version", "")
    assert "lifecycle" not in text


def test_enrichment_never_fails_a_document() -> None:
    """Each processor passes over what is missing and what fails."""
    pipeline = parts_of()["/_ingest/pipeline/shop-enrich"].body

    options = [each for processor in pipeline["processors"] for each in processor.values()]
    assert 5 == len(options)
    assert all(each["ignore_failure"] and each["ignore_missing"] for each in options)
