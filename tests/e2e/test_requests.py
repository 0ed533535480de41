"""Requests that get lost, addresses that are down, and clusters that change under a process."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Thread
from typing import Any

import pytest
from elastic_transport import (
    ConnectionError,  # noqa: A004  the client's own name
    ConnectionTimeout,
    SerializationError,
    Transport,
    TransportApiResponse,
)
from elasticsearch import Elasticsearch

from devstack.process import HOST, free_port
from pipeline.clients.aws import make_sqs
from pipeline.clients.elasticsearch import make_elasticsearch
from pipeline.config import Config
from pipeline.deadline import Deadline
from pipeline.errors import ConfigError, SinkUnavailableError
from pipeline.jobs.redelivery import ask_again_soon
from pipeline.sink import store as store_module
from pipeline.sink.store import Store, open_store
from pipeline.wiring import Queue
from tests.support.cluster import documents_in, index_of, ingest
from tests.support.deadlines import at_once
from tests.support.factories import gz, ids_of, lines_of

DAY = "2025-06-01"


class Losing(Transport):
    """Stand between the real client and the real server, and lose the first requests of a sort."""

    def __init__(self, es: Elasticsearch, part: str, *errors: Exception) -> None:
        self._real, self.node_pool = es.transport, es.transport.node_pool
        self._part, self._errors = part, list(errors)
        self.es = Elasticsearch(_transport=self)

    def perform_request(
        self,
        method: str,
        target: str,
        **options: Any,  # noqa: ANN401
    ) -> TransportApiResponse:
        """Send a request, or lose it."""
        if self._part in target and self._errors:
            raise self._errors.pop(0)
        return self._real.perform_request(method, target, **options)


LOST = [
    pytest.param(ConnectionError("reset"), id="reset"),
    pytest.param(ConnectionTimeout("late"), id="late"),
    pytest.param(SerializationError("half an answer"), id="cut"),
]


@pytest.mark.parametrize("error", LOST)
def test_a_lost_answer_about_an_index_costs_nothing(
    es: Elasticsearch, store: Store, error: Exception
) -> None:
    """A request that prepares an index is sent again, like the documents themselves."""
    lossy = Losing(es, "/_mapping", error, error)

    outcome = ingest(replace(store, es=lossy.es), gz(*lines_of(DAY, 3)))

    assert outcome.error is None
    assert ids_of(lines_of(DAY, 3)) == documents_in(es, index_of(store, DAY)).keys()


@pytest.mark.parametrize("error", LOST)
def test_a_lost_answer_at_the_start_fails_nothing(store: Store, error: Exception) -> None:
    """A cold start outlives an answer that gets lost."""
    lossy = Losing(store.es, "/_mapping", error)

    assert store.period is open_store(lossy.es, store.prefix).period


def test_looking_for_an_index_ends_with_the_time(es: Elasticsearch, store: Store) -> None:
    """At the deadline the last cause is told, and nothing is asked any more."""
    lossy = Losing(es, "/_mapping", *[ConnectionError("reset")] * 1_000)
    lost = replace(store, es=lossy.es)

    with pytest.raises(SinkUnavailableError, match=r"does not answer: reset"):
        lost.admit({f"{store.prefix}-access-2025.06.02"}, deadline=Deadline().within(1.0))


def test_a_lost_answer_is_not_waited_for_without_need(store: Store) -> None:
    """The pauses between attempts are those of bulk requests."""
    pauses: list[float] = []
    lossy = Losing(store.es, "/_mapping", *[ConnectionError("reset")] * 3)

    open_store(lossy.es, store.prefix, deadline=at_once(pauses))

    assert 3 == len(pauses)
    assert sorted(pauses) == pauses


# --- several addresses ---------------------------------------------------------------------------


@contextmanager
def silent() -> Iterator[str]:
    """Yield an address that takes connections and answers nothing."""
    with socket.create_server((HOST, 0)) as server:
        yield f"http://{HOST}:{server.getsockname()[1]}"


@contextmanager
def empty_answers() -> Iterator[str]:
    """Yield an address that answers every request by an empty 200."""
    with socket.create_server((HOST, 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)
                    connection.sendall(
                        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                    )

        Thread(target=answer, daemon=True).start()
        yield f"http://{HOST}:{server.getsockname()[1]}"


@contextmanager
def down() -> Iterator[str]:
    """Yield an address where nobody listens."""
    yield f"http://{HOST}:{free_port()}"


@pytest.mark.parametrize("other", [down, empty_answers], ids=["down", "empty-answers"])
@pytest.mark.parametrize("first", [True, False], ids=["first", "second"])
def test_an_address_that_is_down_is_passed_over(
    elasticsearch_url: str,
    store: Store,
    other: Any,  # noqa: ANN401
    *,
    first: bool,
) -> None:
    """With two addresses one may be down: the start, indices and documents go to the other."""
    with other() as broken:
        urls = (broken, elasticsearch_url) if first else (elasticsearch_url, broken)
        es = make_elasticsearch(Config(es_url=urls))
        for number in range(4):
            reached = open_store(es, store.prefix)
            outcome = ingest(reached, gz(*lines_of(f"2025-07-{number + 1:02}", 3)))
            assert outcome.error is None
            assert 3 == outcome.tally.indexed
        es.close()


def test_a_silent_address_leaves_time_for_the_other(elasticsearch_url: str, store: Store) -> None:
    """A request waits at a silent address for its share of the time, not for all of it."""
    with silent() as broken:
        es = make_elasticsearch(Config(es_url=(broken, elasticsearch_url)))
        reached = replace(store, es=es)

        reached.admit({index_of(store, "2025-08-01")}, deadline=Deadline().within(8.0))

        assert reached.has_prepared(index_of(store, "2025-08-01"))
        es.close()


# --- a cluster that changes ----------------------------------------------------------------------


def test_an_index_is_looked_at_again_after_a_minute(
    es: Elasticsearch, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster that was replaced under a warm process is noticed, and made good or refused."""
    index = index_of(store, DAY)
    ingest(store, gz(*lines_of(DAY, 3)))
    es.indices.delete(index=index)
    es.indices.create(index=index)  # from the templates: as after a restore
    es.indices.delete(index=index)
    es.indices.delete_index_template(name=f"{store.prefix}-access")
    es.indices.create(index=index)  # by somebody else, with no template of ours

    monkeypatch.setattr(store_module, "LOOK_AGAIN_SECONDS", 0.0)
    outcome = ingest(store, gz(*lines_of(DAY, 3)))

    assert isinstance(outcome.error, ConfigError)
    assert "was not made from this version's templates" in str(outcome.error)
    assert {} == documents_in(es, index)


# --- a queue that is silent ----------------------------------------------------------------------


def test_a_silent_queue_delays_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of a queue after the objects ends before the invocation does."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    failed = [{"attributes": {"ApproximateReceiveCount": "1"}, "receiptHandle": "h"}]
    with silent() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        queue = Queue(f"{url}/123456789012/q", make_sqs())
        end = Deadline().within(3.0)
        began = time.monotonic()

        with pytest.raises(Exception, match=r"[Tt]imeout|timed out"):
            ask_again_soon(failed, lambda: queue, end)

    assert time.monotonic() - began < 3.0
