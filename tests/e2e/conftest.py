from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from runway.demo.seed import seed
from runway.sandbox.bundle_repository import create_bundle_repository
from runway.sandbox.edu import SandboxEdu
from runway.sandbox.input_files import InputFile, write_interim_file, write_summative_file
from runway.sandbox.ods import SandboxOds
from runway.sandbox.population import students
from tests.e2e.stack import Stack


@pytest.fixture(scope="package")
def edu() -> Iterator[SandboxEdu]:
    with SandboxEdu() as edu:
        yield edu


@pytest.fixture(scope="package")
def running_stack(
    django_db_setup: None,
    django_db_blocker: Any,
    edu: SandboxEdu,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """Web and worker on the tests' database; they stay while the database is emptied."""
    folder = tmp_path_factory.mktemp("e2e")
    repository = create_bundle_repository(folder / "bundles")
    stack = Stack(folder, repository, edu.environment())
    try:
        stack.start_web()
        stack.start_worker()
        yield stack
    finally:
        stack.stop("worker", "web")
        with django_db_blocker.unblock():
            _empty("procrastinate_jobs", "procrastinate_workers")


@pytest.fixture
def ods() -> Iterator[SandboxOds]:
    """The district's ODS, with nothing in it but the roster."""
    with SandboxOds(students()) as ods:
        yield ods


@pytest.fixture
def stack(
    transactional_db: None, running_stack: Stack, ods: SandboxOds, settings: Any
) -> Iterator[Stack]:
    """Runway with a partner whose one district has this ODS, and jobs that find both."""
    # Not the workers: this stack's own lives on.
    _empty("procrastinate_jobs")
    settings.BUNDLE_REPO = str(running_stack.bundle_repository)
    seed(ods.url)
    yield running_stack


@pytest.fixture
def interim(tmp_path: Path) -> InputFile:
    return write_interim_file(tmp_path)


@pytest.fixture
def summative(tmp_path: Path) -> InputFile:
    return write_summative_file(tmp_path)


def _empty(*tables: str) -> None:
    """Empty tables of the queue, which are procrastinate's own: Django leaves them as they are."""
    with connection.cursor() as cursor:
        cursor.execute(f"truncate {', '.join(tables)} cascade")
