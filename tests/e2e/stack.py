"""Runway's processes on free ports, as a deployment runs them; tests kill and restart them."""

import os
import shutil
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from django.conf import settings

from earthbeam.launchers import sandbox
from runway.demo.services import Services


class Stack:
    """The web and worker processes on the tests' database, with their logs below ``folder``.

    The world outside is made in ``folder`` too: whatever a run writes besides its results lies in
    ``scratch``, and every process of a run knows that folder by its environment.
    """

    def __init__(self, folder: Path, bundle_repository: Path, edu: dict[str, str]) -> None:
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self.bundle_repository = bundle_repository
        self._edu = edu
        self._logs = folder / "logs"
        # Kept from others while nobody listens, between two of our own.
        self._port = socket.socket()
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._port.bind(("127.0.0.1", 0))
        self._address = f"127.0.0.1:{self._port.getsockname()[1]}"
        self.url = f"http://{self._address}"
        self._services: dict[str, Services] = {}
        self._pids: dict[str, int] = {}
        self._running: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {}
        self._environment = {
            "DJANGO_SETTINGS_MODULE": "runway.settings",
            "RUNWAY_ENV": "development",
            "DATABASE_URL": database_url(),
            "SECRET_KEY": settings.SECRET_KEY,
            "EXECUTOR_JWT_KEY": settings.EXECUTOR_JWT_KEY,
            "APP_URL": f"http://{self._address}",
            "ALLOWED_HOSTS": "127.0.0.1",
            "FILES_BASE": settings.FILES_BASE,
            "BUNDLE_REPO": str(bundle_repository),
            "BIND": self._address,
            "WEB_CONCURRENCY": "1",
        }

    def start_web(
        self, app: str = "runway.wsgi", edu: dict[str, str] | None = None, **variables: str
    ) -> None:
        """Have gunicorn serve ``app``, started anew unless it does; ``edu``: another EDU's
        variables, none at all for no EDU."""
        self._start(
            "web",
            *("-m", "gunicorn", app),
            env=(self._edu if edu is None else dict.fromkeys(self._edu, "") | edu) | variables,
            answers_at=f"http://{self._address}/healthz",
        )

    def edu_at(self, port: int) -> dict[str, str]:
        """The variables of an EDU that listens on another port, with the same credentials."""
        return self._edu | {"EDU_SNOWFLAKE_PORT": str(port)}

    def start_worker(self, *argv: str, **variables: str) -> None:
        """Have `manage.py worker`, or the program ``argv``, be the worker, as above."""
        environment = {"TMPDIR": str(self.scratch)} | variables
        self._start("worker", *(argv or ("manage.py", "worker")), env=environment)

    def _start(
        self, name: str, *argv: str, env: dict[str, str], answers_at: str | None = None
    ) -> None:
        if self._running.get(name) == (argv, env):
            return
        self.stop(name)
        service = self._services[name] = Services(self._logs)
        self._pids[name] = service.start(
            name, *argv, env=self._environment | env, answers_at=answers_at
        )
        self._running[name] = argv, env

    def stop(self, *names: str) -> None:
        """End processes as their supervisor would; harmless for those that do not run."""
        for name in names:
            self._running.pop(name, None)
            if name in self._services:
                self._services.pop(name).stop()
                self._pids.pop(name, None)

    def has_fallen(self, name: str) -> bool:
        """Whether a process has ended by itself."""
        return name in self._services and self._services[name].fallen() is not None

    def kill(self, name: str) -> None:
        """SIGKILL for a process and its group: no chance to tidy up."""
        os.killpg(self._pids[name], signal.SIGKILL)
        self.stop(name)

    def log(self, name: str) -> str:
        """What a process and those before it have printed."""
        log = self._logs / f"{name}.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def left_behind(self) -> list[str]:
        """What runs have left on this machine: processes (their command lines) and folders.

        What is dying is waited for, and so is the worker's next round, each full minute.
        """
        end = time.monotonic() + 90
        while True:
            found = [*self.processes().values(), *(path.name for path in self.scratch.iterdir())]
            if not found or time.monotonic() > end:
                return found
            time.sleep(0.05)

    def processes(self) -> dict[int, str]:
        """The command lines of all executors and what they have started, by process id."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if str(self.scratch).encode() in (folder / "environ").read_bytes():
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(folder.name)] = command.decode(errors="replace").strip()
        found.pop(self._pids.get("worker", 0), None)
        return found

    def is_sandboxed(self) -> bool:
        """Whether the worker runs executors in a sandbox."""
        return sandbox.is_used()

    def is_running(self, text: str) -> bool:
        """Whether a run has a process with ``text`` in its command line."""
        return any(text in line for line in self.processes().values())

    def tidy_up(self) -> None:
        """End what a test has left behind."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for path in self.scratch.iterdir():
            shutil.rmtree(path, ignore_errors=True)


def database_url() -> str:
    """Of the tests' database, for programs of their own."""
    database = settings.DATABASES["default"]
    options = database["OPTIONS"]
    return (
        f"postgres://{database['USER']}@/{database['NAME']}"
        f"?host={quote(options['host'])}&port={options['port']}"
    )
