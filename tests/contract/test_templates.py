"""What `alb-logs setup` installs: made from the field table, whole, in an order that works."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import pytest
from elasticsearch import Elasticsearch

from devstack.generate import META, ROOT, generated_files
from devstack.traffic import (
    bad_lines,
    connection_lines,
    health_check_lines,
    odd_lines,
    ordinary_lines,
)
from pipeline.alb.document import Context, Period, index_name
from pipeline.alb.fields import FieldType, Kind
from pipeline.cluster.templates import Layout, Part, all_parts
from pipeline.sink.bulk import Deadline, Replies, send_batch, send_items
from pipeline.sink.deadletters import write_dead_letters
from pipeline.sink.encoding import Batch, create_item, encode_chunk
from pipeline.sink.store import SCHEMA, Store
from pipeline.source.reading import Chunk, LongLine
from tests.conftest import remove

CASES = ROOT / "tests" / "data" / "alb"
TEMPLATES = ROOT / "index_templates"
START = datetime(2026, 9, 17, 12, 0, tzinfo=UTC)
MAPPINGS = (*(kind.value for kind in Kind), "dead-letter")

Json = dict[str, Any]


def mapping(name: str) -> Json:
    """Give a mapping as it is checked in."""
    loaded: Json = json.loads((TEMPLATES / f"mappings-{name}.json").read_text(encoding="utf-8"))
    found: Json = loaded["template"]["mappings"]
    return found


def leaves(properties: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Json]]:
    """Give every field of a mapping by its dotted name."""
    for name, each in properties.items():
        if "properties" in each:
            assert {"properties"} == each.keys()
            yield from leaves(each["properties"], (*path, name))
        else:
            yield ".".join((*path, name)), each


def strict(found: Json) -> Json:
    """Make a mapping, and every object in it, refuse what it does not know."""
    properties = {
        name: strict(each) if "properties" in each else each
        for name, each in found["properties"].items()
    }
    return {**found, "dynamic": "strict", "properties": properties}


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
    assert {"alb_logs": {"schema": SCHEMA}} == META


@pytest.mark.parametrize("name", MAPPINGS)
def test_a_mapping_is_explicit_and_of_core_types_only(name: str) -> None:
    """Nothing is mapped by guess, and no type is used that some distribution lacks."""
    found = mapping(name)
    core = {*get_args(FieldType), "alias"}

    assert found["dynamic"] is False
    assert {"keyword", "long", "float", "date", "ip", "boolean", "geo_point", "alias"} == core
    assert {leaf["type"] for _, leaf in leaves(found["properties"])} <= core


@pytest.mark.parametrize("name", MAPPINGS)
def test_no_value_rejects_a_document(name: str) -> None:
    """A long text is stored and not indexed, an odd address likewise: neither is refused."""
    for field, leaf in leaves(mapping(name)["properties"]):
        if leaf["type"] == "keyword" and (leaf.get("index", True) or leaf.get("doc_values", True)):
            assert leaf["ignore_above"] * 4 <= 32_766, field  # bytes that Lucene takes
        if leaf["type"] in {"ip", "geo_point"}:
            assert leaf["ignore_malformed"] is True, field


# --- the parts -----------------------------------------------------------------------------------

LAYOUT = Layout(prefix="shop", period=Period.MONTH, shards=3, replicas=2, retention_days=30)


def parts_of(layout: Layout = LAYOUT, lacks: tuple[str, ...] = ()) -> dict[str, Part]:
    """Give the parts by their path, in their order."""
    parts = list(all_parts(layout, lacks))
    assert len({part.path for part in parts}) == len(parts)
    return {part.path: part for part in parts}


def names_in(body: Json) -> Iterator[str]:
    """Give the path of every part that a body names."""
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
    """Policy, pipeline and components come before what names them, and none is named in vain."""
    parts = parts_of(lacks=lacks)
    order = list(parts)

    named = {path: list(names_in(part.body)) for path, part in parts.items()}

    assert all(order.index(name) < order.index(path) for path in named for name in named[path])
    everything = set(chain.from_iterable(named.values()))
    assert ("/_ilm/policy/shop" in everything) == ("lifecycle" not in lacks)
    assert ("/_ingest/pipeline/shop-enrich" in everything) == ("enrichment" not in lacks)
    assert everything == {path for path in order if path.startswith("/_")} - {
        path for path in order if path.startswith("/_index_template/")
    }
    assert "/shop-dead-letter" == order[-1]  # made from its own template


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
        f"/_ingest/pipeline/{prefix}-enrich",
        f"/_component_template/{prefix}-settings",
        *(f"/_component_template/{prefix}-mappings-{name}" for name in MAPPINGS),
        *(f"/_index_template/{prefix}-{name}" for name in MAPPINGS),
        f"/{prefix}-dead-letter",
    } == parts.keys()
    text = json.dumps([part.body for part in parts.values()])
    assert "alb-logs" not in text.replace(prefix, "")


def test_templates_win_over_the_built_in_ones() -> None:
    """Elastic's own templates have priority 500 at most; ours are all of 501."""
    templates = [part for path, part in parts_of().items() if path.startswith("/_index_template")]

    assert 4 == len(templates)
    assert [501] * 4 == [part.body["priority"] for part in templates]


