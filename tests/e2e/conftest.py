"""Share the server that only tests of this folder need: one with users and TLS, for two files."""

from collections.abc import Iterator

import pytest

from tests.e2e.secure import Secure, start_secure


@pytest.fixture(scope="session")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """Give a real Elasticsearch with users and TLS, started once; nothing is set up in it."""
    with start_secure(tmp_path_factory.mktemp("secure")) as server:
        yield server
