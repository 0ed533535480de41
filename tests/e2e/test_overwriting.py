"""Overwriting: documents of a newer parser replace older ones, but for those that were erased."""

from typing import Any

from elasticsearch import Elasticsearch

from pipeline.alb.fields import Kind
from pipeline.ingest import Options
from pipeline.sink.store import Store
from tests.support.cluster import documents_in, index_of, ingest
from tests.support.factories import ids_of, lines_of, text_of

DAY = "2026-11-20"
LINES = lines_of(DAY, 2_500)
OVERWRITE = Options(overwrite=True)


def age(es: Elasticsearch, store: Store, id_: str, **fields: Any) -> None:  # noqa: ANN401  JSON
    """Make a document one that an older version made."""
    index = index_of(store, DAY, Kind.ACCESS)
    es.index(index=index, id=id_, document={"@timestamp": f"{DAY}T10:00:00Z", **fields})


def test_documents_are_replaced_under_their_ids(es: Elasticsearch, store: Store) -> None:
    """What is there is replaced and counts as duplicate; what is missing is created."""
    old = text_of(LINES[:2_000])
    ingest(store, old)
    before = documents_in(es, index_of(store, DAY))
    first, second, *_ = sorted(before)
    age(es, store, first, old=True)

    ended = ingest(store, text_of(LINES), OVERWRITE)

    assert (None, 500, 2_000) == (ended.error, ended.tally.indexed, ended.tally.duplicates)
    after = documents_in(es, index_of(store, DAY))
    assert ids_of(LINES) == after.keys()
    assert {first: before[first], second: before[second]} == {
        first: after[first],
        second: after[second],
    }
    found = es.get(index=index_of(store, DAY), id=first)
    assert 3 == found["_version"]


def test_without_it_nothing_is_replaced(es: Elasticsearch, store: Store) -> None:
    """Otherwise a document that is there stays as it is."""
    ingest(store, text_of(LINES[:10]))
    first = min(documents_in(es, index_of(store, DAY)))
    age(es, store, first, old=True)

    ingest(store, text_of(LINES[:10]))

    assert documents_in(es, index_of(store, DAY))[first]["old"]


def test_what_was_erased_stays_erased(es: Elasticsearch, store: Store) -> None:
    """A person's data does not come back with a newer parser."""
    ingest(store, text_of(LINES[:10]))
    first = min(documents_in(es, index_of(store, DAY)))
    age(es, store, first, labels={"erased": "2026-11-21T00:00:00Z"})

    ended = ingest(store, text_of(LINES[:10]), OVERWRITE)

    assert (None, 10) == (ended.error, ended.tally.duplicates)
    kept = documents_in(es, index_of(store, DAY))[first]
    assert {"@timestamp", "labels"} == kept.keys()
