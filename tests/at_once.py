"""Calls that race each other, each in a thread of its own with its own database connection."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection, connections, transaction


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What the calls return or, where one raises, the exception."""
    start = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(index: int, call: Callable[[], Any]) -> None:
        start.wait()
        try:
            results[index] = call()
        except Exception as error:  # noqa: BLE001 -- for the test to look at
            results[index] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def overtaken(call: Callable[[], Any], by: Callable[[], Any]) -> Any:
    """What ``call`` returns, which has read the database before ``by`` changed a row that it wants.

    ``by`` holds the row until the call stands before it, or has ended without.
    """
    results: list[Any] = []
    caller = threading.Thread(target=lambda: results.extend(at_once([call])))
    with transaction.atomic():
        by()
        caller.start()
        while caller.is_alive() and not _somebody_waits_for_us():
            time.sleep(0.01)
    caller.join()
    return results[0]


def _somebody_waits_for_us() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks"
            " WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        return bool(cursor.fetchone()[0])
