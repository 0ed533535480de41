"""Share what only these tests need: days, a server with users and TLS, a deployed stack."""

from collections.abc import Iterator

import pytest
from elasticsearch import Elasticsearch

from tests.support.factories import unused_day
from tests.support.secure import Secure, start_secure
from tests.support.stack import Stack, started_stack


@pytest.fixture
def day() -> str:
    """Return a day that no other test has lines of."""
    return unused_day()


@pytest.fixture(scope="session")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """Yield a real Elasticsearch with users and TLS, started once; nothing is set up in it."""
    with start_secure(tmp_path_factory.mktemp("secure")) as server:
        yield server


@pytest.fixture(scope="module")
def stack(
    elasticsearch_url: str, es: Elasticsearch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Yield the stack deployed into an account of its own, whose bucket notifies its queue."""
    with started_stack(elasticsearch_url, es, tmp_path_factory) as deployed:
        yield deployed
