"""Read a roster, and suggest students for rows if there are any; benchmarks/identity.py runs it.

    python -m benchmarks.identity_pass ROSTER < ROWS > FIGURES

Rows are a JSON list of first name, last name, and birth date. A process of its own, so that its
memory is that of this pass alone.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from earthbeam.identity import OpenRow, RosterPerson, Suggester, from_record
from earthbeam.identity.dates import read
from earthbeam.identity.people import of_parts
from earthbeam.matching import RosterStudent, read_roster, take_tally


def main() -> None:
    rows = [
        OpenRow((), of_parts(first, "", last, read(birth)))
        for first, last, birth in json.load(sys.stdin)
    ]
    started = time.perf_counter()
    with Path(sys.argv[1]).open("rb") as lines:
        students = read_roster(lines)
        suggested = _suggested(rows, students) if rows else []
        take_tally(students, set())  # does nothing if they are read already
    figures = {
        "seconds": time.perf_counter() - started,
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "suggested": suggested,
    }
    json.dump(figures, sys.stdout)


def _suggested(rows: list[OpenRow], students: Iterator[RosterStudent]) -> list[list[str]]:
    suggester = Suggester(rows, "State")
    suggester.read("edu", (RosterPerson(*each[:2], from_record(each.names)) for each in students))
    return [
        [each.student.unique_id for each in suggester.of_row(place)] for place in range(len(rows))
    ]


if __name__ == "__main__":
    main()
