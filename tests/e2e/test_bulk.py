"""
Sending documents: what is sent again, for how long, and what each reply means.

The server is the real one. Where it cannot be made to fail on demand, `Faults` stands between it
and the real client and spoils single bulk requests or their answers.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from elastic_transport import (
    TlsError,
    TransportApiResponse,
)
from elasticsearch import Elasticsearch

from pipeline.deadline import Deadline
from pipeline.errors import (
    AccountingError,
    ClusterRefusedError,
    ConfigError,
    SinkUnavailableError,
)
from pipeline.sink import bulk as sink
from pipeline.sink.bulk import BulkSender, Replies, Sent, send
from pipeline.sink.encoding import Action, Batch, create_action
from tests.support.deadlines import at_once, longest_pause
from tests.support.faults import (
    Fault,
    Faults,
    Send,
    answer,
    answering,
    cut_answer,
    edited,
    ids_in_body,
    lost_after,
    lost_before,
    refusing,
    unharmed,
)

IDS = [f"id-{number}" for number in range(8)]


@pytest.fixture
def index(prefix: str) -> str:
    """Name an index that is made by its first document and removed after the test."""
    return f"{prefix}-plain"


def actions_for(index: str, ids: Sequence[str] = IDS) -> list[Action]:
    """Return one action for each id, all of one length."""
    return [create_action(id_, index, b'{"name":"%b"}' % id_.encode()) for id_ in ids]


def batch_for(index: str, *ids: str) -> Batch:
    """Return a batch of these documents."""
    return Batch(read=len(ids), size=0, actions=actions_for(index, list(ids)))


def sent_in_turn(
    batches: Iterator[Batch], *, es: Elasticsearch, connections: int, deadline: Deadline
) -> Iterator[Sent]:
    """Send batches as ingestion does, and yield what was replied to each."""
    with BulkSender(es, connections=connections, deadline=deadline) as sender:
        for batch in batches:
            yield from sender.send(batch)
        yield from sender.finish()


def found(es: Elasticsearch, index: str) -> set[str]:
    """Return the ids that are in an index."""
    es.indices.refresh(index=index)
    return {hit["_id"] for hit in es.search(index=index, size=1_000)["hits"]["hits"]}


# --- one batch -----------------------------------------------------------------------------------


def test_nothing_is_sent_for_no_items(es: Elasticsearch) -> None:
    """No items, no request: Elasticsearch refuses an empty body."""
    faults = Faults(es)

    assert Replies() == send([], es=faults.es, deadline=Deadline())
    assert [] == faults.bodies


def test_documents_are_created_once(es: Elasticsearch, index: str) -> None:
    """What is new is created; what is there already is a duplicate, and nothing is sent again."""
    faults = Faults(es)

    first = send(actions_for(index, IDS[:5]), es=faults.es, deadline=at_once())
    second = send(actions_for(index), es=faults.es, deadline=at_once())

    assert Replies(created=5) == first
    assert Replies(created=3, duplicates=5) == second
    assert [IDS[:5], IDS] == faults.sent
    assert set(IDS) == found(es, index)


def test_an_id_that_stands_twice_in_a_body_is_one_document(es: Elasticsearch, index: str) -> None:
    """Of equal items in one body the first is created, the others are duplicates."""
    ids = ["a", "b", "a", "a"]

    replies = send(actions_for(index, ids), es=es, deadline=at_once())

    assert Replies(created=2, duplicates=2) == replies
    assert {"a", "b"} == found(es, index)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("acted", [False, True], ids=["not done", "done"])
def test_only_the_items_concerned_are_sent_again(
    es: Elasticsearch, index: str, status: int, *, acted: bool
) -> None:
    """Of eight items three are refused for now, then two of these: no other is sent again."""
    faults = Faults(
        es,
        refusing({1: status, 4: status, 7: status}, acted=acted),
        refusing({0: status, 2: status}, acted=acted),
    )
    pauses: list[float] = []

    replies = send(actions_for(index), es=faults.es, deadline=at_once(pauses))

    assert [IDS, ["id-1", "id-4", "id-7"], ["id-1", "id-7"]] == faults.sent
    assert batch_for(index, "id-1", "id-7").body() == faults.bodies[2]
    assert 2 == len(pauses)
    repeated = 3 if acted else 0
    assert Replies(created=8 - repeated, duplicates=repeated) == replies
    assert set(IDS) == found(es, index)


@pytest.mark.parametrize(
    ("fault", "acted"),
    [
        *(pytest.param(answering(status), False, id=f"{status}") for status in (429, 500, 502)),
        *(pytest.param(answering(status), False, id=f"{status}") for status in (503, 504)),
        pytest.param(lost_before, False, id="lost before"),
        pytest.param(lost_after, True, id="lost after"),
        pytest.param(cut_answer, True, id="answer cut"),
    ],
)
def test_a_request_that_failed_is_sent_again_whole(
    es: Elasticsearch, index: str, fault: Fault, *, acted: bool
) -> None:
    """A missing answer says nothing about its items: all are sent again, which does no harm."""
    faults = Faults(es, fault, fault)
    pauses: list[float] = []

    replies = send(actions_for(index), es=faults.es, deadline=at_once(pauses))

    assert [IDS, IDS, IDS] == faults.sent
    assert 2 == len(pauses)
    assert (Replies(duplicates=8) if acted else Replies(created=8)) == replies
    assert set(IDS) == found(es, index)


def test_pauses_grow_from_one_attempt_to_the_next(es: Elasticsearch, index: str) -> None:
    """Each attempt of the same batch waits longer than the one before may have."""
    faults = Faults(es, *[answering(429)] * 9)
    pauses: list[float] = []

    send(actions_for(index), es=faults.es, deadline=at_once(pauses))

    bounds = [(longest_pause(attempt) / 2, longest_pause(attempt)) for attempt in range(9)]
    assert all(low <= pause <= high for pause, (low, high) in zip(pauses, bounds, strict=True))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param(answering(503, "no_shard"), "503", id="request"),
        pytest.param(lost_before, "reset on the way there", id="connection"),
        pytest.param(
            refusing({0: 429}), "429 es_rejected_execution_exception: queue is full", id="item"
        ),
    ],
)
def test_trying_ends_at_the_deadline(
    es: Elasticsearch, index: str, fault: Fault, said: str
) -> None:
    """A cluster that does not recover fails the batch in time, after several attempts."""
    faults = Faults(es, otherwise=fault)
    before = time.monotonic()

    with pytest.raises(SinkUnavailableError, match=said):
        send(actions_for(index), es=faults.es, deadline=Deadline().within(1.0))

    assert time.monotonic() - before < 5.0
    assert 2 <= len(faults.bodies) <= 4


def test_without_a_deadline_a_body_is_tried_for_its_budget(
    es: Elasticsearch, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing else sets a limit, the budget does: a command line must end, too."""
    assert 120.0 == sink.BUDGET_SECONDS
    monkeypatch.setattr(sink, "BUDGET_SECONDS", 0.5)
    faults = Faults(es, otherwise=answering(503))

    with pytest.raises(SinkUnavailableError):
        send(actions_for(index), es=faults.es, deadline=Deadline())


