"""How much memory a run needs: its executor and all processes below it."""

import os
import threading
from contextlib import suppress
from pathlib import Path

SECONDS = 1.0
"""Between two looks, each of which takes a millisecond or two."""


class PeakMemory:
    """Watches from a thread until the process ends, from when it is made."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._peak = 0
        self._look()
        threading.Thread(target=self._watch, name="memory", daemon=True).start()

    @property
    def megabytes(self) -> int | None:
        """The most that was seen so far, in MB. None where the system does not show it.

        What processes share counts for each of them.
        """
        return self._peak // 10**6 or None

    def _watch(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(SECONDS)
            self._look()

    def _look(self) -> None:
        pages, unseen = 0, [os.getpid()]
        while unseen:
            process = self._proc / str(unseen.pop())
            with suppress(OSError):  # it has ended
                pages += int((process / "statm").read_bytes().split()[1])
                for thread in (process / "task").iterdir():
                    unseen += map(int, (thread / "children").read_bytes().split())
        self._peak = max(self._peak, pages * os.sysconf("SC_PAGESIZE"))
