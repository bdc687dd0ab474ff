"""The queue's tables are procrastinate's own, so Django does not empty them after a test."""

from collections.abc import Iterator

import pytest

from tests import database


@pytest.fixture
def queue(transactional_db: None) -> Iterator[None]:
    """An empty queue, for tests whose transactions are real."""
    _empty()
    yield
    _empty()


def _empty() -> None:
    database.empty((*database.QUEUE, "procrastinate_workers"))