def test_a_request_never_outlasts_the_deadline(es: Elasticsearch, index: str) -> None:
    """A request may take a minute, under a deadline what is left of it; then none is begun."""
    faults = Faults(es)

    for seconds in (float("inf"), 20.0):
        deadline = Deadline().within(seconds)
        send(actions_for(index, IDS[:1]), es=faults.es, deadline=deadline)
    with pytest.raises(SinkUnavailableError, match="before they could be sent"):
        send(actions_for(index, IDS[1:]), es=faults.es, deadline=at_once(end=0.0))

    longest, shorter = faults.timeouts
    assert 60.0 == longest
    assert 19.0 < shorter <= 20.0
    assert set(IDS[:1]) == found(es, index)


# --- bodies that are too large -------------------------------------------------------------------


def test_a_body_that_is_too_large_is_split(es: Elasticsearch, index: str) -> None:
    """At 413 a body is halved until each part is taken, at once, in order, nothing twice."""
    items = actions_for(index)
    faults = Faults(es, limit=3 * len(items[0].text.encode()))
    pauses: list[float] = []

    replies = send(items, es=faults.es, deadline=at_once(pauses))

    assert [IDS, IDS[:4], IDS[:2], IDS[2:4], IDS[4:], IDS[4:6], IDS[6:]] == faults.sent
    assert Replies(created=8) == replies
    assert set(IDS) == found(es, index)
    assert not pauses


