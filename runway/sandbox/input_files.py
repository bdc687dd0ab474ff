"""Sample input files for the sample bundles, made from the sandbox's students, and their results.

The expectations are for an ODS of the current year and an EDU of all years, both made from
population.py, with cross-year matching available.
"""

import csv
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from runway.sandbox.population import (
    CURRENT,
    EARLIER,
    OTHER_DISTRICT,
    SHARED_STATE_ID,
    UNKNOWN,
    WITHOUT_CODES,
    Student,
    in_group,
)


@dataclass(frozen=True)
class Expectation:
    """How a job must split an input file, in rows. Blank and ambiguous IDs count as unmatched."""

    rows: int
    ods: int
    cross_year: int
    unmatched: int
    blank: int
    ambiguous: int
    id_name: str
    id_type: str = "State"


@dataclass(frozen=True)
class InputFile:
    """A written file, its bundle, and the expected result of its job."""

    path: Path
    bundle: str
    expected: Expectation


INTERIM = Expectation(
    rows=312, ods=251, cross_year=44, unmatched=17, blank=2, ambiguous=2, id_name="StateStudentID"
)
SUMMATIVE = Expectation(
    rows=200, ods=70, cross_year=110, unmatched=20, blank=0, ambiguous=0, id_name="StateID"
)

NO_DATE, NO_LEVEL = "unknown", "Very high"
"""Wrong cells: the bundle cannot read the one, and the ODS does not know the other."""

MISTAKES = Expectation(
    rows=60, ods=58, cross_year=0, unmatched=2, blank=0, ambiguous=0, id_name="StateStudentID"
)

_ODD_NAMES = ('O"Brien, Pat', 'Nuñez "Zo", Zoë', "Smith; Jr., Al", "de la Cruz Óscar")


def write_interim_file(folder: Path) -> InputFile:
    """Write the demo's file for SAMPLE_INTERIM: most of its students are in the ODS."""
    known = [s for s in in_group(CURRENT) if s.unique_id not in (WITHOUT_CODES, *SHARED_STATE_ID)]
    unknown, elsewhere = in_group(UNKNOWN), in_group(OTHER_DISTRICT)
    shared = [s for s in in_group(CURRENT) if s.unique_id in SHARED_STATE_ID]
    mathematics = [*known[:150], *in_group(EARLIER)[:44], *unknown[:9], *elsewhere[:4], *shared]
    rows = [
        *_interim_rows(mathematics, "Mathematics"),
        *_interim_rows(known[:101], "Reading"),
        *_without_ids(
            _interim_rows(known[200:202], "Reading"), ("StudentNumber", "StateStudentID")
        ),
    ]
    path = _write(folder / "interim_fall_2025.csv", rows)
    return InputFile(path, "assessments/SAMPLE_INTERIM", INTERIM)


def write_interim_file_with_mistakes(folder: Path) -> InputFile:
    """Write a file of which two rows have a date that is none, and one an unknown level."""
    rows = list(_interim_rows(in_group(CURRENT)[300:360], "Reading"))
    for number in (7, 31):
        rows[number]["TestDate"] = NO_DATE
    rows[44]["Band"] = NO_LEVEL
    path = _write(folder / "interim_winter_2026.csv", rows)
    return InputFile(path, "assessments/SAMPLE_INTERIM", MISTAKES)


def write_summative_file(folder: Path) -> InputFile:
    """Write a file for SAMPLE_SUMMATIVE with less than half of its students in the ODS."""
    known = [s for s in in_group(CURRENT) if s.unique_id not in (WITHOUT_CODES, *SHARED_STATE_ID)]
    students = [*known[300:370], *in_group(EARLIER)[100:210], *in_group(UNKNOWN)[:20]]
    path = _write(folder / "summative_MA_2026.csv", list(_summative_rows(students)))
    return InputFile(path, "assessments/SAMPLE_SUMMATIVE", SUMMATIVE)


def _interim_rows(students: Iterable[Student], subject: str) -> Iterator[dict[str, str]]:
    rng = random.Random(subject)
    windows = cycle((("Fall", "09/{day:02}/2025"), ("Winter", "01/{day:02}/2026")))
    for student, (window, date) in zip(students, windows, strict=False):
        percentile = rng.randrange(1, 100)
        yield {
            "TestWindow": window,
            "SchoolName": "Grand Bend Middle School" if student.grade > 5 else "Grand Bend School",
            "StudentName": _name(student, rng),
            "StudentNumber": _number(student, rng),
            "StateStudentID": _state_id(student, rng),
            "Grade": str(student.grade),
            "Subject": subject,
            "TestDate": date.format(day=rng.randrange(8, 27)),
            "ScaleScore": str(160 + student.grade * 6 + percentile // 2),
            "StandardError": f"{rng.uniform(2.8, 3.6):.1f}",
            "Percentile": str(percentile),
            "Band": ("Low", "Middle", "High")[percentile // 34],
        }


def _summative_rows(students: Iterable[Student]) -> Iterator[dict[str, str]]:
    rng = random.Random("summative")
    for serial, student in enumerate(students):
        score = rng.randrange(1200, 1700)
        yield {
            "SchoolYear": "2025-2026",
            "StudentName": _name(student, rng),
            "DistrictID": _number(student, rng),
            "StateID": _state_id(student, rng),
            "Grade": str(student.grade),
            "TestDate": f"2026-04-{rng.randrange(13, 31)}",
            "ScaledScore": str(score),
            "LevelCode": str(1 + (score - 1200) // 125),
            "AttemptID": f"MA-{700_000 + serial}",
        }


def _name(student: Student, rng: random.Random) -> str:
    """Return a name: most are plain, some odd like those in real files."""
    if student.group == UNKNOWN or rng.random() < 0.05:
        return rng.choice(_ODD_NAMES)
    return f"{student.last_name}, {student.first_name}"


def _number(student: Student, rng: random.Random) -> str:
    """Return the district's own number for about half of the rows, the vendor's for the others."""
    return student.local_id if rng.random() < 0.5 else f"V-{rng.randrange(10**6):06}"


def _state_id(student: Student, rng: random.Random) -> str:
    """Return the State ID as spreadsheets leave it: some end in ``.0``."""
    return f"{student.state_id}.0" if rng.random() < 0.1 else student.state_id


def _without_ids(rows: Iterable[dict[str, str]], columns: tuple[str, ...]) -> list[dict[str, str]]:
    return [row | dict.fromkeys(columns, "") for row in rows]


def _write(path: Path, rows: list[dict[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    random.Random(path.name).shuffle(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
