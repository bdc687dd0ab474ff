"""Start other programs. No other module of the executor does.

A child gets its own session, an explicit environment, and no standard input. Its output is logged
line by line, and a bounded tail is kept. However the wait ends (exit, time limit, request to stop),
the child's whole group is gone afterwards. If the executor itself is killed, Linux kills the child,
so that nothing is sent for a run that has failed.
"""

import ctypes
import logging
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from earthbeam.executor.errors import StepFailed
from earthbeam.executor.processes import interruption, strays

logger = logging.getLogger(__name__)

TERMINATE_SECONDS = 3.0
"""How long a group may take to end after SIGTERM, before SIGKILL."""

_TAIL_LINES = 200
_LINE_BYTES = 8 * 1024
_LOGGED_BYTES = 2 * 1024 * 1024

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_prctl: Any = getattr(ctypes.CDLL(None), "prctl", None)  # Linux only


@dataclass(frozen=True)
class Completed:
    """How a child ended: its exit code (negative: the signal that ended it) and last lines."""

    exit_code: int
    tail: str


class StoppedEarly(Exception):
    """A child was ended at the request of its output's watcher. ``tail`` has its last lines."""

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
    """Run ``argv`` until it ends, and return how it ended.

    ``label`` precedes its lines in the log; with None they are not logged. ``stop_when`` gets every
    line; returning True ends the child and raises StoppedEarly. Raises StepFailed if another
    process killed the child, as the system does when memory runs out. An exception from a signal
    handler passes through after the group is gone.
    """
    # An interruption must not lose a child that has just started, or spare one that is ending.
    with interruption.held():
        child = _start(argv, env, cwd, stdin=subprocess.DEVNULL)
        stop_asked = threading.Event()

        def watch(line: str) -> bool:
            if stop_when(line):
                stop_asked.set()
            return False

        output = _Output(child, label, watch)
        strays.child_started()
        try:
            with interruption.let_through():
                while child.poll() is None and not stop_asked.is_set():
                    with suppress(subprocess.TimeoutExpired):
                        child.wait(timeout=0.2 if output.is_open() else None)
        finally:
            exit_code = _end_group(child)
            strays.child_ended()
            output.close()
    if stop_asked.is_set():
        raise StoppedEarly(output.tail())
    return completed(exit_code, label or Path(argv[0]).name, output.tail())


def completed(exit_code: int, name: str, tail: str) -> Completed:
    """Return how a child ended. Raises StepFailed if another process killed it."""
    if exit_code == -signal.SIGKILL:
        raise _killed(name, tail)
    return Completed(exit_code, tail)


def _start(
    argv: tuple[str, ...], env: Mapping[str, str], cwd: Path, *, stdin: int
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        argv,
        env=dict(env),
        cwd=cwd,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        # Runs after fork. The function is already bound, so that it takes no lock there.
        preexec_fn=_die_with_executor if _prctl else None,
    )


class ServerProcess:
    """A child that stays: it gets lines, and answers each with a line that begins with a mark.

    Its other output is logged, as with ``run``. A context manager: whatever ends the block, the
    child's whole group is gone afterwards.
    """

    def __init__(
        self, argv: tuple[str, ...], *, label: str, mark: str, env: Mapping[str, str], cwd: Path
    ) -> None:
        self._label, self._mark = label, mark
        self._heard: Callable[[str], bool] = lambda line: False
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        with interruption.held():
            self._child = _start(argv, env, cwd, stdin=subprocess.PIPE)
            self._output = _Output(self._child, label, self._is_answer)
            strays.child_started()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with interruption.held():
            _end_group(self._child)
            strays.child_ended()
            self._output.close()

    def ask(self, line: str, heard: Callable[[str], bool] = lambda line: False) -> tuple[str, str]:
        """Send a line. Returns the answer, without its mark, and the last lines printed before it.

        Until then, ``heard`` gets every line, in another thread. If it returns True, the line is
        not kept or logged. Raises StepFailed if the child has ended instead.
        """
        self._output.forget()
        self._heard = heard
        stdin = self._child.stdin
        assert stdin is not None
        with suppress(OSError):  # the child has ended, which the loop detects
            stdin.write(line.encode() + b"\n")
            stdin.flush()
        while True:
            gone = self._child.poll() is not None or not self._output.is_open()
            with suppress(queue.Empty):
                answer = self._answers.get(timeout=0.2)
                # What the child started for this must not see what follows, with credentials.
                strays.end_all_but(self._child.pid)
                return answer, self._output.tail()
            if gone:
                raise _killed(self._label, self._output.tail())

    def _is_answer(self, line: str) -> bool:
        if not line.startswith(self._mark):
            return not line or self._heard(line)  # drops the empty line before an answer
        self._answers.put(line.removeprefix(self._mark))
        return True


def _killed(name: str, tail: str) -> StepFailed:
    """Return the failure of a child that was killed. The app may retry with more memory."""
    return StepFailed(
        "unknown",
        f"The system killed {name}, most often because memory ran out. Split the file into smaller"
        " ones, or give executors more memory.",
        out_of_memory=True,
        stacktrace=tail,
    )


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
    """Reads a child's output in a separate thread, so that a full pipe never blocks the child."""

    def __init__(
        self, child: "subprocess.Popen[bytes]", label: str | None, watch: Callable[[str], bool]
    ) -> None:
        """``watch`` sees each line. If it returns True, the line is not kept or logged."""
        self._stream = child.stdout
        self._label = label
        self._watch = watch
        self._logged = 0
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._thread = threading.Thread(target=self._read, name=f"output-{label}", daemon=True)
        self._thread.start()

    def is_open(self) -> bool:
        return self._thread.is_alive()

    def _read(self) -> None:
        stream = self._stream
        assert stream is not None
        with suppress(ValueError, OSError):  # closed if a grandchild keeps the pipe open
            for raw in iter(lambda: stream.readline(_LINE_BYTES), b""):
                line = raw.decode("utf-8", errors="replace").replace("\0", "").rstrip()
                if not self._watch(line):
                    self._keep(line, len(raw))

    def _keep(self, line: str, size: int) -> None:
        self._tail.append(line)
        self._logged += size
        if self._label and self._logged <= _LOGGED_BYTES:
            logger.info("%s | %s", self._label, line)
            if self._logged + _LINE_BYTES > _LOGGED_BYTES:
                logger.info("%s | … (the rest of its output is left out)", self._label)
                self._logged = _LOGGED_BYTES + 1

    def forget(self) -> None:
        """Reset the last lines and the limit on logged output."""
        self._tail.clear()
        self._logged = 0

    def close(self) -> None:
        self._thread.join(timeout=5.0)
        if self._thread.is_alive():
            logger.warning("%s | a process it started keeps its output open", self._label)
        elif self._stream is not None:
            self._stream.close()

    def tail(self) -> str:
        return "\n".join(self._tail)


def wait(seconds: float) -> None:
    """Pause between tries. A signal handler's exception ends it."""
    time.sleep(seconds)