def test_a_single_document_that_is_too_large_is_the_clusters_fault(
    es: Elasticsearch, index: str
) -> None:
    """What cannot be split any more fails the object, with a sentence that names the setting."""
    items = [
        *actions_for(index, IDS[:3]),
        create_action("large", index, b'{"x":"%b"}' % (b"x" * 999)),
    ]
    faults = Faults(es, limit=500)

    with pytest.raises(
        ClusterRefusedError,
        match=rf"of {len(items[3].source)} bytes .* raise http.max_content_length",
    ):
        send(items, es=faults.es, deadline=at_once())

    assert ["large"] == faults.sent[-1]


def test_halves_that_fail_are_sent_again_together(es: Elasticsearch, index: str) -> None:
    """What either half of a split body left over is all that is sent again, with the reason."""
    items = actions_for(index)
    faults = Faults(
        es, refusing({1: 429}), refusing({0: 503}), limit=4 * len(items[0].text.encode())
    )

    replies = send(items, es=faults.es, deadline=at_once())

    assert [IDS, IDS[:4], IDS[4:], ["id-1", "id-4"]] == faults.sent
    assert Replies(created=8) == replies
    assert set(IDS) == found(es, index)


@pytest.mark.parametrize("half", [0, 1], ids=["first", "second"])
def test_the_reason_of_either_half_is_told(es: Elasticsearch, index: str, half: int) -> None:
    """Where there is no time to send a half of a split body again, the error says what it met."""
    items = actions_for(index)
    deadline = Deadline()
    halves: list[Fault] = [unharmed, unharmed]
    halves[half] = refusing({0: 429})
    second = halves[1]

    def the_last(send: Send, body: bytes) -> TransportApiResponse:
        answer = second(send, body)
        deadline.give_up()
        return answer

    faults = Faults(es, halves[0], the_last, limit=4 * len(items[0].text.encode()))

    with pytest.raises(SinkUnavailableError, match="queue is full"):
        send(items, es=faults.es, deadline=deadline)

    assert [IDS, IDS[:4], IDS[4:]] == faults.sent


# --- whose fault ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        pytest.param(
            answering(401, "security_exception"),
            ConfigError,
            "401 security_exception: some reason. Check ALB_LOGS_ES_API_KEY",
            id="401",
        ),
        pytest.param(
            answering(403, "security_exception"), ConfigError, "Grant create_doc", id="403"
        ),
        pytest.param(
            answering(403, "cluster_block_exception"),
            ClusterRefusedError,
            "index.blocks.write",
            id="block",
        ),
        pytest.param(answering(404), ClusterRefusedError, "fix the cluster", id="404"),
        pytest.param(
            lambda _send, _body: answer(405, "Method Not Allowed"),
            ClusterRefusedError,
            "405 : Method Not Allowed",
            id="a text",
        ),
        pytest.param(
            lambda _send, _body: answer(400, {"error": "no handler found"}),
            ClusterRefusedError,
            "400 : no handler found",
            id="an error without type",
        ),
    ],
)
def test_a_request_that_is_refused_is_not_sent_again(
    es: Elasticsearch, index: str, fault: Fault, error: type[Exception], said: str
) -> None:
    """A refusal that no retry fixes fails at once, and says what to do."""
    faults = Faults(es, fault)

    with pytest.raises(error) as it:
        send(actions_for(index), es=faults.es, deadline=at_once())

    assert said in str(it.value)
    assert it.value.__cause__ is not None
    assert 1 == len(faults.bodies)


