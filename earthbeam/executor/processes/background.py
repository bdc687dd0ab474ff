"""Start work before its step, in a thread: transfers, while other steps wait for programs.

The step that needs the result waits for it in the main thread, where the time limit and SIGTERM can
interrupt, and gets what the work returned or raised. A failure is thus reported as that step's own.
If another step fails first, the result is discarded. The work ends with the process at the latest.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """Starts ``work`` at once. Nothing may read its output before ``result``."""

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
        """Wait for the work to end. Returns what it returned, or raises what it raised."""
        while not self._future.done():
            # With a timeout: a signal delivered to another thread does not end this wait.
            wait([self._future], timeout=1)
        return self._future.result()
