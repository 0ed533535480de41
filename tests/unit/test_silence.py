"""Waiting for Elasticsearch: when the log says so, and that it ends."""

import time

import pytest
from elastic_transport import TransportError

from devstack.process import free_port
from pipeline.clients.elasticsearch import make_elasticsearch
from pipeline.config import Config
from pipeline.deadline import Deadline
from pipeline.sink import requests
from pipeline.sink.requests import request
from pipeline.sink.silence import Silence


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a clock that stands still until a test moves it."""
    now = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_silence_is_told_now_and_then(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    """The log says so after 5 s and then every 30 s, each time with the latest cause."""
    waiting = Silence()
    for second in range(70):
        clock[0] = 1_000.0 + second
        waiting.note(f"cause {second}")

    assert [
        f"Elasticsearch has taken nothing for {second} s (cause {second}); still trying"
        for second in (5, 35, 65)
    ] == caplog.messages


def test_silence_ends(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    """Something taken begins the time again, and an old cause is forgotten."""
    waiting = Silence()
    waiting.note("busy")
    clock[0] += 4
    waiting.end()
    clock[0] += 4
    waiting.tell()
    assert [] == caplog.messages
    assert 1.0 == waiting.seconds_left

    clock[0] += 1
    waiting.tell()
    assert ["Elasticsearch has taken nothing for 5 s (no answer); still trying"] == caplog.messages


def test_a_request_without_a_deadline_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that nobody answers is given up though no deadline is set."""
    monkeypatch.setattr(requests, "BUDGET_SECONDS", 1.5)
    es = make_elasticsearch(Config(es_url=(f"http://127.0.0.1:{free_port()}",)))
    begun = time.monotonic()

    with pytest.raises(TransportError):
        request(es, "GET", "/index", deadline=Deadline())

    assert time.monotonic() - begun < 3