def test_a_body_that_is_no_bulk_body_is_refused_at_once(es: Elasticsearch) -> None:
    """The real server's own refusal of a whole request is quoted."""
    with pytest.raises(
        ClusterRefusedError, match=r"400 x_content_parse_exception: .* Unexpected character"
    ):
        send([create_action("x", 'a"b', b"{}")], es=es, deadline=at_once())


def test_a_certificate_that_is_not_trusted_is_a_wrong_setting(
    es: Elasticsearch, index: str
) -> None:
    """No retry fixes a TLS connection that cannot be made."""

    def untrusted(_send: Send, _body: bytes) -> TransportApiResponse:
        raise TlsError("certificate verify failed")

    faults = Faults(es, untrusted)

    with pytest.raises(ConfigError, match=r"verify failed.* ALB_LOGS_ES_CA_CERT"):
        send(actions_for(index), es=faults.es, deadline=at_once())

    assert 1 == len(faults.bodies)


# --- replies that do not match -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        pytest.param(lambda items: items[1:], "8 documents were sent, 7 were", id="one lost"),
        pytest.param(lambda items: [*items, items[0]], "8 .* 9 were", id="one doubled"),
        pytest.param(
            lambda items: [items[0], items[0], *items[2:]],
            "a reply for id-0 came where id-1 was sent",
            id="one lost and one doubled",
        ),
        pytest.param(lambda items: items[::-1], "id-7 came where id-0", id="in another order"),
        pytest.param(lambda _items: [], "8 .* 0 were", id="none"),
    ],
)
def test_replies_that_do_not_match_the_documents_are_seen(
    es: Elasticsearch, index: str, edit: Callable[[list[Any]], list[Any]], said: str
) -> None:
    """A reply lost, doubled or misplaced is our fault or a proxy's, and never counted."""
    faults = Faults(es, edited(edit))

    with pytest.raises(AccountingError, match=said):
        send(actions_for(index), es=faults.es, deadline=at_once())


def test_an_answer_without_items_is_seen(es: Elasticsearch, index: str) -> None:
    """An answer of 200 without replies was lost on its way: what was sent is sent again."""
    faults = Faults(es, lambda send, body: (send(body), answer(200, {}))[1])

    assert Replies(duplicates=8) == send(actions_for(index), es=faults.es, deadline=at_once())
    assert [IDS, IDS] == faults.sent


