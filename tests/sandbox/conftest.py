from collections.abc import Iterator
from pathlib import Path

import pytest

from runway.sandbox.bundle_repository import create_bundle_repository
from runway.sandbox.ods import SandboxOds
from runway.sandbox.population import students
from tests.sandbox.ods_client import Client


@pytest.fixture
def ods() -> Iterator[SandboxOds]:
    """An ODS with the whole population's roster of this year."""
    with SandboxOds(students()) as running:
        yield running


@pytest.fixture
def client(ods: SandboxOds) -> Client:
    """A client of that ODS, with a token."""
    return Client(ods)


@pytest.fixture(scope="session")
def bundle_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample bundles as a git repository; read only."""
    return create_bundle_repository(tmp_path_factory.mktemp("bundles"))
