"""End a child process and everything it started."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

_END_SECONDS = 10.0
_BY_SIGNAL = 128


def terminate(child: "subprocess.Popen[bytes]") -> None:
    """Send SIGTERM to the child's group."""
    _signal_group(child.pid, signal.SIGTERM)


def kill(child: "subprocess.Popen[bytes]") -> int:
    """Kill the child, its group, and its descendants, and return its exit code.

    All are gone on return, except processes that the kernel takes seconds to end. Descendants in
    other sessions are found while their parents live, on systems with /proc.
    """
    strays = _descendants(child.pid) if child.poll() is None else set()
    _signal_group(child.pid, signal.SIGKILL)
    for pid in strays:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    code = child.wait()
    deadline = time.monotonic() + _END_SECONDS
    while strays and time.monotonic() < deadline:
        strays = {pid for pid in strays if _is_alive(pid)}
        time.sleep(0.01 if strays else 0)
    return code


def exit_text(code: int) -> str:
    """Describe how a child ended: its exit status, or the signal that ended it.

    Shells and sandboxes report the signal that ended their program by a status above 128.
    """
    if code > _BY_SIGNAL and code - _BY_SIGNAL in set(signal.Signals):
        code = _BY_SIGNAL - code
    if code >= 0:
        return f"exit status {code}"
    name = signal.Signals(-code).name
    return f"{name} (often: out of memory)" if name == "SIGKILL" else name


def _is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


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
