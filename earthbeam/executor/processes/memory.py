"""How much memory a run needs: its executor and all processes below it."""

import os
import threading
from contextlib import suppress
from pathlib import Path

SECONDS = 0.5
"""Between two looks."""


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
        parents: dict[int, int] = {}
        pages: dict[int, int] = {}
        for stat in self._proc.glob("[0-9]*/stat"):
            with suppress(OSError):  # it has ended
                # PID (NAME) STATE PPID …, where the name may hold blanks and parentheses. See
                # proc(5); the resident pages are the 24th field.
                fields = stat.read_text(errors="replace").rpartition(")")[2].split()
                pid = int(stat.parent.name)
                parents[pid], pages[pid] = int(fields[1]), int(fields[21])
        ours, grown = {os.getpid()}, True
        while grown:
            below = {pid for pid, parent in parents.items() if parent in ours} - ours
            ours |= below
            grown = bool(below)
        total = sum(pages.get(pid, 0) for pid in ours) * os.sysconf("SC_PAGESIZE")
        self._peak = max(self._peak, total)
