"""Runway's processes on free ports, as a deployment runs them; tests kill and restart them."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from django.conf import settings

from runway.demo.services import Services, free_port


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
        self._address = f"127.0.0.1:{free_port()}"
        self._services: dict[str, Services] = {}
        self._pids: dict[str, int] = {}
        self._environment = {
            "DJANGO_SETTINGS_MODULE": "runway.settings",
            "RUNWAY_ENV": "development",
            "DATABASE_URL": _database_url(),
            "APP_URL": f"http://{self._address}",
            "ALLOWED_HOSTS": "127.0.0.1",
            "FILES_BASE": settings.FILES_BASE,
            "BUNDLE_REPO": str(bundle_repository),
            "BIND": self._address,
            "WEB_CONCURRENCY": "1",
        }

    def start_web(self, edu: dict[str, str] | None = None) -> None:
        """Start gunicorn anew and wait until it answers; ``edu``: variables of another EDU."""
        self._start(
            "web",
            *("-m", "gunicorn", "runway.wsgi"),
            env=self._edu if edu is None else dict.fromkeys(self._edu, "") | edu,
            answers_at=f"http://{self._address}/healthz",
        )

    def start_worker(self, *argv: str) -> None:
        """Start `manage.py worker` anew, or another Python program that is a worker."""
        self._start("worker", *(argv or ("manage.py", "worker")), env={"TMPDIR": str(self.scratch)})

    def _start(
        self, name: str, *argv: str, env: dict[str, str], answers_at: str | None = None
    ) -> None:
        self.stop(name)
        service = self._services[name] = Services(self._logs)
        self._pids[name] = service.start(
            name, *argv, env=self._environment | env, answers_at=answers_at
        )

    def stop(self, *names: str) -> None:
        """End processes as their supervisor would; harmless for those that do not run."""
        for name in names:
            if name in self._services:
                self._services.pop(name).stop()
                del self._pids[name]

    def kill(self, name: str) -> None:
        """SIGKILL for a process and its group: no chance to tidy up."""
        os.killpg(self._pids[name], signal.SIGKILL)
        self.stop(name)

    def log(self, name: str) -> str:
        return (self._logs / f"{name}.log").read_text(errors="replace")

    def left_behind(self) -> list[str]:
        """What runs have left on this machine: processes (their command lines) and folders."""
        worker = self._pids.get("worker")
        processes = [command for pid, command in self._processes() if pid != worker]
        return processes + [path.name for path in self.scratch.iterdir()]

    def _processes(self) -> Iterator[tuple[int, str]]:
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if str(self.scratch).encode() in (folder / "environ").read_bytes():
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                    yield int(folder.name), command.decode(errors="replace").strip()


def _database_url() -> str:
    database = settings.DATABASES["default"]
    options = database["OPTIONS"]
    return (
        f"postgres://{database['USER']}@/{database['NAME']}"
        f"?host={quote(options['host'])}&port={options['port']}"
    )
