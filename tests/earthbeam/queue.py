"""The queue's tables are procrastinate's own, so Django does not empty them after a test."""

from collections.abc import Iterator

import pytest
from django.db import connection


@pytest.fixture
def queue(transactional_db: None) -> Iterator[None]:
    """An empty queue, for tests whose transactions are real."""
    _empty()
    yield
    _empty()


def _empty() -> None:
    with connection.cursor() as cursor:
        cursor.execute("truncate procrastinate_jobs, procrastinate_workers cascade")
