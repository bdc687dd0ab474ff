"""Work that is begun before its step, in a thread: transfers, while other steps wait for programs.

The step that needs it waits for it in the main thread, where the time limit and SIGTERM interrupt
the waiting, and gets what it returned or raised. So a failure is that step's own, reported in its
turn; and where another step fails first, it is forgotten. It ends with the process at the latest.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """Runs ``work`` at once; what it writes must lie where nobody looks before ``result``."""

    def __init__(self, name: str, work: Callable[[], T]) -> None:
        self._future: Future[T] = Future()
        self._work = work
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        try:
            self._future.set_result(self._work())
        except BaseException as error:  # noqa: BLE001  raised where it is waited for
            self._future.set_exception(error)

    def result(self) -> T:
        """Wait for the work to end; returns what it returned, raises what it raised."""
        while not self._future.done():
            # With a limit: a signal that another thread gets does not end this one's waiting.
            wait([self._future], timeout=1)
        return self._future.result()
