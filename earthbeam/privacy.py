"""Keep a process's environment and memory from other processes of its user."""

import ctypes
import sys

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def keep_private() -> None:
    """Close this process, and the forks it makes, to other processes of its user, on Linux.

    They could otherwise read its environment and memory below /proc, or trace it. A program that it
    starts begins open again. Root, with the capability to trace, still can: a sandbox takes that.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
