"""Share what only tests of this folder need: the service as two users would deploy it."""

import pytest

from tests.support.deployment import BARE, FULL, Service, packaged_service


@pytest.fixture(scope="session")
def bare_service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """Return the service of a user who sets what must be set."""
    return packaged_service(tmp_path_factory, "bare", BARE)


@pytest.fixture(scope="session")
def full_service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """Return the service of a user who sets everything."""
    return packaged_service(tmp_path_factory, "full", FULL)
