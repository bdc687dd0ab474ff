"""The setup of `make bench-roster`: gunicorn, a stand-in EDU, and a database with runs."""

import os
import statistics
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measure import PROJECT, python
from benchmarks.roster_clients import read
from benchmarks.roster_rows import DATA
from runway import embedded_postgres
from runway.demo.services import Services, free_port

READERS = 20
"""How many rosters a process serves at once here."""


class Web:
    """A gunicorn worker: its port and its process."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self.worker = psutil.Process(pid).children()[0]

    def cpu(self) -> float:
        times = self.worker.cpu_times()
        return times.user + times.system

    def megabytes(self) -> float:
        return float(self.worker.memory_info().rss) / 1e6


def serve(services: Services, name: str, app: str, env: Mapping[str, str], threads: int = 4) -> Web:
    port = free_port()
    options = ("-c", os.devnull, "--bind", f"127.0.0.1:{port}", "--workers", "1", "--timeout", "0")
    more = ("--worker-class", "gthread", "--threads", str(threads), "--no-control-socket")
    pid = services.start(
        *(name, "-m", "gunicorn", app, *options, *more),
        env={"WEB_THREADS": str(threads), **env},
        answers_at=f"http://127.0.0.1:{port}/healthz",
    )
    return Web(port, pid)


@contextmanager
def edu(file: Path) -> Iterator[int]:
    """Run the stand-in that sends the tables of ``file``, and yield its port."""
    child = subprocess.Popen(
        python("-m", "benchmarks.roster_edu", "serve", str(file)),
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        yield int(child.stdout.readline())
    finally:
        child.kill()
        child.communicate()


@dataclass(frozen=True)
class World:
    """A database with a partner and its runs, the first of which reads rosters."""

    env: dict[str, str]
    """For the process that serves Runway."""
    paths: list[str]
    headers: list[dict[str, str]]
    query: str = ""

    @property
    def roster(self) -> str:
        return f"{self.paths[0]}/roster{self.query}"


def make_world(runs: int) -> World:
    env = {
        "RUNWAY_ENV": "development",
        "DJANGO_SETTINGS_MODULE": "runway.settings",
        "DATABASE_URL": embedded_postgres.start(DATA / "postgres"),
        "FILES_BASE": f"file://{DATA}/files",
        "ROSTER_STREAMS_MAX": str(READERS),
        "LOG_LEVEL": "WARNING",
    }
    os.environ.update(env)
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from earthbeam.models import Run
    from earthbeam.runs import tokens
    from tests import factories

    factories.make_partner(cross_year_match_enabled=True, identity_checks="hold")
    made = [factories.make_run(status=Run.Status.RUNNING) for _ in range(runs)]
    return World(
        env,
        [f"/api/earthbeam/jobs/{run.pk}" for run in made],
        [{"Authorization": f"Bearer {tokens.access_token(run)}"} for run in made],
    )


def compare(
    servers: Mapping[str, Web], world: World, rows: int, rounds: int
) -> dict[str, dict[str, Any]]:
    """Measure the same roster from each server in turn, after an uncounted warm-up."""
    raw: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
    for at in range(rounds + 1):
        for name, web in servers.items():
            cpu = web.cpu()
            seconds, _ = read(web.port, world.roster, world.headers[0])
            if at:
                raw[name].append((seconds, web.cpu() - cpu))
    return {
        name: {
            "rows": rows,
            "seconds": [round(wall, 4) for wall, _ in runs],
            "median_seconds": statistics.median(wall for wall, _ in runs),
            "cpu_seconds": round(statistics.median(cpu for _, cpu in runs), 3),
            "students_per_second": round(rows / statistics.median(wall for wall, _ in runs)),
        }
        for name, runs in raw.items()
    }


def ratio(results: Mapping[str, Mapping[str, Any]], slower: str, faster: str) -> float:
    slow, fast = (float(results[name]["median_seconds"]) for name in (slower, faster))
    return round(slow / fast, 2)
