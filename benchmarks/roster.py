"""`make bench-roster`: how fast rosters leave the server, and what they cost it.

    python -m benchmarks.roster [--sizes 200000,1000000] [--rounds 5] [--load-seconds 20]
                                [--soak 500]

1. The same rows over loopback from one gunicorn thread: row by row, ours, and the bare bytes.
2. The same through the real connector, from a stand-in that sends gzipped chunks of 10,000 rows.
3. Twenty slow readers, and twenty executors that report meanwhile; then a soak.
4. The pool, warm and cold, with twenty threads.

Runs are interleaved; ratios are of medians.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pyarrow

from benchmarks.measure import PROJECT, RESULTS, machine, python, write_results
from benchmarks.roster_load import Cut, SlowReaders, give_up, p99, read, report
from edu.pools import Pools
from runway import embedded_postgres
from runway.demo.services import Services, free_port

FIRST_BATCH, BATCH = 500, 10_000
"""Rows of a batch; 10,000 are 3.6 MB."""
READERS = 20
DATA = RESULTS / "roster"


# --- The rows ---------------------------------------------------------------------------------


def prepare(rows: int) -> Path:
    """The folder with that many students, as columns, as lines and as plain bytes."""
    folder = DATA / str(rows)
    if (folder / "lines.jsonl").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    names = ("organisation", "student", "codes")
    columns_schema = _text_schema(*names)
    lines_schema = _text_schema("line")
    with (
        pyarrow.ipc.new_file(str(folder / "columns.arrow"), columns_schema) as columns,
        pyarrow.ipc.new_file(str(folder / "lines.arrow"), lines_schema) as lines,
        (folder / "lines.part").open("wb") as plain,
    ):
        # Snowflake's first batch comes with the answer, and is small.
        starts = [0, *range(FIRST_BATCH, rows, BATCH), rows]
        for start, end in itertools.pairwise(starts):
            students = [_student(n) for n in range(start, end)]
            columns.write_batch(
                pyarrow.record_batch([*zip(*students, strict=True)], columns_schema)
            )
            text = [
                f'{{"educationOrganizationReference":{a},"studentReference":{b},'
                f'"studentIdentificationCodes":{c}}}\n'
                for a, b, c in students
            ]
            lines.write_batch(pyarrow.record_batch([text], lines_schema))
            plain.write("".join(text).encode())
    return (folder / "lines.part").rename(folder / "lines.jsonl").parent


def _text_schema(*names: str) -> Any:
    kind = {"logicalType": "TEXT", "precision": "38", "scale": "0", "charLength": "16777216"}
    return pyarrow.schema([pyarrow.field(name, pyarrow.string(), metadata=kind) for name in names])


def _student(number: int) -> tuple[str, str, str]:
    codes = [
        {"studentIdentificationSystemDescriptor": f"uri://ed-fi.org/{system}"} | code
        for system, code in (
            ("StudentIdentificationSystemDescriptor#State", _code(number * 7919)),
            ("StudentIdentificationSystemDescriptor#Local", _code(number * 104_729)),
        )
    ]
    compact = (",", ":")
    organisation = {"educationOrganizationId": 255901, "link": {"rel": "LocalEducationAgency"}}
    return (
        json.dumps(organisation, separators=compact),
        json.dumps({"studentUniqueId": str(10**6 + number)}, separators=compact),
        json.dumps(codes, separators=compact),
    )


def _code(number: int) -> dict[str, str]:
    return {"identificationCode": f"{number * 2_654_435_761 % 10**10:010d}"}


# --- The servers ------------------------------------------------------------------------------


class Web:
    """A gunicorn worker: where it listens, and its process."""

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
    """The stand-in that sends the tables of ``file``; its port."""
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


def compare(
    servers: Mapping[str, Web], path: str, headers: Mapping[str, str], rows: int, rounds: int
) -> dict[str, dict[str, Any]]:
    """The same roster from each server in turn, after one that does not count."""
    raw: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
    for at in range(rounds + 1):
        for name, web in servers.items():
            cpu = web.cpu()
            seconds, _ = read(web.port, path, headers)
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


# --- Load -------------------------------------------------------------------------------------


def load(
    web: Web, paths: Sequence[str], headers: Sequence[Mapping[str, str]], seconds: float
) -> dict[str, Any]:
    """Slow readers of the first run's roster, while the other runs report."""
    roster, reports = f"{paths[0]}/roster", [f"{path}/status" for path in paths[1:]]
    read(web.port, roster, headers[0])
    report(web.port, reports, headers[1:], 2)  # every thread has met the database
    unloaded = report(web.port, reports, headers[1:], seconds)
    before = web.megabytes()
    readers = SlowReaders(READERS, web.port, roster, headers[0])
    peak, ended = before, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.1):
            peak = max(peak, web.megabytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    time.sleep(5)  # all have connected
    try:
        read(web.port, roster, headers[0])
        refused = "it was served"
    except Cut as cut:
        refused = str(cut.args[0])
    loaded = report(web.port, reports, headers[1:], seconds)
    ended.set()
    watcher.join()
    return {
        "completed": readers.finish(),
        "one_more": "503 with Retry-After"
        if " 503 " in refused and "Retry-After" in refused
        else refused,
        "calls": len(loaded),
        "p99_ms_unloaded": p99(unloaded),
        "p99_ms_loaded": p99(loaded),
        "mb_before": round(before, 1),
        "mb_peak": round(peak, 1),
        "mb_per_slow_reader": round((peak - before) / READERS, 2),
    }


def soak(web: Web, path: str, headers: Mapping[str, str], streams: int) -> dict[str, Any]:
    """Many rosters, ten at a time, every fourth given up; what the process holds at both ends."""

    def some(number: int) -> None:
        for at in range(number):
            if at % 4:
                read(web.port, path, headers)
            else:
                give_up(web.port, path, headers)

    def round_of(number: int) -> None:
        threads = [threading.Thread(target=some, args=(number,)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(1)

    def held() -> dict[str, float]:
        return {
            "threads": web.worker.num_threads(),
            "files_and_sockets": web.worker.num_fds(),
            "mb": round(web.megabytes(), 1),
        }

    round_of(2)
    before = held()
    round_of(max(1, streams // 10))
    return {"streams": streams, "before": before, "after": held()}


# --- The pool ---------------------------------------------------------------------------------


def pool() -> dict[str, Any]:
    """Twenty threads on a warm pool, and on a cold one."""
    lookups: list[str] = []
    opened: list[Any] = []
    nothing: Any = object()

    class Connection:
        def cursor(self) -> Any: ...

        def close(self) -> None: ...

    def lookup(partner_id: str) -> Any:
        lookups.append(partner_id)
        time.sleep(0.05)
        return nothing

    def connect(credentials: Any) -> Connection:
        time.sleep(0.1)
        opened.append(Connection())
        return opened[-1]

    pools = Pools(lookup, connect)
    times: list[float] = []
    barrier = threading.Barrier(20)

    def work() -> None:
        barrier.wait()
        pools.acquire("bench", 0).release()
        barrier.wait()
        mine = []
        for _ in range(2000):
            started = time.perf_counter()
            pools.acquire("bench", 0).release()
            mine.append(time.perf_counter() - started)
        times.extend(mine)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pools.shutdown()
    micro = [seconds * 1e6 for seconds in times]
    return {
        "acquire_us_median": round(statistics.median(micro), 2),
        "acquire_us_p99": round(statistics.quantiles(micro, n=100)[98], 2),
        "cold_lookups": len(lookups),
        "cold_connections": len(opened),
    }


def compression(folder: Path) -> dict[str, float]:
    """What gzip would cost and save, on one core."""
    whole = (folder / "lines.jsonl").read_bytes()[: 50 << 20]
    started = time.perf_counter()
    small = len(zlib.compress(whole, 1))
    seconds = time.perf_counter() - started
    return {
        "mb_per_second": round(len(whole) / seconds / 1e6, 1),
        "times_smaller": round(len(whole) / small, 2),
    }


# --- All of it --------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", default="200000,1000000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--load-seconds", type=float, default=20)
    parser.add_argument("--soak", type=int, default=500)
    options = parser.parse_args()
    sizes = sorted(int(size) for size in options.sizes.split(","))
    folders = {rows: prepare(rows) for rows in sizes}
    env, paths, headers = world()

    runs: dict[str, Any] = {"pool": pool(), "gzip": compression(folders[sizes[0]])}
    for rows, folder in folders.items():
        runs[f"memory_{rows}"] = in_memory(folder, rows, env, paths, headers, options.rounds)
        runs[f"connector_{rows}"] = by_connector(folder, rows, env, paths, headers, options)
    largest = sizes[-1]
    memory, connector = runs[f"memory_{largest}"], runs[f"connector_{largest}"]
    loads = [runs[f"connector_{rows}"]["load"] for rows in sizes]
    figures = {
        "ratio_to_row_by_row": ratio(memory, "row_by_row", "ours"),
        "ratio_to_file": ratio(memory, "floor", "ours"),
        "connector_ratio_to_row_by_row": ratio(connector, "row_by_row", "ours"),
        "mb_per_slow_reader": max(each["mb_per_slow_reader"] for each in loads),
        "pool_acquire_us_median": runs["pool"]["acquire_us_median"],
        "callback_p99_ratio_under_streams": round(
            statistics.median(each["p99_ms_loaded"] / each["p99_ms_unloaded"] for each in loads), 2
        ),
    }
    show(runs, figures)
    where = machine("gunicorn", "snowflake-connector-python", "pyarrow", "Django")
    print(f"\n{write_results('roster', where, runs, figures)}")


def world() -> tuple[dict[str, str], list[str], list[dict[str, str]]]:
    """A database with a partner and its runs: the environment, paths and headers of the runs."""
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
    from earthbeam import tokens
    from earthbeam.models import Run
    from tests import factories

    factories.make_partner(cross_year_match_enabled=True)
    runs = [factories.make_run(status=Run.Status.RUNNING) for _ in range(READERS + 1)]
    paths = [f"/api/earthbeam/jobs/{run.pk}" for run in runs]
    return env, paths, [{"Authorization": f"Bearer {tokens.access_token(run)}"} for run in runs]


def in_memory(
    folder: Path,
    rows: int,
    env: Mapping[str, str],
    paths: Sequence[str],
    headers: Sequence[Mapping[str, str]],
    rounds: int,
) -> dict[str, Any]:
    with Services(DATA / "logs") as services:
        servers = {
            name: serve(
                services,
                name,
                f"benchmarks.roster_servers:{name}()",
                {**env, "ROSTER_DATA": str(folder)},
            )
            for name in ("row_by_row", "ours", "floor")
        }
        return compare(servers, f"{paths[0]}/roster", headers[0], rows, rounds)


def by_connector(
    folder: Path,
    rows: int,
    env: Mapping[str, str],
    paths: Sequence[str],
    headers: Sequence[Mapping[str, str]],
    options: argparse.Namespace,
) -> dict[str, Any]:
    from benchmarks.roster_edu import credentials

    roster = f"{paths[0]}/roster"
    with (
        edu(folder / "lines.arrow") as lines_port,
        edu(folder / "columns.arrow") as columns_port,
        Services(DATA / "logs") as services,
    ):
        variables = {
            f"EDU_SNOWFLAKE_{name.upper()}": value
            for name, value in credentials(lines_port).items()
        }
        ours = serve(services, "connector", "runway.wsgi", {**env, **variables}, threads=48)
        baseline = serve(
            services,
            "connector_row_by_row",
            "benchmarks.roster_servers:row_by_row_by_connector()",
            {**env, "ROSTER_EDU_PORT": str(columns_port)},
        )
        servers = {"row_by_row": baseline, "ours": ours}
        results: dict[str, Any] = compare(servers, roster, headers[0], rows, options.rounds)
        for threads in (1, 4):
            seconds = [alone(lines_port, threads) for _ in range(options.rounds)]
            results[f"connector_alone_{threads}_threads"] = {
                "rows": rows,
                "median_seconds": statistics.median(seconds),
                "students_per_second": round(rows / statistics.median(seconds)),
            }
        results["load"] = load(ours, paths, headers, options.load_seconds)
        if options.soak and rows == min(int(size) for size in options.sizes.split(",")):
            results["soak"] = soak(ours, roster, headers[0], options.soak)
        return results


def alone(port: int, threads: int) -> float:
    command = python("-m", "benchmarks.roster_edu", "fetch", str(port), str(threads))
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def show(runs: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
    print(f"{'':<44}{'students/s':>12}{'seconds':>10}{'CPU s':>8}")
    for part, results in runs.items():
        for name, result in results.items():
            if isinstance(result, dict) and "students_per_second" in result:
                print(
                    f"{part + ' ' + name:<44}{result['students_per_second']:>12,}"
                    f"{result['median_seconds']:>10.3f}{result.get('cpu_seconds', ''):>8}"
                )
            elif isinstance(result, dict):
                print(f"{part} {name}: {json.dumps(result)}")
    for part in ("pool", "gzip"):
        print(f"{part}: {json.dumps(runs[part])}")
    print()
    for name, value in figures.items():
        print(f"{name:<44}{value:>12}")


if __name__ == "__main__":
    main()
