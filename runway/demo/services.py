"""The demo's processes, started in order and stopped in reverse. None is left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from urllib.error import URLError
from urllib.request import urlopen

PROJECT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
STOP_SECONDS = 30.0
"""More than a worker gives its executors to report."""


class ServiceFailed(Exception):
    """A process did not start. The message has the end of its log."""


def free_port() -> int:
    """Return a free port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Services:
    """A context manager that owns processes. Each writes its log to ``logs``."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        logs.mkdir(parents=True, exist_ok=True)
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> "Services":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(
        self,
        name: str,
        *argv: str,
        env: Mapping[str, str],
        answers_at: str | None = None,
        cwd: Path = PROJECT,
    ) -> int:
        """Start ``python ARGV`` and, if given, wait until the URL ``answers_at`` responds.

        Returns its process ID, which is also its group's. Raises ServiceFailed.
        """
        log = self.logs / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                (sys.executable, *argv),
                cwd=cwd,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the demo, which stops them in order
            )
        self._running.append((name, process))
        deadline = time.monotonic() + START_SECONDS
        while answers_at and not _answers(answers_at):
            if process.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(errors="replace")[-2000:]
                raise ServiceFailed(f"{name} did not start; the end of {log}:\n{tail}")
            time.sleep(0.1)
        return process.pid

    def fallen(self) -> str | None:
        """Return the name of a process that has ended, if any."""
        return next((name for name, process in self._running if process.poll() is not None), None)

    def stop(self) -> None:
        """End all processes and everything they started, the last one first."""
        while self._running:
            _, process = self._running.pop()
            with suppress(ProcessLookupError):
                process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2):  # noqa: S310  our own processes
            return True
    except (URLError, OSError):
        return False
