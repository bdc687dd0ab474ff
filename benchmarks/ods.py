"""An ODS for benchmarks, in a process of its own.

    python -m benchmarks.ods [--roster JSONL] [--milliseconds 100]

Its students are those of the roster file; it takes so many milliseconds for each record. Prints its
URL as the first line, and serves until it is killed.
"""

import argparse
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import PROJECT, python
from runway.sandbox.ods import Faults, SandboxOds
from runway.sandbox.population import CURRENT_YEAR, TENANT, Student


@contextmanager
def serving(*options: str) -> Iterator[str]:
    """Start one with this command line, and yield its URL."""
    command = python("-m", "benchmarks.ods", *options)
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as ods:
        try:
            assert ods.stdout is not None
            yield ods.stdout.readline().strip()
        finally:
            ods.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--roster", type=Path)
    parser.add_argument("--milliseconds", type=int, default=0)
    options = parser.parse_args()
    students = list(_students(options.roster)) if options.roster else []
    ods = SandboxOds(students, faults=Faults(post_delay_seconds=options.milliseconds / 1000))
    print(ods.url, flush=True)
    ods.serve_forever()


def _students(roster: Path) -> Iterator[Student]:
    with roster.open(encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            state_id, local_id = (
                entry["identificationCode"] for entry in record["studentIdentificationCodes"]
            )
            yield Student(
                unique_id=record["studentReference"]["studentUniqueId"],
                first_name="",
                last_name="",
                state_id=state_id,
                local_id=local_id,
                grade=3,
                years=(CURRENT_YEAR,),
                tenant=TENANT,
                ed_org_id=record["educationOrganizationReference"]["educationOrganizationId"],
                group="",
            )


if __name__ == "__main__":
    main()
