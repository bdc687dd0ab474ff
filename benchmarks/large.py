"""`make bench-large`: large files, against the executor before it had parts and rendered columns.

    python -m benchmarks.large [--rows 20000 100000] [--most 1000000] [--repeats 1] [--long]

Whole runs of the executor. STAR if BUNDLE_REPO is a clone of the public bundle repository, else the
summative sample bundle: two sets, with EDU's roster twice the input, one of them sent to an ODS.
"before" is commit 36bb018, run from a worktree of this repository; without its history, only ours
is measured. Runs are interleaved, ratios are of medians, and results are compared byte by byte. Of
the larger size, "before" takes minutes: it is measured only with --long, and kept with its date in
benchmarks/before_large.json.

The largest file is one of the interim sample bundle with columns that it does not read, about 1 KB
a row, for EDU alone: on all cores, and on one.

Figures are named for the default sizes.
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from filecmp import cmpfiles
from pathlib import Path
from typing import Any

from benchmarks import whole_run
from benchmarks.inputs import (
    PUBLIC_SUBJECTS,
    SUBJECTS,
    SUMMATIVE,
    BundleRepositories,
    Files,
    Subject,
    write_files,
)
from benchmarks.measure import PROJECT, machine, write_results

BEFORE = "36bb018"
KEPT_BEFORE = Path(__file__).with_name("before_large.json")
STAR = next(subject for subject in PUBLIC_SUBJECTS if subject.name == "STAR")
INTERIM = next(subject for subject in SUBJECTS if subject.name == "SAMPLE_INTERIM")
_ONE_CORE = ("taskset", "--cpu-list", "0")
_UNREAD_COLUMNS = 30
_UNREAD_CELL = "thirty characters of any text."

Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="make bench-large", description=__doc__)
    parser.add_argument("--rows", nargs=2, type=int, default=[20_000, 100_000])
    parser.add_argument("--most", type=int, default=1_000_000, help="rows of the largest file")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--long", action="store_true", help="measure the longest run before, too")
    options = parser.parse_args(arguments)
    where = machine("earthmover", "lightbeam", "dask", "pandas")
    runs: list[Row] = []
    some, many = options.rows
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, checkout_before() as before:
        bench = Bench(Path(folder), before)
        for _ in range(options.repeats):
            runs += bench.compare(bench.subject, some)
        runs += bench.compare(bench.subject, many, kept=not options.long)
        for rows in (options.most // 10, options.most):
            runs.append(bench.run("ours", INTERIM, rows, to_ods=False))
        runs.append(bench.run("ours on one core", INTERIM, options.most, to_ods=False))
    found = figures(runs, some, many, options.most)
    path = write_results("large", where, runs, found)
    _tell(runs, found)
    print(f"\nKept in {path.relative_to(PROJECT)}.")


@contextmanager
def checkout_before(commit: str = BEFORE) -> Iterator[Path | None]:
    """Yield a worktree of a commit, or None if the repository lacks it."""
    with tempfile.TemporaryDirectory(prefix="before-") as folder:
        place = Path(folder, "checkout")
        git = ("git", "-C", str(PROJECT), "worktree")
        added = subprocess.run(
            (*git, "add", "--quiet", "--detach", str(place), commit),
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
    """The bundles and scratch space of one benchmark."""

    def __init__(self, folder: Path, before: Path | None) -> None:
        self.folder, self.before = folder, before
        self.bundles = BundleRepositories(folder)
        self.subject = STAR if self.bundles.public else SUMMATIVE

    def compare(self, subject: Subject, rows: int, *, kept: bool = False) -> list[Row]:
        """Run both sides in turn, and compare what they made. With ``kept``, use kept figures."""
        ours = self.run("ours", subject, rows, keep=True)
        runs = [ours]
        if kept:
            runs += _kept(subject, rows)
        elif self.before is not None:
            before = self.run("before", subject, rows, keep=True)
            equal = _same(ours["place"] / "results", before["place"] / "results")
            runs.append(before | {"results_equal": equal})
        for row in runs:
            if "place" in row:
                shutil.rmtree(row.pop("place"))
        if not kept and self.before is not None:
            _keep(runs[-1])
        return runs

    def run(
        self, side: str, subject: Subject, rows: int, *, to_ods: bool = True, keep: bool = False
    ) -> Row:
        """Run one side on ``rows`` rows, and return its cost and how many records it made."""
        print(f"{subject.name} {rows:,} {side}", flush=True)
        repository = self.bundles.of(subject)
        place = Path(tempfile.mkdtemp(dir=self.folder))
        files = write_files(subject, (rows, rows, 2 * rows), repository, place)
        if not to_ods:
            files = _with_unread_columns(files)
        cost = whole_run.run(
            subject,
            files,
            repository,
            place,
            to_ods=to_ods,
            checkout=self.before if side == "before" and self.before else PROJECT,
            prefix=_ONE_CORE if side == "ours on one core" else (),
        )
        records = {
            file.parent.name: file.read_bytes().count(b"\n")
            for file in place.glob("results/*/studentAssessments.jsonl")
        }
        if len(records) != 1 + to_ods:
            raise RuntimeError(f"{subject.name} made records of {records}: check its parameters")
        row = {"bundle": subject.name, "rows": rows, "side": side, "to_ods": to_ods, **cost}
        row |= {"records": records, "input_mb": files.input_file.stat().st_size // 10**6}
        row |= {"load": round(os.getloadavg()[0], 1)}
        if keep:
            return row | {"place": place}
        shutil.rmtree(place)
        return row


def _with_unread_columns(files: Files) -> Files:
    """Widen the input by columns that its bundle does not read."""
    wide = files.input_file.parent / "wide" / files.input_file.name
    wide.parent.mkdir()
    with files.input_file.open(newline="") as narrow, wide.open("w", newline="") as file:
        writer = csv.writer(file)
        for number, row in enumerate(csv.reader(narrow)):
            more = [f"Unread{n}" if number == 0 else _UNREAD_CELL for n in range(_UNREAD_COLUMNS)]
            writer.writerow([*row, *more])
    wide.replace(files.input_file)
    return files


def _same(ours: Path, before: Path) -> bool:
    """Whether both sides made the same records."""
    names = [str(path.relative_to(before)) for path in before.glob("*/*.jsonl")]
    equal, _, _ = cmpfiles(ours, before, names, shallow=False)
    return bool(names) and sorted(equal) == sorted(names)


def _kept(subject: Subject, rows: int) -> list[Row]:
    kept = json.loads(KEPT_BEFORE.read_text()) if KEPT_BEFORE.exists() else {}
    key = f"{subject.name} {rows}"
    # Whether its results were equal says nothing of today's.
    return [{k: v for k, v in kept[key].items() if k != "results_equal"}] if key in kept else []


def _keep(before: Row) -> None:
    """Keep a run that took minutes, so that it need not be repeated."""
    if before["wall_seconds"] > 120:
        kept = json.loads(KEPT_BEFORE.read_text()) if KEPT_BEFORE.exists() else {}
        date = datetime.now(UTC).date().isoformat()
        kept[f"{before['bundle']} {before['rows']}"] = before | {"measured_on": date}
        KEPT_BEFORE.write_text(json.dumps(kept, indent=1) + "\n")


def figures(runs: list[Row], some: int, many: int, most: int) -> dict[str, Any]:
    """Return the figures, with None for those not measured."""

    def median(rows: int, side: str, key: str, *, to_ods: bool = True) -> float | None:
        which = (rows, side, to_ods)
        values = [r[key] for r in runs if (r["rows"], r["side"], r["to_ods"]) == which]
        return statistics.median(values) if values else None

    def ratio(one: float | None, other: float | None) -> float | None:
        return round(one / other, 2) if one and other else None

    def compared(rows: int, key: str) -> float | None:
        return ratio(median(rows, "before", key), median(rows, "ours", key))

    tenth = median(most // 10, "ours", "wall_seconds", to_ods=False)
    alone, together = (
        median(most, side, "earthmover_seconds", to_ods=False)
        for side in ("ours on one core", "ours")
    )
    equal = [run["results_equal"] for run in runs if "results_equal" in run]
    return {
        "star_20k_transform_ratio": compared(some, "transform_step_seconds"),
        "star_20k_cpu_ratio": compared(some, "cpu_seconds"),
        "star_100k_cpu_ratio": compared(many, "cpu_seconds"),
        "million_rows_peak_mb": median(most, "ours", "peak_mb", to_ods=False),
        "million_rows_cost_ratio": ratio(
            median(most, "ours", "wall_seconds", to_ods=False), tenth and 10 * tenth
        ),
        "two_core_speedup": ratio(alone, together),
        "results_equal": all(equal) if equal else None,
    }


def _tell(runs: list[Row], found: dict[str, Any]) -> None:
    head = f"{'bundle':<18}{'rows':>10}  {'side':<18}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}"
    print(f"\n{head}{'step s':>9}")
    for run in runs:
        kept = f"  measured on {run['measured_on']}" if "measured_on" in run else ""
        print(
            f"{run['bundle']:<18}{run['rows']:>10,}  {run['side']:<18}{run['wall_seconds']:>9.1f}"
            f"{run['cpu_seconds']:>9.1f}{run['peak_mb']:>9.0f}"
            f"{run['transform_step_seconds']:>9.1f}{kept}"
        )
    print()
    for name, value in found.items():
        print(f"{name:<36}{'not measured' if value is None else value}")


if __name__ == "__main__":
    main()
