"""Values that are too long for an index: their line is indexed and found all the same."""

import io

import pytest
from elasticsearch import Elasticsearch

from pipeline.alb.fields import Kind
from pipeline.ingest import Options, ingest_stream
from pipeline.sink.store import Store
from tests.support.factories import alb_line, text_of

LONG = {
    "ascii": "a" * 20_000,
    "two-bytes": "\\xC3\\xA9" * 20_000,
    "three-bytes": "\\xE2\\x82\\xAC" * 20_000,
    "four-bytes": "\\xF0\\x9F\\x98\\x80" * 8_191,
    "just-short-enough": "\\xE2\\x82\\xAC" * 8_190,
}
"""Texts as they stand in a line. Elasticsearch refuses a keyword above 32,766 bytes."""


def found(es: Elasticsearch, index: str, query: dict[str, object]) -> dict[str, str]:
    """Return what a search finds: the path of each document, by its trace."""
    es.indices.refresh(index=index)
    hits = es.search(index=index, query=query, size=100)["hits"]["hits"]
    return {hit["_source"]["trace"]["id"]: hit["_source"]["url"]["path"] for hit in hits}


@pytest.mark.parametrize("column", ["request_line", "user_agent", "redirect_url", "trace_id"])
def test_a_line_with_a_long_value_is_indexed(es: Elasticsearch, store: Store, column: str) -> None:
    """However long a text is, no document is refused for it; each is found by its time."""
    values = [f'"GET https://h:443/{text} HTTP/2.0"' for text in LONG.values()]
    if column != "request_line":
        values = [f'"{text}"' for text in LONG.values()]
    lines = [alb_line(at, **{column: value}) for at, value in enumerate(values)]

    outcome = ingest_stream(
        io.BytesIO(text_of(lines)), "long", store=store, options=Options(kind=Kind.ACCESS)
    )

    assert (outcome.error, outcome.tally.rejected) == (None, 0)
    index = f"{store.prefix}-access-*"
    es.indices.refresh(index=index)
    assert es.count(index=index, query={"exists": {"field": "@timestamp"}})["count"] == len(lines)


def test_a_line_with_a_long_path_is_found_by_its_other_fields(
    es: Elasticsearch, store: Store
) -> None:
    """By its trace, and all such lines as those whose path was ignored; the document has it all."""
    path = "/" + "a" * 20_000
    lines = [alb_line(1, request_line=f'"GET https://h:443{path} HTTP/2.0"'), alb_line(2)]
    options = Options(kind=Kind.ACCESS)

    ingest_stream(io.BytesIO(text_of(lines)), "long", store=store, options=options)

    index, trace = f"{store.prefix}-access-*", f"1-58337262-{1:024x}"
    assert found(es, index, {"term": {"trace.id": trace}}) == {trace: path}
    assert found(es, index, {"term": {"_ignored": "url.path"}}) == {trace: path}
    assert found(es, index, {"term": {"url.path": path}}) == {}
