"""Whatever happens between here and Elasticsearch, every line is accounted for and there once."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

import pytest
from elasticsearch import Elasticsearch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.deadline import Deadline
from pipeline.errors import AccountingError, ObjectCorruptError, SinkUnavailableError
from pipeline.ingest import Ingestion, Options, Time, context_for
from pipeline.outcome import Outcome
from pipeline.sink.bulk import send
from pipeline.sink.encoding import create_action
from pipeline.sink.store import Store
from pipeline.source.reading import read_stream
from tests.support.cluster import documents_in, prepared
from tests.support.factories import alb_line, ids_of, stored_gz, text_of
from tests.support.faults import (
    Fault,
    Faults,
    answering,
    cut_answer,
    edited,
    lost_after,
    lost_before,
    refusing,
    unharmed,
)

FOR_NOW = st.sampled_from([429, 500, 502, 503, 504])
"""Statuses by which a server says that it is too busy."""

faults = st.one_of(
    st.sampled_from([unharmed, lost_before, lost_after, cut_answer]),
    st.builds(answering, FOR_NOW),
    st.builds(
        refusing,
        st.dictionaries(st.integers(0, 30), FOR_NOW, min_size=1, max_size=8),
        acted=st.booleans(),
    ),
)

RUNS = count()


@dataclass(frozen=True)
class Object:
    """An object to ingest, how, and what happens to its requests."""

    shape: tuple[str, ...]
    """What each line is: a document, no log line, blank, or the document before it again."""
    faults: tuple[Fault, ...] = ()
    limit: int | None = None
    bulk_bytes: int = 4_000
    connections: int = 2
    cut: bool = False


SHAPES = st.lists(
    st.sampled_from(["document", "document", "document", "bad", "blank", "again"]), max_size=25
).map(tuple)
objects = st.builds(
    Object,
    shape=SHAPES,
    faults=st.lists(faults, max_size=8).map(tuple),
    limit=st.sampled_from([None, 2_500, 6_000]),  # one document has 1,200 bytes
    bulk_bytes=st.sampled_from([1_000, 4_000, 50_000]),
    connections=st.integers(1, 3),
    cut=st.booleans(),
)


@dataclass(frozen=True)
class Written:
    """The lines of one object, unlike those of every other."""

    lines: list[bytes]
    good: list[bytes]
    bad: list[bytes]
    tag: str


def write(shape: tuple[str, ...]) -> Written:
    """Write the lines that a shape asks for."""
    written = Written([], [], [], f"run-{next(RUNS)}")
    for number, each in enumerate(shape):
        if each == "bad":
            written.bad.append(f"{written.tag} is no log line {number}".encode())
        if each == "document" or (each == "again" and not written.good):
            written.good.append(alb_line(number, user_agent=f'"{written.tag}"'))
        line = {"bad": written.bad, "blank": [b" "]}.get(each, written.good)[-1]
        written.lines.append(line)
    return written


@pytest.fixture(scope="module")
def store(es: Elasticsearch) -> Iterator[Store]:
    """Share one prepared cluster among all runs: no two have a line in common."""
    with prepared(es) as store:
        yield store


def run(data: bytes, store: Store, case: Object, deadline: Deadline) -> Outcome:
    """Ingest as the front doors do, by a deadline of the test's own."""
    options = Options(connections=case.connections, bulk_bytes=case.bulk_bytes)
    chunks = read_stream(io.BytesIO(data), name="x", chunk_bytes=options.chunk_bytes)
    return Ingestion(context_for(store, options), store, options, Time(deadline)).run(chunks)


def at_once(seconds: float = float("inf")) -> Deadline:
    """Return a deadline that does not wait between attempts."""
    return Deadline(pause=lambda _: None).within(seconds)


def assert_there_once(es: Elasticsearch, store: Store, written: Written) -> None:
    """Compare the ids in the indices with those worked out from the lines."""
    by_tag = {"term": {"user_agent.original": written.tag}}
    by_id = {"ids": {"values": sorted(ids_of(written.bad))}}

    assert ids_of(written.good) == documents_in(es, f"{store.prefix}-access-*", by_tag).keys()
    assert ids_of(written.bad) == documents_in(es, store.dead_letters, by_id).keys()


@example(Object(("document",) * 9, (lost_after, lost_before, answering(503), lost_after)))
@example(Object(("document", "bad") * 5, (refusing({0: 429, 3: 503}),) * 6, limit=2_500))
@example(Object(("document", "again", "bad", "blank"), (refusing({0: 429}, acted=True),), cut=True))
@settings(max_examples=80, deadline=None)
@given(objects)
def test_every_line_is_accounted_for_under_any_faults(
    es: Elasticsearch, store: Store, case: Object
) -> None:
    """Requests lost, refused, cut or answered in part: all lines add up, each is there once."""
    written = write(case.shape)
    data, start = stored_gz([*written.lines, b"cut off"])
    end = start + len(text_of(written.lines)) + (3 if case.cut else 0)
    spoiled = Faults(es, *case.faults, limit=case.limit)

    first, second = [
        run(data[:end] if case.cut else text_of(written.lines), at, case, at_once())
        for at in (replace(store, es=spoiled.es), store)
    ]

    for outcome in (first, second):
        assert case.cut == isinstance(outcome.error, ObjectCorruptError), outcome.error
        assert case.cut or outcome.error is None
        tally = outcome.tally
        tally.check()
        assert len(written.lines) + case.cut == tally.lines
        assert (len(written.bad), case.cut) == (tally.rejected, tally.truncated)
        documents = len([line for line in written.lines if line in written.good])
        assert documents == tally.indexed + tally.duplicates
        assert len(written.good) >= tally.indexed
    assert 0 == second.tally.indexed
    assert_there_once(es, store, written)


@settings(max_examples=40, deadline=None)
@given(objects, st.integers(0, 6))
def test_a_cluster_that_goes_away_costs_no_line(
    es: Elasticsearch, store: Store, case: Object, answered: int
) -> None:
    """Wherever an object breaks off, what is reported adds up, and a retry makes it whole."""
    written = write(case.shape)
    text = text_of(written.lines)
    faults = (case.faults * 9)[:answered]
    away = Faults(es, *faults, otherwise=answering(503), limit=case.limit)

    broken = run(text, replace(store, es=away.es), case, at_once(0.3))
    again = run(text, store, case, at_once())

    broken.tally.check()
    assert isinstance(broken.error, SinkUnavailableError) == (broken.tally.lines < len(case.shape))
    assert again.error is None
    assert len(case.shape) == again.tally.lines
    assert_there_once(es, store, written)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 9), st.data())
def test_replies_that_are_not_those_of_the_documents_are_seen(
    es: Elasticsearch, store: Store, number: int, data: st.DataObject
) -> None:
    """One reply dropped and another doubled leaves as many as were sent, and is an error."""
    places = st.integers(0, number - 1)
    dropped = data.draw(places, label="dropped")
    doubled = data.draw(places.filter(lambda place: place != dropped), label="doubled")
    where = data.draw(places, label="where")
    ids = [f"{next(RUNS)}-{at}" for at in range(number)]
    actions = [create_action(id_, f"{store.prefix}-plain", b"{}") for id_ in ids]

    def edit(replies: list[object]) -> list[object]:
        left = [reply for at, reply in enumerate(replies) if at != dropped]
        return [*left[:where], replies[doubled], *left[where:]]

    spoiled = Faults(es, edited(edit))

    with pytest.raises(AccountingError, match=r"a reply for .* came where"):
        send(actions, es=spoiled.es, deadline=at_once())
