"""`make chaos`: see tests/chaos.

    python -m tests.chaos [--seeds 1] [--first 1] [--jobs 50] [--storm 150] [--folder FOLDER]

Exit status 1 if anything was wrong. The logs of such a seed stay in the folder.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos import world
from tests.images import PROJECT

CALM_SECONDS = 480
"""After a storm: more than anything that Runway waits for."""
TRIES_IN_A_CALM = 2
"""The first may have begun in the storm."""


@dataclass
class Report:
    seed: int
    jobs: int
    runs: int = 0
    seconds: tuple[float, float] = (0.0, 0.0)
    breaks: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        storm, calm = self.seconds
        return (
            f"{self.seed:>4} {self.jobs:>5} {self.runs:>5} {sum(self.breaks.values()):>7} "
            f"{self.failures.total():>7} {storm:>6.0f} {calm:>6.0f}  "
            f"{'; '.join(self.wrong) or 'all is well'}"
        )


HEAD = f"{'seed':>4} {'jobs':>5} {'runs':>5} {'faults':>7} {'failed':>7} {'storm':>6} {'calm':>6}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=1, help="how many, one after another")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--storm", type=float, default=150.0, help="seconds, at most")
    parser.add_argument("--folder", type=Path, default=PROJECT / "var" / "chaos")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return 1 if one(options).wrong else 0
    say(HEAD)
    wrong = 0
    for seed in range(options.first, options.first + options.seeds):
        # A process for each seed, and for root a place of its own for the small disk.
        command = [
            *(("unshare", "--mount") if _can_unshare() else ()),
            *(sys.executable, "-m", "tests.chaos", "--child", "--first", str(seed)),
            *("--jobs", str(options.jobs), "--storm", str(options.storm)),
            *("--folder", str(options.folder)),
        ]
        wrong += subprocess.run(command, cwd=PROJECT, check=False).returncode != 0
    return 1 if wrong else 0


def _can_unshare() -> bool:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run(("unshare", "--mount", "true"), check=False).returncode == 0


def one(options: argparse.Namespace) -> Report:
    seed = options.first
    folder = options.folder / f"seed-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    report = Report(seed, options.jobs)
    postgres = world.prepare(folder)
    try:
        with world.made(folder, postgres) as made:
            play(made, random.Random(seed), options, folder, report)
    finally:
        from django.db import connections

        connections.close_all()
        postgres.cleanup()
    say(report.line())
    say(f"     faults: {_counted(report.breaks)}")
    say(f"     failed runs: {_counted(report.failures) or 'none'}")
    if not report.wrong:
        shutil.rmtree(folder, ignore_errors=True)
    return report


def play(
    made: world.World,
    rng: random.Random,
    options: argparse.Namespace,
    folder: Path,
    report: Report,
) -> None:
    from earthbeam.models import Run
    from tests.chaos import verdict, work
    from tests.chaos.storm import Storm

    works = work.make(options.jobs, rng, folder / "input")
    storm = Storm(made, rng)
    began = time.monotonic()
    while time.monotonic() < began + options.storm and not all(each.is_done for each in works):
        made.start()
        storm.blow()
        for each in works:
            each.advance(work.TRIES_IN_A_STORM)
        time.sleep(0.3)
    storm.end()
    calm = time.monotonic()
    tries = {each.number: each.failures.total() + TRIES_IN_A_CALM for each in works}
    while time.monotonic() < calm + CALM_SECONDS and not all(each.is_done for each in works):
        made.start()
        for each in works:
            each.advance(tries[each.number])
        time.sleep(0.3)
    ended = time.monotonic()
    report.wrong = list(verdict.faults(made, works))
    report.runs = Run.objects.count()
    report.breaks = storm.faults
    report.seconds = calm - began, ended - calm
    for each in works:
        report.failures += each.failures


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common())


def say(text: Any) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
