"""The tests' database: made from one that was migrated, and emptied quickly."""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.core.management import call_command
from django.db import connection, transaction
from django.test import TransactionTestCase

MIGRATED = "migrated"
"""The database of which each process of a run gets a copy."""

QUEUE = ("procrastinate_periodic_defers", "procrastinate_jobs", "procrastinate_events")
"""In the order in which a worker locks them, or the two might wait for each other."""

# The same in every database of this code, and kept in caches by their ids.
_CONSTANT = {"django_migrations", "django_content_type", "auth_permission"}

_EMPTY = """
do $$
declare
    named text;
    used boolean;
begin
    set local session_replication_role = replica;  -- in any order, past foreign keys
    foreach named in array array[{names}] loop
        execute format('select exists (select from %I)', named) into used;
        if used then
            execute format('delete from %I', named);
        end if;
    end loop;
end $$
"""


def copy_of_migrated() -> None:
    """Have Django make the tests' database as a copy of one that was migrated once in this run."""
    settings = connection.settings_dict
    with _lock(), psycopg.connect(**_server(), autocommit=True) as server:
        found = server.execute("select from pg_database where datname = %s", (MIGRATED,))
        if not found.rowcount:
            server.execute("create database migrating")
            name, settings["NAME"] = settings["NAME"], "migrating"
            try:
                call_command("migrate", verbosity=0, interactive=False)
            finally:
                connection.close()
                settings["NAME"] = name
            server.execute(f"alter database migrating rename to {MIGRATED}")
    settings["TEST"]["TEMPLATE"] = MIGRATED


@contextmanager
def _lock() -> Iterator[None]:
    """Held by one process of the run at a time."""
    folder = Path(connection.settings_dict["OPTIONS"]["host"])
    with (folder / "migrated.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _server() -> dict[str, Any]:
    settings = connection.settings_dict
    return {
        "host": settings["OPTIONS"]["host"],
        "port": settings["OPTIONS"]["port"],
        "user": settings["USER"],
        "dbname": "postgres",
    }


def empty(tables: Sequence[str]) -> None:
    """Delete all rows; waits, as TRUNCATE would, for whoever is at one of the tables.

    TRUNCATE makes new files for each table and index, however few rows there are.
    """
    quoted = ", ".join(connection.ops.quote_name(table) for table in tables)
    names = ", ".join(f"'{table}'" for table in tables)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"lock table {quoted} in access exclusive mode")
        cursor.execute(_EMPTY.format(names=names))


def leave_quickly() -> None:
    """Have Django do less after a test whose transactions were real.

    Instead of its `flush`, which also looks for all content types and permissions anew, tables are
    emptied. The connection stays: one that is new takes long for its first queries.
    """
    case: Any = TransactionTestCase
    case._fixture_teardown = lambda self: _empty_all()
    case._should_reload_connections = lambda self: not connection.is_usable()


def _empty_all() -> None:
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    empty([table for table in tables if table not in _CONSTANT])
    # The queue's are procrastinate's own: Django does not know them, and every later test of the
    # process would find its work.
    empty(QUEUE)
    with connection.cursor() as cursor:
        cursor.execute("reset deadlock_timeout")  # tests of the whole stack are patient till here
