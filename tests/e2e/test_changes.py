"""Documents that were read are replaced or deleted, unless somebody has changed them meanwhile."""

from collections.abc import Iterator
from typing import Any

import pytest
from elastic_transport import TransportApiResponse
from elasticsearch import Elasticsearch

from pipeline.deadline import Deadline
from pipeline.errors import AccountingError, ClusterRefusedError, ConfigError, SinkUnavailableError
from pipeline.sink.changes import Change, Changed, change
from pipeline.sink.scanning import Hit, Wanted, count, read_again, scan
from tests.support.deadlines import at_once
from tests.support.faults import Fault, Faults, Send, answer, edited, lost_after, lost_before

EVERY: dict[str, Any] = {"match_all": {}}


@pytest.fixture
def index(es: Elasticsearch, prefix: str) -> str:
    """Return an index of 30 documents."""
    name = f"{prefix}-any"
    es.indices.create(index=name, settings={"number_of_replicas": 0})
    lines: list[dict[str, Any]] = []
    for number in range(30):
        lines += [{"create": {"_index": name, "_id": f"{number}"}}, {"number": number}]
    es.bulk(operations=lines, refresh=True)
    return name


def read(es: Elasticsearch, index: str) -> list[Hit]:
    """Return all documents."""
    es.indices.refresh(index=index)
    return [hit for page in scan(es, Wanted(index, EVERY), Deadline()) for hit in page]


def changes_of(hits: list[Hit]) -> list[Change]:
    """Return a change for each document: every third is deleted, the others are replaced."""
    return [
        Change(hit, None if int(hit.id) % 3 == 0 else b'{"number": -1}')
        for hit in sorted(hits, key=lambda hit: int(hit.id))
    ]


def total(changed: Iterator[Changed]) -> tuple[int, list[str]]:
    """Return how many changes were made, and the ids of those in conflict."""
    every = list(changed)
    return sum(len(c.made) for c in every), [each.of.id for c in every for each in c.conflicts]


def check_changed(es: Elasticsearch, index: str) -> None:
    """Check that every document is changed, once."""
    found = read(es, index)
    assert {f"{number}" for number in range(30) if number % 3} == {hit.id for hit in found}
    assert {-1} == {hit.source["number"] for hit in found}
    assert {2} == {es.get(index=index, id=hit.id)["_version"] for hit in found}


def test_documents_are_replaced_and_deleted(es: Elasticsearch, index: str) -> None:
    """Each that is as it was read."""
    changed = change(changes_of(read(es, index)), es=es, deadline=Deadline())

    assert (30, []) == total(changed)
    check_changed(es, index)


def test_what_somebody_else_changed_is_left(es: Elasticsearch, index: str) -> None:
    """It is in conflict, and so is what is gone; what is there is read again as it is."""
    hits = read(es, index)
    es.index(index=index, id="4", document={"number": 44})
    es.delete(index=index, id="5")
    es.delete(index=index, id="6")

    made, conflicts = total(change(changes_of(hits), es=es, deadline=Deadline()))

    assert (27, ["4", "5", "6"]) == (made, conflicts)
    again = read_again(es, [(index, id_) for id_ in conflicts], Deadline())
    assert {(index, "4"): {"number": 44}} == {place: hit.source for place, hit in again.items()}


@pytest.mark.parametrize("fault", [lost_before, lost_after])
def test_an_answer_that_is_lost_changes_nothing_twice(
    es: Elasticsearch, index: str, fault: Fault
) -> None:
    """Where the server had acted, all is in conflict, and is found to be as it was to become."""
    faults = Faults(es, fault)

    made, conflicts = total(change(changes_of(read(es, index)), es=faults.es, deadline=at_once()))

    assert (0, 30) == (made, len(conflicts)) if fault is lost_after else (30, 0)
    check_changed(es, index)


def busy(send: Send, body: bytes) -> TransportApiResponse:
    """Refuse the third change for now, the server untouched by it."""
    lines = body.split(b"\n")
    at = next(at for at, line in enumerate(lines) if b'"_id":"2"' in line)
    meta, reply = send(b"\n".join(lines[:at] + lines[at + 2 :]))
    error = {"type": "es_rejected_execution_exception", "reason": "queue is full"}
    items = list(reply["items"])
    items.insert(2, {"index": {"_id": "2", "status": 429, "error": error}})
    return TransportApiResponse(meta, {**reply, "items": items})


def test_a_busy_server_is_asked_again(es: Elasticsearch, index: str) -> None:
    """Only for what it did not take."""
    faults = Faults(es, busy)
    deadline = at_once()

    assert (30, []) == total(change(changes_of(read(es, index)), es=faults.es, deadline=deadline))
    assert 1 == faults.bodies[1].count(b'"_id"')
    check_changed(es, index)