def test_what_a_pipeline_of_the_cluster_drops_is_filtered(es: Elasticsearch, index: str) -> None:
    """A document that was not created, and not refused either, does not count as indexed."""

    def dropped(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first = {**items[0]["create"], "status": 200, "result": "noop"}
        return [{"create": first}, *items[1:]]

    faults = Faults(es, edited(dropped))

    replies = send(actions_for(index), es=faults.es, deadline=at_once())

    assert Replies(created=7, filtered=1) == replies


# --- several batches at once ---------------------------------------------------------------------


def wait_for(claim: Callable[[], bool]) -> None:
    """Wait for a claim to come true, ten seconds at most."""
    end = time.monotonic() + 10.0
    while not claim() and time.monotonic() < end:
        time.sleep(0.01)


@pytest.mark.parametrize("connections", [1, 3])
def test_a_slow_cluster_slows_the_reading(es: Elasticsearch, index: str, connections: int) -> None:
    """While sends hang, only one batch more is made than can be sent at once."""
    gate, made = Event(), list[int]()

    def hanging(send: Send, body: bytes) -> TransportApiResponse:
        gate.wait(20.0)
        return send(body)

    def batches() -> Iterator[Batch]:
        for number in range(9):
            made.append(number)
            yield batch_for(index, f"b-{number}")

    faults = Faults(es, otherwise=hanging)
    sending = sent_in_turn(batches(), es=faults.es, connections=connections, deadline=Deadline())
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(next, sending)
        try:
            wait_for(lambda: len(made) > connections and len(faults.bodies) == connections)
            time.sleep(0.2)  # time enough to do what must not be done
            held, sent = len(made), len(faults.bodies)
        finally:
            gate.set()
        assert "b-0" == first.result(10.0).batch.actions[0].id
    held_after = len(made)

    assert (connections + 1, connections) == (held, sent)
    assert connections + 1 == held_after  # the next is made only when it is asked for
    assert [f"b-{number}" for number in range(1, 9)] == [
        batch.actions[0].id for batch, _ in sending
    ]


def test_batches_come_back_in_their_order(es: Elasticsearch, index: str) -> None:
    """Each batch comes with its own replies, also where a later one was done first."""

    def slow_first(send: Send, body: bytes) -> TransportApiResponse:
        if ids_in_body(body) == ["b-0"]:
            time.sleep(0.3)
        return send(body)

    send(actions_for(index, ["b-1"]), es=es, deadline=at_once())
    batches = iter([batch_for(index, "b-0"), batch_for(index, "b-1"), batch_for(index, "b-2")])
    faults = Faults(es, otherwise=slow_first)

    done = sent_in_turn(batches, es=faults.es, connections=2, deadline=Deadline())

    assert [
        ("b-0", Replies(created=1)),
        ("b-1", Replies(duplicates=1)),
        ("b-2", Replies(created=1)),
    ] == [(batch.actions[0].id, replies) for batch, replies in done]


def test_the_first_error_ends_all(es: Elasticsearch, index: str) -> None:
    """When one batch fails the others are given up: no retry goes on, no batch is made any more."""
    made: list[int] = []

    def batches() -> Iterator[Batch]:
        for number in range(9):
            made.append(number)
            yield batch_for(index, f"b-{number}")

    def only_the_first_refused(_send: Send, body: bytes) -> TransportApiResponse:
        return answer(401 if ids_in_body(body) == ["b-0"] else 503, {"error": {"type": "x"}})

    faults = Faults(es, otherwise=only_the_first_refused)
    deadline, before = Deadline(), time.monotonic()

    with pytest.raises(ConfigError, match="401"):
        list(sent_in_turn(batches(), es=faults.es, connections=2, deadline=deadline))

    assert time.monotonic() - before < 5.0  # where the budget is two minutes
    assert deadline.passed
    assert [0, 1, 2] == made


def test_an_error_of_the_reader_ends_all(es: Elasticsearch, index: str) -> None:
    """What fails while the next batch is made comes out as it is, and gives the others up."""

    def batches() -> Iterator[Batch]:
        yield batch_for(index, "b-0")
        raise ConfigError("no more")

    faults = Faults(es, otherwise=answering(503))
    before = time.monotonic()

    with pytest.raises(ConfigError, match="no more"):
        list(sent_in_turn(batches(), es=faults.es, connections=2, deadline=Deadline()))

    assert time.monotonic() - before < 5.0


def test_who_stops_listening_ends_all(es: Elasticsearch, index: str) -> None:
    """Where the replies are no longer wanted the batches under way are given up."""
    batches = (batch_for(index, f"b-{number}") for number in range(9))
    deadline = Deadline()
    sending = sent_in_turn(batches, es=es, connections=2, deadline=deadline)
    next(sending)

    sending.close()  # type: ignore[attr-defined]  # an Iterator to the world, a generator here

    assert deadline.passed