def test_each_index_falls_under_one_pattern() -> None:
    """No kind's pattern takes an index of another kind, or the dead letters."""
    context = Context(latest="", prefix="shop")
    names = {kind.value: index_name(kind, "2026-09-17", context) for kind in Kind}
    names["dead-letter"] = "shop-dead-letter"
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
    assert "30d" == phases["delete"]["min_age"]
    letters = parts["/_index_template/shop-dead-letter"].body["template"]["settings"]["index"]
    assert 2 == letters["number_of_replicas"]
    assert "lifecycle" not in letters  # they stay until they are replayed
    mark = parts["/_index_template/shop-access"].body["_meta"]["alb_logs"]
    assert {"schema": SCHEMA, "period": "month", "shards": 3, "replicas": 2} == {
        name: value for name, value in mark.items() if name != "digest"
    }


def mark_of(part: Part) -> Json:
    """Give our mark of a part, wherever its API keeps it."""
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
    "/shop-dead-letter"
}


@pytest.mark.parametrize(
    ("changed", "touched"),
    [
        pytest.param({}, set(), id="nothing"),
        pytest.param({"retention_days": 31}, {"/_ilm/policy/shop"}, id="retention"),
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

    assert whole.keys() - bare.keys() == {"/_ilm/policy/shop", "/_ingest/pipeline/shop-enrich"}
    text = json.dumps([part.body for part in bare.values()])
    assert "pipeline" not in text.replace("pipeline_version", "")
    assert "lifecycle" not in text


def test_enrichment_never_fails_a_document() -> None:
    """Each processor passes over what is missing and what fails."""
    pipeline = parts_of()["/_ingest/pipeline/shop-enrich"].body

    options = [each for processor in pipeline["processors"] for each in processor.values()]
    assert 5 == len(options)
    assert all(each["ignore_failure"] and each["ignore_missing"] for each in options)


# --- on the real server --------------------------------------------------------------------------


def golden_documents(kind: Kind) -> list[Json]:
    """Give every document of the golden cases that belongs into an index of this kind."""
    return [
        each["document"]
        for path in sorted(CASES.glob("*.expected.json"))
        for each in json.loads(path.read_text(encoding="utf-8"))["documents"]
        if each["_index"].startswith(f"alb-logs-{kind}-")
    ]


def traffic(kind: Kind) -> list[bytes]:
    """Give lines of a kind, of every generation and shape."""
    match kind:
        case Kind.ACCESS:
            odd = odd_lines(2, 200, start=START)
            return [*ordinary_lines(1, 100, start=START), *odd]
        case Kind.CONNECTION:
            return list(connection_lines(3, 100, start=START))
        case Kind.HEALTH_CHECK:
            return list(health_check_lines(4, 100, start=START))


def batch_of(lines: list[bytes], kind: Kind, prefix: str) -> Batch:
    """Encode lines with all that a context can add to a document."""
    context = Context(
        latest="2026-12-31T00:00:00Z",
        kind=kind,
        prefix=prefix,
        bucket="some-logs",
        key="AWSLogs/some.log.gz",
        account="123456789012",
        region="eu-central-1",
        ingested="2026-09-17T13:00:00.000Z",
        keep_original=True,
    )
    text = b"".join(line + b"\n" for line in lines)
    return encode_chunk(Chunk(0, text, len(lines)), context)


@pytest.fixture(scope="module")
def strict_prefix(es: Elasticsearch) -> Iterator[str]:
    """Give a prefix whose indices have our mappings, made strict, and no template."""
    prefix = f"t{uuid.uuid4().hex[:10]}"
    try:
        for kind in Kind:
            for day in ("2026.09.17", "golden"):
                index = f"{prefix}-{kind}-{day}"
                es.indices.create(index=index, mappings=strict(mapping(kind)))
        es.indices.create(index=f"{prefix}-dead-letter", mappings=strict(mapping("dead-letter")))
        yield prefix
    finally:
        remove(es, prefix)


@pytest.fixture(scope="module")
def replies(es: Elasticsearch, strict_prefix: str) -> dict[str, Replies]:
    """Put every golden document and a sample of traffic there, and give the replies."""
    found = {}
    for kind in Kind:
        batch = batch_of(traffic(kind), kind, strict_prefix)
        assert not batch.rejects
        found[f"traffic {kind}"] = send_batch(batch, es=es, deadline=Deadline())
        golden = golden_documents(kind)
        ids = [f"golden-{at}" for at in range(len(golden))]
        items = [
            create_item(f"{strict_prefix}-{kind}-golden", id_, json.dumps(document).encode())
            for id_, document in zip(ids, golden, strict=True)
        ]
        found[f"golden {kind}"] = send_items(ids, items, es=es, deadline=Deadline())
    es.indices.refresh(index=f"{strict_prefix}-*")
    return found


@pytest.mark.parametrize("kind", Kind)
def test_every_field_of_a_document_is_mapped(replies: dict[str, Replies], kind: Kind) -> None:
    """The same mapping made strict takes every golden document and every sort of traffic."""
    expected = {
        f"golden {kind}": len(golden_documents(kind)),
        f"traffic {kind}": len(traffic(kind)),
    }

    assert min(expected.values()) >= 5
    assert {name: Replies(created=number) for name, number in expected.items()} == {
        name: replies[name] for name in expected
    }


def test_the_strict_mapping_refuses_what_it_does_not_know(
    es: Elasticsearch, strict_prefix: str
) -> None:
    """The test above can fail: one unknown field, however deep, and the document is refused."""
    odd = [{"@timestamp": "2026-09-17T12:00:00Z", "x": 1}, {"aws": {"elb": {"error": {"x": 1}}}}]
    items = [
        create_item(f"{strict_prefix}-access-golden", f"odd-{at}", json.dumps(each).encode())
        for at, each in enumerate(odd)
    ]

    refused = send_items(["odd-0", "odd-1"], items, es=es, deadline=Deadline()).refused

    assert ["strict_dynamic_mapping_exception"] * 2 == [each.type for each in refused.values()]


@pytest.mark.parametrize("kind", Kind)
def test_every_alias_finds_what_its_field_finds(
    es: Elasticsearch, replies: dict[str, Replies], strict_prefix: str, kind: Kind
) -> None:
    """Each other name of a field answers a query by it, with the same documents."""
    fields = dict(leaves(mapping(kind)["properties"]))
    aliases = {name: leaf["path"] for name, leaf in fields.items() if leaf["type"] == "alias"}
    assert aliases
    assert replies

    for alias, field in aliases.items():
        assert field in fields
        found = [
            es.count(index=f"{strict_prefix}-{kind}-*", query={"exists": {"field": name}})["count"]
            for name in (alias, field)
        ]
        assert found[0] == found[1] > 0, alias


def test_every_field_of_a_dead_letter_is_mapped(es: Elasticsearch, strict_prefix: str) -> None:
    """The strict mapping takes whole dead letters of every sort, a line too long among them."""
    lines = list(bad_lines(5, 100, start=START))
    rejects = batch_of(lines, Kind.ACCESS, strict_prefix).rejects
    long = LongLine(offset=9, head=b"x" * 8_192, length=300_000, digest=b"d" * 32)
    context = Context(latest="", bucket="some-logs", key="some.log.gz")
    rejects += encode_chunk(long, context).rejects
    store = Store(es, strict_prefix, Period.DAY)

    written = write_dead_letters(rejects, context=context, store=store, deadline=Deadline())

    assert 101 == written
    es.indices.refresh(index=store.dead_letters)
    letters = es.search(index=store.dead_letters, size=200)["hits"]["hits"]
    assert 101 == len([hit for hit in letters if hit["_source"]["event"]])  # none in short form
    assert {name for name, _ in leaves(mapping("dead-letter")["properties"])} == {
        name for hit in letters for name in flat(hit["_source"])
    }


def flat(source: Json, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Give the dotted name of every value in a document."""
    for name, value in source.items():
        if isinstance(value, dict):
            yield from flat(value, (*path, name))
        else:
            yield ".".join((*path, name))
