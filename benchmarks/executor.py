"""`make bench-executor`: compare the contract's two passes with stock tools to our executor.

    python -m benchmarks.executor [--big-stock] [--bundle NAME …] [--case LABEL …]

Both start from the same files: a bundle repository, an input file, this year's roster, and a roster
of all years. Stock: `earthmover deps` of the composed project, then `earthmover run --results-file`
against this year's roster, and again with the remaining rows against the roster of all years. Ours:
the executor's own steps from "Preparing the bundle" to the last transform. Fetching rosters and
sending are left out, since lightbeam does them in both. Runs are interleaved; ratios are of
medians. If the machine has other work (the load is recorded with each run), trust the ratios of CPU
time.

Stock takes many minutes on the big cases. They are measured only with --big-stock, and kept with
their date in benchmarks/stock_executor.json. If BUNDLE_REPO is a clone of the public bundle
repository, STAR, MAP_Growth, and PSAT_SAT are measured as well, with stock once for each.
"""

import argparse
import json
import math
import os
import shutil
import statistics
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.inputs import (
    PUBLIC_SUBJECTS,
    SUBJECTS,
    SUMMATIVE,
    BundleRepositories,
    Files,
    Subject,
    write_files,
)
from benchmarks.measure import PROJECT, Cost, machine, python, run_child, write_results

KEPT_STOCK = Path(__file__).with_name("stock_executor.json")
PUBLIC = "https://github.com/edanalytics/earthmover_edfi_bundles.git"


@dataclass(frozen=True)
class Case:
    """Rows of input and lines of each roster, and how often each side is run."""

    label: str
    rows: int
    ods_roster: int
    edu_roster: int
    repeats: int
    stock: str  # "measured", "kept" or "none"


CASES = (
    Case("50x1k", 50, 1_000, 1_000, 3, "measured"),
    Case("50x50k", 50, 50_000, 50_000, 3, "kept"),
    Case("5kx50k", 5_000, 50_000, 50_000, 2, "kept"),
    Case("5kx1k", 5_000, 1_000, 5_000, 2, "none"),
    Case("5kx1M", 5_000, 1_000, 1_000_000, 2, "none"),
)


