"""The one place where the executor starts other programs.

A child gets a session of its own, an environment that is spelt out, and no standard input. Its
output goes to the log line by line while a bounded tail is kept. However the wait ends (the child
exits, the run's time is over, somebody is told to stop), its whole group is gone afterwards. If the
executor itself is killed, Linux kills the child: nothing is sent for a run that has failed.
"""

import ctypes
import logging
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

TERMINATE_SECONDS = 5.0
"""How long a group may take to end after SIGTERM, before SIGKILL."""

_TAIL_LINES = 200
_LINE_BYTES = 8 * 1024
_LOGGED_BYTES = 2 * 1024 * 1024

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_prctl: Any = getattr(ctypes.CDLL(None), "prctl", None)  # Linux has it


@dataclass(frozen=True)
class Completed:
    """How a child ended: its exit code (negative: the signal that ended it) and last lines."""

    exit_code: int
    tail: str


class StoppedEarly(Exception):
    """The watcher of a child's output asked to end it; ``tail`` are its last lines."""

    def __init__(self, tail: str) -> None:
        super().__init__("ended early")
        self.tail = tail


def run(
    argv: tuple[str, ...],
    *,
    label: str | None,
    env: Mapping[str, str],
    cwd: Path,
    stop_when: Callable[[str], bool] = lambda line: False,
) -> Completed:
    """Run ``argv`` to its end and return how it ended.

    ``label`` precedes its lines in the log; None keeps them out of it. ``stop_when`` sees every
    line; answering True ends the child and raises StoppedEarly.
    An exception raised meanwhile by a signal handler passes through, after the group is gone.
    """
    child = subprocess.Popen(
        argv,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        # Runs after fork; the function is bound already, so that it takes no lock there.
        preexec_fn=_die_with_executor if _prctl else None,
    )
    output = _Output(child, label, stop_when)
    try:
        while child.poll() is None and not output.stop_asked.is_set():
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=0.2 if output.is_open() else None)
    finally:
        exit_code = _end_group(child)
        output.close()
    if output.stop_asked.is_set():
        raise StoppedEarly(output.tail())
    return Completed(exit_code, output.tail())


def _die_with_executor() -> None:
    """In the child: have the kernel kill it when the executor dies."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_group(child: "subprocess.Popen[bytes]") -> int:
    """End the child's whole group: SIGTERM and a pause for a live child, SIGKILL for the rest."""
    if child.poll() is None:
        _signal_group(child, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=TERMINATE_SECONDS)
    _signal_group(child, signal.SIGKILL)
    return child.wait()


def _signal_group(child: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


class _Output:
    """Reads a child's output in a thread of its own, so that a full pipe never blocks the child."""

    def __init__(
        self, child: "subprocess.Popen[bytes]", label: str | None, stop_when: Callable[[str], bool]
    ) -> None:
        self.stop_asked = threading.Event()
        self._stream = child.stdout
        self._label = label
        self._stop_when = stop_when
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._thread = threading.Thread(target=self._read, name=f"output-{label}", daemon=True)
        self._thread.start()

    def is_open(self) -> bool:
        return self._thread.is_alive()

    def _read(self) -> None:
        stream = self._stream
        assert stream is not None
        logged = 0
        with suppress(ValueError, OSError):  # closed under us, when a grandchild keeps the pipe
            for raw in iter(lambda: stream.readline(_LINE_BYTES), b""):
                line = raw.decode("utf-8", errors="replace").replace("\0", "").rstrip()
                self._tail.append(line)
                logged += len(raw)
                if self._label and logged <= _LOGGED_BYTES:
                    logger.info("%s | %s", self._label, line)
                    if logged + _LINE_BYTES > _LOGGED_BYTES:
                        logger.info("%s | … (the rest of its output is left out)", self._label)
                        logged = _LOGGED_BYTES + 1
                if self._stop_when(line):
                    self.stop_asked.set()

    def close(self) -> None:
        self._thread.join(timeout=2.0)
        if self._thread.is_alive():
            logger.warning("%s | a process it started keeps its output open", self._label)
        elif self._stream is not None:
            self._stream.close()

    def tail(self) -> str:
        return "\n".join(self._tail)


def wait(seconds: float) -> None:
    """Pause, between tries; a signal handler's exception ends it."""
    time.sleep(seconds)
