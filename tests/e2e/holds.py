"""Holding a run in one of its steps, so that a test is sure to act in the middle of it."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from django.db import connection
from django.db.models import Model

from earthbeam.models import OutputSet, RunUpdate
from runway.sandbox.chunked_snowflake import ChunkedSnowflake
from runway.sandbox.ods import Faults, SandboxOds


@contextmanager
def slow_roster(ods: SandboxOds) -> Iterator[None]:
    """The ODS takes its time, which the roster is the first to feel."""
    ods.faults = Faults(delay_seconds=3)
    yield
    ods.faults = Faults()


@contextmanager
def slow_to_take(ods: SandboxOds) -> Iterator[None]:
    """The ODS takes its time over what it is sent, and is as fast as ever until then."""
    ods.faults = Faults(post_delay_seconds=3)
    yield
    ods.faults = Faults()


@contextmanager
def halted_roster(edu: ChunkedSnowflake) -> Iterator[threading.Event]:
    """EDU sends no part of its roster yet; the event tells that it was asked for one."""
    asked, go_on = threading.Event(), threading.Event()

    def halt(request: object, number: int) -> bool:
        asked.set()
        go_on.wait(60)
        return False  # then it is sent after all

    edu.on_chunk = halt
    yield asked
    edu.on_chunk = None
    go_on.set()


def without_the_end_of(step: str) -> AbstractContextManager[None]:
    """The app cannot store that a step is over; the executor tries again and again to say so."""
    return _refused(RunUpdate, f"new.action = '{step}' and new.status <> 'begin'")


def without_output_sets() -> AbstractContextManager[None]:
    """The app cannot store an output set, which is how the last step begins."""
    return _refused(OutputSet, "true")


@contextmanager
def _refused(model: type[Model], condition: str) -> Iterator[None]:
    """The database refuses new rows that meet a condition."""
    with connection.cursor() as cursor:
        cursor.execute(
            "create function refuse() returns trigger language plpgsql as"
            " $$ begin raise exception 'refused by the test'; end $$"
        )
        cursor.execute(
            f"create trigger refuse before insert on {model._meta.db_table} for each row"
            f" when ({condition}) execute function refuse()"
        )
        try:
            yield
        finally:
            cursor.execute("drop function refuse cascade")
