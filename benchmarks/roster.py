"""`make bench-roster`: how fast the server sends rosters, and at what cost.

    python -m benchmarks.roster [--sizes 200000,1000000] [--rounds 5] [--load-seconds 20]
                                [--soak 500]

1. The same rows over loopback from one gunicorn thread: row by row, ours, and the bare bytes;
   also with names, and ours in slices of other sizes.
2. The same through the real connector, from a stand-in that sends gzipped chunks of 10,000 rows.
3. Twenty slow readers, with twenty executors that report meanwhile; then a soak.
4. Plain and gzipped over links of several speeds.
5. The pool, warm and cold, with twenty threads.

Runs are interleaved; ratios are of medians.
"""

import argparse
import json
import statistics
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.measure import PROJECT, machine, python, write_results
from benchmarks.roster_edu import credentials
from benchmarks.roster_gzip import codecs, links
from benchmarks.roster_load import load, soak
from benchmarks.roster_pool import pool
from benchmarks.roster_rows import DATA, prepare
from benchmarks.roster_web import READERS, World, compare, edu, make_world, ratio, serve
from runway.demo.services import Services

SIZES = "200000,1000000"
"""Numbers of students. Figures of other sizes are shown, but not kept."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--load-seconds", type=float, default=20)
    parser.add_argument("--soak", type=int, default=500)
    options = parser.parse_args()
    sizes = sorted(int(size) for size in options.sizes.split(","))
    folders = {rows: prepare(rows) for rows in sizes}
    world = make_world(READERS + 1)

    runs: dict[str, Any] = {"pool": pool(), "codecs": codecs(sizes[0])}
    for rows, folder in folders.items():
        runs[f"memory_{rows}"] = in_memory(
            folder, rows, world, options.rounds, "row_by_row", "ours", "floor"
        )
        runs[f"connector_{rows}"] = by_connector(folder, rows, world, options, rows == sizes[0])
    largest = sizes[-1]
    slices = ("ours", "ours_by_64k", "ours_by_4m")
    runs[f"slices_{largest}"] = in_memory(folders[largest], largest, world, options.rounds, *slices)
    with_names = replace(world, query="?with=names")
    runs[f"names_{largest}"] = in_memory(
        prepare(largest, named=True),
        largest,
        with_names,
        options.rounds,
        "row_by_row",
        "ours",
        "floor",
    )
    memory, connector = runs[f"memory_{largest}"], runs[f"connector_{largest}"]
    loads = [runs[f"connector_{rows}"]["load"] for rows in sizes]
    figures = {
        "ratio_to_row_by_row": ratio(memory, "row_by_row", "ours"),
        "ratio_to_file": ratio(memory, "floor", "ours"),
        "named_ratio_to_row_by_row": ratio(runs[f"names_{largest}"], "row_by_row", "ours"),
        "named_ratio_to_file": ratio(runs[f"names_{largest}"], "floor", "ours"),
        "connector_ratio_to_row_by_row": ratio(connector, "row_by_row", "ours"),
        "mb_per_slow_reader": max(each["mb_per_slow_reader"] for each in loads),
        "pool_acquire_us_median": runs["pool"]["acquire_us_median"],
        "callback_p99_ratio_under_streams": round(
            statistics.median(each["p99_ms_loaded"] / each["p99_ms_unloaded"] for each in loads), 2
        ),
    }
    show(runs, figures)
    if options.sizes == SIZES:
        where = machine("gunicorn", "snowflake-connector-python", "pyarrow", "Django")
        print(f"\n{write_results('roster', where, runs, figures)}")


def in_memory(folder: Path, rows: int, world: World, rounds: int, *apps: str) -> dict[str, Any]:
    """Compare the applications of roster_servers with these names."""
    with Services(DATA / "logs") as services:
        servers = {
            name: serve(
                services,
                name,
                f"benchmarks.roster_servers:{name}()",
                {**world.env, "ROSTER_DATA": str(folder)},
            )
            for name in apps
        }
        results: dict[str, Any] = compare(servers, world, rows, rounds)
        return results


def by_connector(
    folder: Path, rows: int, world: World, options: argparse.Namespace, smallest: bool
) -> dict[str, Any]:
    """Measure the roster from the stand-in EDU; soak and slow links only with the smallest one."""
    with (
        edu(folder / "lines.arrow") as lines_port,
        edu(folder / "columns.arrow") as columns_port,
        Services(DATA / "logs") as services,
    ):
        variables = {
            f"EDU_SNOWFLAKE_{name.upper()}": value
            for name, value in credentials(lines_port).items()
        }
        ours = serve(services, "connector", "runway.wsgi", world.env | variables, threads=48)
        baseline = serve(
            services,
            "connector_row_by_row",
            "benchmarks.roster_servers:row_by_row_by_connector()",
            {**world.env, "ROSTER_EDU_PORT": str(columns_port)},
        )
        servers = {"row_by_row": baseline, "ours": ours}
        results: dict[str, Any] = compare(servers, world, rows, options.rounds)
        for threads in (1, 4):
            seconds = [alone(lines_port, threads) for _ in range(options.rounds)]
            results[f"connector_alone_{threads}_threads"] = {
                "rows": rows,
                "median_seconds": statistics.median(seconds),
                "students_per_second": round(rows / statistics.median(seconds)),
            }
        results["load"] = load(ours, world, options.load_seconds)
        if smallest:
            results["links"] = links(ours, world, max(1, options.rounds // 2))
        if smallest and options.soak:
            results["soak"] = soak(ours, world, options.soak)
        return results


def alone(port: int, threads: int) -> float:
    """Return how many seconds the connector takes without a web server."""
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
            elif name == "links":
                for link, cost in result.items():
                    print(f"{part} {link}: {json.dumps(cost)}")
            elif isinstance(result, dict):
                print(f"{part} {name}: {json.dumps(result)}")
    print(f"pool: {json.dumps(runs['pool'])}\n")
    for name, value in figures.items():
        print(f"{name:<44}{value:>12}")


if __name__ == "__main__":
    main()
