"""The sample bundles in the hands of the real earthmover; what they produce, the ODS takes."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from runway.sandbox.ods import SandboxOds
from runway.sandbox.population import (
    SHARED_STATE_ID,
    WITHOUT_CODES,
    Student,
    students,
)
from tests.sandbox.tools import ROSTER, fetch_roster, run_earthmover, run_lightbeam

pytestmark = pytest.mark.slow

BY_STATE_ID = {student.state_id: student for student in students()}


def test_interim_bundle_alone_makes_records_that_the_ods_takes(
    bundle_repository: Path, ods: SandboxOds, tmp_path: Path
) -> None:
    project = copy(bundle_repository / "assessments/SAMPLE_INTERIM", tmp_path)
    rows = read(project / "data/sample_anonymized_file.csv")
    file = write(tmp_path / "input.csv", [with_student(row, "StateStudentID") for row in rows])
    output = tmp_path / "output"
    run_earthmover(
        "run",
        project / "earthmover.yaml",
        bundle_repository,
        output,
        tmp_path,
        INPUT_FILE=str(file),
        TEST_WINDOW="Fall",
    )
    send(ods, project, output, tmp_path)
    sent = ods.received("studentAssessments")
    assert sorted(record["studentReference"]["studentUniqueId"] for record in sent) == [
        BY_STATE_ID[row["StateStudentID"]].unique_id for row in rows
    ]
    assert {record["assessmentIdentifier"] for record in ods.received("assessments")} == {
        "INTERIM-MATHEMATICS",
        "INTERIM-READING",
    }


def test_summative_bundle_alone_reads_file_name_year_and_standards(
    bundle_repository: Path, ods: SandboxOds, tmp_path: Path
) -> None:
    project = copy(bundle_repository / "assessments/SAMPLE_SUMMATIVE", tmp_path)
    rows = read(project / "data/sample_MA_anonymized_file.csv")
    file = write(tmp_path / "spring_MA_x.csv", [with_student(row, "StateID") for row in rows])
    output = tmp_path / "output"
    variables = {
        "INPUT_FILE": str(file),
        "INPUT_FILE_STANDARDS": str(project / "data/standards_MA_anonymized_file.csv"),
    }
    for command in ("deps", "run"):
        run_earthmover(
            command, project / "earthmover.yaml", bundle_repository, output, tmp_path, **variables
        )
    send(ods, project, output, tmp_path)
    this_year = [row["AttemptID"] for row in rows if row["SchoolYear"] == "2025-2026"]
    sent = {record["studentAssessmentIdentifier"]: record for record in by_attempt(ods)}
    assert list(sent) == this_year != [row["AttemptID"] for row in rows]
    assert {record["assessmentReference"]["assessmentIdentifier"] for record in sent.values()} == {
        "SUMMATIVE-MATHEMATICS"
    }
    assert len(ods.received("objectiveAssessments")) == 2
    assert len(sent[this_year[0]]["studentObjectiveAssessments"]) == 2
    assert len(ods.received("performanceLevelDescriptors")) == 4  # the package's


def test_student_ids_package_matches_rows_and_has_its_known_limits(
    bundle_repository: Path, tmp_path: Path
) -> None:
    sample = read(bundle_repository / "assessments/SAMPLE_INTERIM/data/sample_anonymized_file.csv")
    shared = next(s for s in students() if s.unique_id == SHARED_STATE_ID[0])
    odd = sample[0] | {"StudentNumber": "V-1"}
    rows = [
        *sample[:2],
        sample[2] | {"StudentNumber": "V-2", "StateStudentID": f"{sample[2]['StateStudentID']}.0"},
        odd | {"StateStudentID": shared.state_id},
        odd | {"StateStudentID": ""},
        odd | {"StateStudentID": "9900000001", "StudentName": "Pérez, Ana"},
    ]
    known = [s for s in students() if s.unique_id in (WITHOUT_CODES, *SHARED_STATE_ID)]
    output = compose(bundle_repository, "SAMPLE_INTERIM", rows, known, tmp_path)
    rates = read(output / "student_id_match_rates.csv")
    assert {tuple(row.values()) for row in rates} == {
        ("StateStudentID", "State", "4", "6", "0.6666666666666666"),
        ("StudentNumber", "Local", "2", "6", "0.3333333333333333"),
    }
    assert read(output / "input_no_student_id_match.csv") == [rows[-1]]
    matched = [record["studentReference"]["studentUniqueId"] for record in results(output)]
    named = [BY_STATE_ID[row["StateStudentID"]].unique_id for row in sample[:3]]
    assert sorted(matched) == sorted([*named, *SHARED_STATE_ID, WITHOUT_CODES])


def compose(
    repository: Path,
    bundle: str,
    rows: list[dict[str, str]],
    others: list[Student],
    scratch: Path,
) -> Path:
    """Match and transform as the wrapper does, against the rows' students and ``others``."""
    column = "StateStudentID" if "StateStudentID" in rows[0] else "StateID"
    ids = {row[column].removesuffix(".0") for row in rows}
    file = write(scratch / "sample_MA_file.csv", rows)
    project = copy(repository / "packages/student_id_wrapper", scratch)
    with SandboxOds([*others, *(s for s in students() if s.state_id in ids)]) as ods:
        assert fetch_roster(ods, project / "lightbeam.yaml", scratch).returncode == 0
    roster = scratch / "roster" / f"{ROSTER}.jsonl"
    fetched = [json.loads(line) for line in roster.read_text().splitlines()]
    whole = [{"studentIdentificationCodes": []} | record for record in fetched]
    roster.write_text("".join(json.dumps(record) + "\n" for record in whole))
    output = scratch / "output"
    for command in ("deps", "run"):
        run_earthmover(
            command,
            project / "earthmover.yaml",
            repository,
            output,
            scratch,
            ASSESSMENT_BUNDLE=bundle,
            INPUT_FILE=str(file),
            EDFI_ROSTER_SOURCE_TYPE="file",
            EDFI_ROSTER_FILE=str(roster),
            EDFI_STUDENT_ID_TYPES="State,Local",
        )
    return output


def send(ods: SandboxOds, project: Path, output: Path, scratch: Path) -> None:
    """Send with lightbeam; every record must be taken."""
    report = scratch / "results.json"
    arguments = ("send", "--results-file", str(report))
    result = run_lightbeam(
        ods, project / "lightbeam.yaml", *arguments, data=output, scratch=scratch
    )
    assert result.returncode == 0, result.stderr
    outcome = json.loads(report.read_text())
    assert outcome["total_records_failed"] == 0, outcome["resources"]
    assert outcome["total_records_processed"] == sum(ods.received_counts().values())


def by_attempt(ods: SandboxOds) -> list[dict[str, Any]]:
    sent = ods.received("studentAssessments")
    return sorted(sent, key=lambda record: str(record["studentAssessmentIdentifier"]))


def results(output: Path) -> list[dict[str, Any]]:
    lines = (output / "studentAssessments.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def copy(project: Path, scratch: Path) -> Path:
    return Path(shutil.copytree(project, scratch / project.name))


def with_student(row: dict[str, str], column: str) -> dict[str, str]:
    return row | {"edFi_studentUniqueID": BY_STATE_ID[row[column]].unique_id}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
