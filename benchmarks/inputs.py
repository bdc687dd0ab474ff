"""What the benchmarks of executors run on: bundles, and files made of their samples."""

import csv
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runway.sandbox.bundle_repository import create_bundle_repository


@dataclass(frozen=True)
class Subject:
    """A bundle to measure with, and what its input needs."""

    name: str
    sample: str
    id_column: str
    params: tuple[tuple[str, str], ...]
    is_public: bool = False


SUMMATIVE = Subject(
    *("SAMPLE_SUMMATIVE", "sample_MA_anonymized_file.csv", "StateID", (("API_YEAR", "2026"),))
)
SUBJECTS = (
    SUMMATIVE,
    Subject(
        *("SAMPLE_INTERIM", "sample_anonymized_file.csv", "StateStudentID"),
        (("API_YEAR", "2026"),),
    ),
)
PUBLIC_SUBJECTS = (
    Subject(
        *("STAR", "SR_sample_anonymized_file.csv", "StudentStateID", (("API_YEAR", "2024"),)),
        is_public=True,
    ),
    Subject(
        *("MAP_Growth", "sample_anonymized_file.csv", "StudentID", (("API_YEAR", "2026"),)),
        is_public=True,
    ),
    Subject(
        *("PSAT_SAT", "sample_anonymized_file_psat_10.csv", "STATE_STUDENT_ID"),
        (("API_YEAR", "2026"), ("TEST_TYPE", "PSAT 10")),
        is_public=True,
    ),
)


class BundleRepositories:
    """The sandbox's bundles, and those of BUNDLE_REPO if it is a local clone."""

    def __init__(self, folder: Path) -> None:
        self.sandbox = create_bundle_repository(folder / "sandbox-bundles")
        given = os.environ.get("BUNDLE_REPO", "")
        self.public = Path(given) if given and Path(given, "registry.json").exists() else None

    def of(self, subject: Subject) -> Path:
        """Return the repository that has the subject's bundle."""
        return self.public if subject.is_public and self.public else self.sandbox


@dataclass(frozen=True)
class Files:
    """What a run needs, by path."""

    input_file: Path
    ods_roster: Path
    edu_roster: Path


def write_files(
    subject: Subject, sizes: tuple[int, int, int], repository: Path, place: Path
) -> Files:
    """Write an input: six tenths of students are in the ODS, three in EDU only, one in neither.

    ``sizes`` are the input's rows, and the lines of the ODS's and of EDU's roster.
    """
    count, ods_size, edu_size = sizes
    rng = random.Random(7)
    sample = repository / "assessments" / subject.name / "data" / subject.sample
    with sample.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file) if any(row.values())]
    known, left = count * 6 // 10, count * 3 // 10
    input_file = place / subject.sample
    with input_file.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        order = list(range(count))
        rng.shuffle(order)
        for number in order:
            writer.writerow(rows[number % len(rows)] | {subject.id_column: _state_id(number)})
    rosters = {"ods": range(ods_size), "edu": range(edu_size)}
    paths = {}
    for name, size in rosters.items():
        paths[name] = place / f"{name}_roster.jsonl"
        # Students beyond the input's own have much higher numbers.
        here = range(known) if name == "ods" else range(known + left)
        others = range(10_000_000, 10_000_000 + max(0, len(size) - len(here)))
        with paths[name].open("w", encoding="utf-8") as file:
            file.writelines(
                _roster_lines((*here, *others) if len(size) < 10**6 else _both(here, others))
            )
    return Files(input_file, paths["ods"], paths["edu"])


def _both(first: range, second: range) -> Iterator[int]:
    yield from first
    yield from second


def _state_id(number: int) -> str:
    return str(1_000_000_000 + number)


def _unique_id(number: int) -> str:
    # Unlike any ID in the samples: STAR's have six digits, in another column that may match.
    return str(700_000_000_000 + number)


def _roster_lines(numbers: Any) -> Iterator[str]:
    for number in numbers:
        yield (
            '{"educationOrganizationReference":{"educationOrganizationId":255901,'
            '"link":{"rel":"LocalEducationAgency"}},'
            f'"studentReference":{{"studentUniqueId":"{_unique_id(number)}"}},'
            '"studentIdentificationCodes":[{"studentIdentificationSystemDescriptor":'
            '"uri://ed-fi.org/StudentIdentificationSystemDescriptor#State",'
            f'"identificationCode":"{_state_id(number)}"}},'
            '{"studentIdentificationSystemDescriptor":'
            '"uri://ed-fi.org/StudentIdentificationSystemDescriptor#Local",'
            f'"identificationCode":"L{number}"}}]}}\n'
        )
