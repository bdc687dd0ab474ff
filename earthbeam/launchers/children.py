"""Ending a child process and all that it started."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path


def terminate(child: "subprocess.Popen[bytes]") -> None:
    """Ask the child's group to end."""
    _signal_group(child.pid, signal.SIGTERM)


def kill(child: "subprocess.Popen[bytes]") -> int:
    """Kill what is left of the child, its group and its descendants; returns its exit code.

    Descendants in sessions of their own are found while their parents live, on systems with /proc.
    """
    strays = _descendants(child.pid) if child.poll() is None else set()
    _signal_group(child.pid, signal.SIGKILL)
    for pid in strays:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return child.wait()


def exit_text(code: int) -> str:
    """How a child ended, for people: its exit status, or the signal that ended it."""
    if code >= 0:
        return f"exit status {code}"
    name = signal.Signals(-code).name
    return f"{name} (often: out of memory)" if name == "SIGKILL" else name


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _descendants(pid: int) -> set[int]:
    children: dict[int, set[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # PID (NAME) STATE PPID …, where the name may hold blanks and parentheses.
            parent = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, set()).add(int(stat.parent.name))
    found: set[int] = set()
    front = {pid}
    while front:
        front = {child for parent in front for child in children.get(parent, ())} - found
        found |= front
    return found
