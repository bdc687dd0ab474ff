"""`make bench-large`: large files, against the executor before it had parts and rendered columns.

    python -m benchmarks.large [--rows 20000 100000] [--most 1000000] [--repeats 1]

Measures the executor's own steps from "Preparing the bundle" to the last transform, for two sets,
with EDU's roster twice the input. Fetching and sending are left out. "before" is commit 36bb018,
run from a worktree of this repository; without its history, only ours is measured. Runs are
interleaved; ratios are of medians, and results are compared byte by byte.

STAR is measured if BUNDLE_REPO is a clone of the public bundle repository, else the summative
sample bundle. The largest file is of the interim sample bundle, on all cores and on one.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from filecmp import cmpfiles
from pathlib import Path
from typing import Any

from benchmarks.executor import PUBLIC_SUBJECTS, SUBJECTS, SUMMATIVE, Case, Subject, write_files
from benchmarks.measure import PROJECT, machine, python, run_child, write_results
from runway.sandbox.bundle_repository import create_bundle_repository

BEFORE = "36bb018"
STAR = next(subject for subject in PUBLIC_SUBJECTS if subject.name == "STAR")
INTERIM = next(subject for subject in SUBJECTS if subject.name == "SAMPLE_INTERIM")
_ONE_CORE = ("taskset", "--cpu-list", "0")

Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="make bench-large", description=__doc__)
    parser.add_argument("--rows", nargs="*", type=int, default=[20_000, 100_000])
    parser.add_argument("--most", type=int, default=1_000_000, help="rows of the largest file")
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args(arguments)
    where = machine("earthmover", "dask", "pandas")
    runs: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, checkout_before() as before:
        bench = Bench(Path(folder), before)
        for rows in options.rows:
            for _ in range(options.repeats):
                runs += bench.compare(bench.subject, rows)
        for rows in (options.most // 10, options.most):
            runs.append(bench.run("ours", INTERIM, rows))
            runs.append(bench.run("ours on one core", INTERIM, rows))
    found = figures(runs, options.rows, options.most)
    path = write_results("large", where, runs, found)
    _tell(runs, found)
    print(f"\nKept in {path.relative_to(PROJECT)}.")


@contextmanager
def checkout_before() -> Iterator[Path | None]:
    """Yield a worktree of the commit to compare with, or None if the repository lacks it."""
    with tempfile.TemporaryDirectory(prefix="before-") as folder:
        place = Path(folder, "checkout")
        git = ("git", "-C", str(PROJECT), "worktree")
        added = subprocess.run(
            (*git, "add", "--quiet", "--detach", str(place), BEFORE),
            capture_output=True,
            check=False,
        )
        if added.returncode != 0:
            yield None
            return
        try:
            yield place
        finally:
            subprocess.run((*git, "remove", "--force", str(place)), check=True)


class Bench:
    """The repositories and scratch space of one benchmark."""

    def __init__(self, folder: Path, before: Path | None) -> None:
        self.folder, self.before = folder, before
        given = os.environ.get("BUNDLE_REPO", "")
        self.public = Path(given) if given and Path(given, "registry.json").exists() else None
        self.sandbox = create_bundle_repository(folder / "sandbox-bundles")
        self.subject = STAR if self.public else SUMMATIVE

    def compare(self, subject: Subject, rows: int) -> list[Row]:
        """Run both sides in turn, and compare what they made."""
        ours = self.run("ours", subject, rows, keep=True)
        runs = [ours]
        if self.before is not None:
            before = self.run("before", subject, rows, keep=True)
            runs.append(before | {"results_equal": _same(ours["place"], before["place"])})
        for row in runs:
            shutil.rmtree(row.pop("place"))
        return runs

    def run(self, side: str, subject: Subject, rows: int, *, keep: bool = False) -> Row:
        """Run one side on ``rows`` rows, and return its cost and how many records it made."""
        print(f"{subject.name} {rows:,} {side}", flush=True)
        repository = self.public if subject.is_public and self.public else self.sandbox
        place = Path(tempfile.mkdtemp(dir=self.folder))
        case = Case("", rows, rows, 2 * rows, 1, "none")
        files = write_files(subject, case, repository, place)
        job = {
            "bundle": subject.name,
            "repository": str(repository),
            "params": dict(subject.params),
            **{name: str(path) for name, path in asdict(files).items()},
            "place": str(place),
        }
        (place / "job.json").write_text(json.dumps(job))
        prefix = _ONE_CORE if side == "ours on one core" else ()
        checkout = self.before if side == "before" and self.before else PROJECT
        cost = run_child(
            (*prefix, *python("-m", "benchmarks.executor_ours", str(place / "job.json"))),
            env={"PATH": os.environ["PATH"], "HOME": str(place), "LANG": "C.UTF-8"},
            cwd=checkout,
            log=place / "log",
        )
        records = sum(
            file.read_bytes().count(b"\n") for file in place.glob("*/studentAssessments.jsonl")
        )
        if records == 0:
            raise RuntimeError(f"{subject.name} made no records: check its parameters")
        row = {"bundle": subject.name, "rows": rows, "side": side, **asdict(cost)}
        row |= {"records": records, "load": round(os.getloadavg()[0], 1)}
        if (place / "seconds.json").exists():
            row |= json.loads((place / "seconds.json").read_text())
        if keep:
            return row | {"place": place}
        shutil.rmtree(place)
        return row


def _same(ours: Path, before: Path) -> bool:
    """Whether both sides made the same files."""
    names = [
        f"{folder}/{path.name}"
        for folder in ("ods", "non-ods")
        for path in (before / folder).glob("*.jsonl")
    ]
    equal, _, _ = cmpfiles(ours, before, names, shallow=False)
    return bool(names) and sorted(equal) == sorted(names)


def figures(runs: list[Row], sizes: Sequence[int], most: int) -> dict[str, Any]:
    """Return ratios and costs, with None for those not measured."""

    def median(bundle: str | None, rows: int, side: str, key: str) -> float | None:
        values = [
            run[key]
            for run in runs
            if (run["rows"], run["side"]) == (rows, side) and run["bundle"] == (bundle or subject)
        ]
        return statistics.median(values) if values else None

    def ratio(one: float | None, other: float | None) -> float | None:
        return round(one / other, 2) if one and other else None

    subject = runs[0]["bundle"]
    found: dict[str, Any] = {}
    for rows in sizes:
        for key in ("cpu", "wall"):
            before = median(subject, rows, "before", f"{key}_seconds")
            ours = median(subject, rows, "ours", f"{key}_seconds")
            found[f"{key}_ratio_{rows}"] = ratio(before, ours)
    name, tenth = INTERIM.name, most // 10
    wall, tenth_wall = (median(name, rows, "ours", "wall_seconds") for rows in (most, tenth))
    found |= {
        "peak_mb_most": median(name, most, "ours", "peak_mb"),
        "cost_a_row_most_to_tenth": ratio((wall or 0) / 10, tenth_wall),
    }
    for key in ("wall_seconds", "transform_seconds"):
        alone, together = (median(name, most, side, key) for side in ("ours on one core", "ours"))
        found[f"{key}_one_core_to_all"] = ratio(alone, together)
    compared = [run["results_equal"] for run in runs if "results_equal" in run]
    return found | {"results_equal": all(compared) if compared else None}


def _tell(runs: list[Row], found: dict[str, Any]) -> None:
    print(f"\n{'bundle':<18}{'rows':>10}  {'side':<18}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}")
    for run in runs:
        print(
            f"{run['bundle']:<18}{run['rows']:>10,}  {run['side']:<18}{run['wall_seconds']:>9.1f}"
            f"{run['cpu_seconds']:>9.1f}{run['peak_mb']:>9.0f}"
        )
    print()
    for name, value in found.items():
        print(f"{name:<36}{'not measured' if value is None else value}")


if __name__ == "__main__":
    main()
