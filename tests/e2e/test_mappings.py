"""The mappings on the real server: each takes every document, and knows each of its fields."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from elasticsearch import Elasticsearch

from devstack.traffic import (
    bad_lines,
    connection_lines,
    health_check_lines,
    odd_lines,
    ordinary_lines,
)
from pipeline.alb.document import Context, Period
from pipeline.alb.fields import ERASED, Kind
from pipeline.cluster.mapping import without_constants
from pipeline.deadline import Deadline
from pipeline.sink.bulk import Replies, send
from pipeline.sink.deadletters import write_dead_letters
from pipeline.sink.encoding import Batch, create_action, encode_chunk
from pipeline.sink.store import Store
from pipeline.source.reading import Chunk, LongLine
from tests.support.cluster import remove
from tests.support.golden import CASES
from tests.support.mappings import Json, leaves, mapping

START = datetime(2026, 9, 17, 12, 0, tzinfo=UTC)


def strict(found: Json) -> Json:
    """Make a mapping, and every object in it, refuse what it does not know."""
    properties = {
        name: strict(each) if "properties" in each else each
        for name, each in found["properties"].items()
    }
    return {**found, "dynamic": "strict", "properties": properties}


def golden_documents(kind: Kind) -> list[Json]:
    """Return every document of the golden cases that belongs into an index of this kind."""
    return [
        each["document"]
        for path in CASES
        for each in json.loads(path.with_suffix(".expected.json").read_bytes())["documents"]
        if each["_index"].startswith(f"alb-logs-{kind}-")
    ]


def traffic(kind: Kind) -> list[bytes]:
    """Return lines of a kind, of every generation and shape."""
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
    """Yield a prefix whose indices have our mappings, made strict, and no template."""
    prefix = f"t{uuid.uuid4().hex[:10]}"
    try:
        for kind in Kind:
            for day in ("2026.09.17", "golden"):
                index = f"{prefix}-{kind}-{day}"
                es.indices.create(index=index, mappings=strict(without_constants(mapping(kind))))
        es.indices.create(index=f"{prefix}-dead-letter", mappings=strict(mapping("dead-letter")))
        yield prefix
    finally:
        remove(es, prefix)


@pytest.fixture(scope="module")
def replies(es: Elasticsearch, strict_prefix: str) -> dict[str, Replies]:
    """Put every golden document and a sample of traffic there, and return the replies."""
    found = {}
    for kind in Kind:
        batch = batch_of(traffic(kind), kind, strict_prefix)
        assert not batch.rejects
        found[f"traffic {kind}"] = send(batch.actions, es=es, deadline=Deadline())
        golden = golden_documents(kind)
        ids = [f"golden-{at}" for at in range(len(golden))]
        items = [
            create_action(id_, f"{strict_prefix}-{kind}-golden", json.dumps(document).encode())
            for id_, document in zip(ids, golden, strict=True)
        ]
        found[f"golden {kind}"] = send(items, es=es, deadline=Deadline())
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
    """The test above can fail: with one unknown field, however deep, the document is refused."""
    odd = [{"@timestamp": "2026-09-17T12:00:00Z", "x": 1}, {"aws": {"elb": {"error": {"x": 1}}}}]
    items = [
        create_action(f"odd-{at}", f"{strict_prefix}-access-golden", json.dumps(each).encode())
        for at, each in enumerate(odd)
    ]

    refused = send(items, es=es, deadline=Deadline()).refused

    assert ["strict_dynamic_mapping_exception"] * 2 == [each.type for each in refused.values()]


@pytest.mark.parametrize("kind", Kind)
def test_every_alias_finds_what_its_field_finds(
    es: Elasticsearch, replies: dict[str, Replies], strict_prefix: str, kind: Kind
) -> None:
    """Each other name of a field answers a query by it, with the same documents."""
    fields = dict(leaves(without_constants(mapping(kind))["properties"]))
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
    long = LongLine(offset=9, end=300_010, head=b"x" * 8_192, length=300_000, digest=b"d" * 32)
    context = Context(latest="", bucket="some-logs", key="some.log.gz")
    rejects += encode_chunk(long, context).rejects
    store = Store(es, strict_prefix, Period.DAY)

    written = write_dead_letters(
        rejects, context=context, store=store, deadline=Deadline(), body_bytes=2_000_000
    )

    assert 101 == written
    es.indices.refresh(index=store.dead_letters)
    letters = es.search(index=store.dead_letters, size=200)["hits"]["hits"]
    assert 101 == len([hit for hit in letters if hit["_source"]["event"]])  # none in short form
    mapped = {name for name, _ in leaves(mapping("dead-letter")["properties"])}
    assert {ERASED.name} == mapped - {name for hit in letters for name in flat(hit["_source"])}


def flat(source: Json, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the dotted name of every value in a document."""
    for name, value in source.items():
        if isinstance(value, dict):
            yield from flat(value, (*path, name))
        else:
            yield ".".join((*path, name))
