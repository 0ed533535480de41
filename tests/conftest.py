"""
Share the servers of the tests.

Every test that touches Elasticsearch gets the real one, started once; each test works under an
index prefix of its own, so tests do not see each other. No test is skipped for lack of a server.
"""

import os
import signal
import uuid
from collections.abc import Iterator
from functools import cache
from types import ModuleType

import botocore.session
import pytest
from elasticsearch import Elasticsearch

from devstack.aws import AwsServer, start_aws
from devstack.elasticsearch import start_elasticsearch
from pipeline.clients.elasticsearch import make_elasticsearch
from pipeline.cluster.templates import Layout, apply_setup, plan_setup
from pipeline.config import Config
from pipeline.sink.store import Store, open_store
from tests.support.cluster import remove


def pytest_configure() -> None:
    """
    Have commands that tests start end at SIGINT, as they do on a terminal.

    A shell starts what it runs in the background, as some CI does, with SIGINT ignored, and every
    process below inherits that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the real Elasticsearch, so that it can be left out: -m 'not server'."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        if "es" in names or item.get_closest_marker("server"):
            item.add_marker(pytest.mark.server)


@pytest.fixture(scope="session", autouse=True)
def aws_models_read_once() -> Iterator[None]:
    """Let all sessions of boto3 share what they read from its many files, which never change."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))
        yield


@pytest.fixture(scope="session")
def servers() -> None:
    """Stand for a server in a process of its own: only slow tests may ask for one."""


@pytest.fixture(scope="session")
def elasticsearch_url(servers: None) -> Iterator[str]:  # noqa: ARG001  a mark
    """Yield the address of a real Elasticsearch: the one that is set, or else our own."""
    given = os.environ.get("ALB_LOGS_ES_URL")  # noqa: TID251  chooses the tests' server
    if given:
        yield given
        return
    with start_elasticsearch() as server:
        yield server.url


@pytest.fixture(scope="session")
def es(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    """Yield a client of the real Elasticsearch, made as the product makes it."""
    client = make_elasticsearch(Config(es_url=(elasticsearch_url,)))
    yield client
    client.close()


@pytest.fixture
def prefix(es: Elasticsearch) -> Iterator[str]:
    """Yield an index prefix that no other test uses; what was made under it is removed."""
    name = f"t{uuid.uuid4().hex[:10]}"
    yield name
    remove(es, name)


@pytest.fixture
def store(es: Elasticsearch, prefix: str) -> Store:
    """Return a cluster that `setup` has prepared under this test's prefix."""
    apply_setup(es, plan_setup(es, Layout(prefix=prefix, replicas=0)))
    return open_store(es, prefix)


@pytest.fixture(scope="session")
def aws(servers: None) -> Iterator[AwsServer]:  # noqa: ARG001  a mark
    """Yield an AWS emulator in a process of its own."""
    with start_aws() as server:
        yield server


@pytest.fixture
def handler_module(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Yield `lambda/handler.py` as AWS imports it: by string, with cold clients; cool it again."""
    import importlib  # noqa: PLC0415

    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "alb-logs")
    module = importlib.import_module("lambda.handler")
    module.wired.forget()
    yield module
    module.wired.forget()