PLAN = (
    *((SUMMATIVE, case) for case in CASES),
    *((subject, CASES[0]) for subject in SUBJECTS[1:]),
    *((subject, case) for subject in PUBLIC_SUBJECTS for case in CASES if case.label != "5kx1k"),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-executor", description=__doc__)
    parser.add_argument("--big-stock", action="store_true", help="measure stock's big cases too")
    parser.add_argument("--bundle", nargs="*", help="these bundles only")
    parser.add_argument("--case", nargs="*", help="these cases only")
    options = parser.parse_args()
    runs: list[dict[str, Any]] = []
    where = machine("earthmover", "dask", "pandas")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = Bench(Path(folder))
        for subject, case in PLAN:
            if subject.is_public and not bench.bundles.public:
                continue
            if subject.name not in (options.bundle or (subject.name,)):
                continue
            if case.label in (options.case or (case.label,)):
                runs += bench.measure(subject, case, big_stock=options.big_stock)
                # After each case: the benchmark takes long, and ending it early keeps what there
                # is.
                path = write_results("executor", where, runs, _figures(runs))
    if not runs:
        parser.error("nothing to measure: no such bundle or case, or BUNDLE_REPO is not given")
    _tell(runs, _figures(runs))
    print(f"\nKept in {path.relative_to(PROJECT)}.")


class Bench:
    """The bundles and scratch space of one benchmark."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bundles = BundleRepositories(folder)

    def measure(self, subject: Subject, case: Case, *, big_stock: bool) -> list[dict[str, Any]]:
        """Run both sides in turn, and return a row per run."""
        place = self.folder / f"{subject.name}-{case.label}"
        place.mkdir()
        repository = self.bundles.of(subject)
        sizes = (case.rows, case.ods_roster, case.edu_roster)
        files = write_files(subject, sizes, repository, place)
        runs = []
        stock_wanted = case.stock == "measured" or (case.stock == "kept" and big_stock)
        for number in range(case.repeats):
            print(f"{subject.name} {case.label} {number + 1}/{case.repeats}", flush=True)
            ours = self._run("ours", subject, repository, files, place / f"ours-{number}")
            runs.append(_row(subject, case, "ours", ours))
            takes_long = case.stock == "kept" or subject.is_public
            if stock_wanted and (number == 0 or not takes_long):
                stock = self._run("stock", subject, repository, files, place / f"stock-{number}")
                equal = _same_results(place / f"stock-{number}", place / f"ours-{number}")
                runs.append(_row(subject, case, "stock", stock) | {"results_equal": equal})
        if case.stock == "kept":
            runs += _kept_stock(subject, case, [run for run in runs if run["side"] == "stock"])
        shutil.rmtree(place)
        return runs

    def _run(
        self, side: str, subject: Subject, repository: Path, files: Files, place: Path
    ) -> Cost:
        place.mkdir()
        job = {
            "bundle": subject.name,
            "repository": str(repository),
            "params": dict(subject.params),
            **{name: str(path) for name, path in asdict(files).items()},
            "place": str(place),
        }
        (place / "job.json").write_text(json.dumps(job))
        return run_child(
            python("-m", f"benchmarks.executor_{side}", str(place / "job.json")),
            env={"PATH": os.environ["PATH"], "HOME": str(place), "LANG": "C.UTF-8"},
            cwd=PROJECT,
            log=place / "log",
        )


def _same_results(stock: Path, ours: Path) -> bool:
    """Whether both sides produced the same records in both sets, in any order."""
    return all(_records(stock / name) == _records(ours / name) for name in ("ods", "non-ods"))


def _records(folder: Path) -> dict[str, list[str]]:
    return {
        path.name: sorted(path.read_text(encoding="utf-8").splitlines())
        for path in folder.glob("*.jsonl")
        if path.stat().st_size
    }


def _row(subject: Subject, case: Case, side: str, cost: Cost) -> dict[str, Any]:
    load = round(os.getloadavg()[0], 1)
    return {"bundle": subject.name, "case": case.label, "side": side, **asdict(cost), "load": load}


def _kept_stock(
    subject: Subject, case: Case, measured: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Store what was just measured, or return what was stored before if nothing was."""
    kept = json.loads(KEPT_STOCK.read_text()) if KEPT_STOCK.exists() else {}
    key = f"{subject.name} {case.label}"
    if measured:
        date = datetime.now(UTC).date().isoformat()
        kept[key] = measured[0] | {"measured_on": date}
        KEPT_STOCK.write_text(json.dumps(kept, indent=1) + "\n")
        return []
    return [kept[key]] if key in kept else []


def _median(
    runs: list[dict[str, Any]], bundle: str, case: str, side: str, key: str = "wall_seconds"
) -> float:
    """Return the median, or NaN if not measured."""
    values = [
        run[key]
        for run in runs
        if (run["bundle"], run["case"], run["side"]) == (bundle, case, side)
    ]
    return statistics.median(values) if values else math.nan


def _figures(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures, with None for those not measured."""

    def ratio(case: str, bundle: str = SUMMATIVE.name, key: str = "wall_seconds") -> float:
        return _median(runs, bundle, case, "stock", key) / _median(runs, bundle, case, "ours", key)

    def growth(key: str) -> float:
        most = _median(runs, SUMMATIVE.name, "5kx1M", "ours", key)
        return most - _median(runs, SUMMATIVE.name, "5kx1k", "ours", key)

    figures = {
        "ratio_50x1k": ratio("50x1k"),
        "ratio_50x50k": ratio("50x50k"),
        "ratio_5kx50k": ratio("5kx50k"),
        "growth_1k_to_1m_seconds": growth("wall_seconds"),
        "growth_1k_to_1m_cpu_seconds": growth("cpu_seconds"),
        "extra_peak_mb_1m": growth("peak_mb"),
        **{
            f"ratio_50x1k_{subject.name}": ratio("50x1k", subject.name)
            for subject in (*SUBJECTS[1:], *PUBLIC_SUBJECTS)
        },
    }
    figures |= {
        f"cpu_ratio_{case.label}_{subject.name}": ratio(case.label, subject.name, "cpu_seconds")
        for subject, case in PLAN
        if case.stock != "none"
    }
    rounded = {
        name: None if math.isnan(value) else round(value, 1) for name, value in figures.items()
    }
    compared = [run["results_equal"] for run in runs if "results_equal" in run]
    return rounded | {"results_equal": all(compared) if compared else None}


def _tell(runs: list[dict[str, Any]], figures: dict[str, Any]) -> None:
    print(
        f"\n{'bundle':<18}{'case':<9}{'side':<7}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'load':>6}"
    )
    for run in runs:
        kept = f"  measured on {run['measured_on']}" if "measured_on" in run else ""
        print(
            f"{run['bundle']:<18}{run['case']:<9}{run['side']:<7}{run['wall_seconds']:>9.1f}"
            f"{run['cpu_seconds']:>9.1f}{run['peak_mb']:>9.0f}{run.get('load', ''):>6}{kept}"
        )
    print()
    for name, value in figures.items():
        print(f"{name:<36}{'not measured' if value is None else value}")


if __name__ == "__main__":
    main()