def test_it_ends_at_the_deadline(es: Elasticsearch, index: str) -> None:
    """A server that stays busy is given up."""
    changes, deadline = changes_of(read(es, index)), Deadline().within(0.1)

    with pytest.raises(SinkUnavailableError, match="did not change documents in time"):
        total(change(changes, es=Faults(es, otherwise=busy).es, deadline=deadline))


def test_a_body_that_is_too_large_is_halved(es: Elasticsearch, index: str) -> None:
    """Down to single documents; one that is too large by itself is an error."""
    changes = changes_of(read(es, index))
    faults = Faults(es, limit=700)

    assert (30, []) == total(change(changes, es=faults.es, deadline=Deadline()))
    check_changed(es, index)
    with pytest.raises(ClusterRefusedError, match="413"):
        total(change(changes, es=Faults(es, limit=10).es, deadline=Deadline()))


def test_many_changes_go_out_in_bodies(es: Elasticsearch, index: str) -> None:
    """Of about a megabyte each."""
    source = b'{"text": "' + b"x" * 300_000 + b'"}'
    faults = Faults(es)

    made, _ = total(
        change((Change(hit, source) for hit in read(es, index)), es=faults.es, deadline=Deadline())
    )

    assert 30 == made
    assert 10 == len(faults.bodies)


def test_a_document_that_is_refused_is_named(es: Elasticsearch, index: str) -> None:
    """What replaces a document was one of ours before: its index is not."""
    changes = [Change(read(es, index)[0], b'{"number": {"a": 1}}')]

    with pytest.raises(ClusterRefusedError, match=f"the document .* in {index} .document_parsing"):
        total(change(changes, es=es, deadline=Deadline()))


def test_replies_must_match(es: Elasticsearch, index: str) -> None:
    """An answer to something else is an error, not a success."""
    changes = changes_of(read(es, index))
    for edit in (lambda items: items[1:], lambda items: items[::-1]):
        faults = Faults(es, edited(edit))
        with pytest.raises(AccountingError):
            total(change(changes, es=faults.es, deadline=Deadline()))


def test_a_closed_index_is_no_empty_index(es: Elasticsearch, index: str) -> None:
    """Who reads and who counts is told; nobody is to think that all was read."""
    es.indices.close(index=index)
    for wanted in (Wanted(index, EVERY), Wanted(f"{index[:-1]}*", EVERY)):
        with pytest.raises(ClusterRefusedError, match="_open"):
            list(scan(es, wanted, Deadline()))
        with pytest.raises(ClusterRefusedError, match="_open"):
            count(es, wanted, Deadline())


def test_pages_are_shorter_the_longer_documents_are(es: Elasticsearch, prefix: str) -> None:
    """However long they are, a page stays small; each document is met once."""
    name = f"{prefix}-long"
    es.indices.create(index=name, settings={"number_of_replicas": 0})
    for number in range(70):
        es.index(
            index=name, id=f"{number}", document={"text": "x" * 1_000_000 if number > 9 else ""}
        )
    es.indices.refresh(index=name)

    pages = list(scan(es, Wanted(name, EVERY), Deadline()))

    assert 70 == len({hit.id for page in pages for hit in page}) == sum(map(len, pages))
    assert 50 == len(pages[0])
    assert max(map(len, pages[1:])) < 10
    assert 70 == count(es, Wanted(name, EVERY), Deadline())


class Answering(Faults):
    """Answer every request alike."""

    def __init__(self, es: Elasticsearch, body: object) -> None:
        super().__init__(es)
        self._body = body

    def perform_request(
        self,
        method: str,
        target: str,
        **options: Any,  # noqa: ANN401  whatever elasticsearch-py gives
    ) -> TransportApiResponse:
        """Return the answer."""
        del method, target, options
        return answer(200, self._body)


def test_what_may_not_be_read_is_not_gone(es: Elasticsearch, index: str) -> None:
    """A multi-get answers one by one, also with errors."""
    denied = {"type": "security_exception", "reason": "action [x] is unauthorized"}
    missing = {"type": "index_not_found_exception", "reason": "no such index"}

    def mget(error: dict[str, Any]) -> Elasticsearch:
        return Answering(es, {"docs": [{"_index": index, "_id": "1", "error": error}]}).es

    with pytest.raises(ConfigError):
        read_again(mget(denied), [(index, "1")], Deadline())
    assert {} == read_again(mget(missing), [(index, "1")], Deadline())
    assert {} == read_again(es, [], Deadline())
