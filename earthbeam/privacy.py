"""Keep a process's environment and memory from other processes of its user."""

import ctypes
import sys

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def keep_private() -> None:
    """Protect this process and its forks from other processes of the same user, on Linux.

    Those could otherwise trace it, or read its environment and memory in /proc. A program that it
    starts is unprotected again. Root, with the capability to trace, still has access; only a
    sandbox prevents that.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
