"""End processes that children leave running in other sessions, outside their group.

On Linux the executor becomes the parent of every orphan below it, and kills them when none of its
own children are running.
"""

import ctypes
import logging
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

STRAYS_SECONDS = 5.0
"""How long to keep killing processes that start others faster than they are killed."""

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_prctl: Any = getattr(ctypes.CDLL(None), "prctl", None)  # Linux only

_adopted = False
_children = 0
_lock = threading.Lock()


def adopt() -> None:
    """Become the parent of every orphan below this process, in order to end them.

    For a program that starts processes only through running.py: any other child is killed too.
    """
    global _adopted
    _adopted = bool(_prctl) and _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def child_started() -> None:
    """Note that one of the executor's own children is running."""
    global _children
    with _lock:
        _children += 1


def child_ended() -> None:
    """Note that a child has ended. After the last one, kill everything below this process."""
    global _children
    with _lock:
        _children -= 1
        if not _children:
            _kill(spared=set())


def end_all_but(child: int) -> None:
    """End everything except the process ``child``, if that is the only child."""
    with _lock:
        if _children == 1:
            _kill(spared={child})


def _kill(spared: set[int]) -> None:
    deadline = time.monotonic() + STRAYS_SECONDS
    parents = {os.getpid(), *spared}
    while _adopted and (strays := _children_of(parents) - spared):
        for pid in strays:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        if time.monotonic() > deadline:
            logger.warning("processes that a bundle has left could not be ended")
            break
        time.sleep(0.01)


def _children_of(parents: set[int]) -> set[int]:
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # PID (NAME) STATE PPID …, where the name may hold blanks and parentheses.
            if int(stat.read_text(errors="replace").rpartition(")")[2].split()[1]) in parents:
                found.add(int(stat.parent.name))
    return found
