"""The ODS stand-in as the real lightbeam sees it."""

import json
from pathlib import Path
from typing import Any

import pytest

from runway.sandbox.bundle_repository import BUNDLES
from runway.sandbox.ods import Faults, SandboxOds
from runway.sandbox.population import CURRENT, in_group
from tests.sandbox.tools import ROSTER, fetch_roster, run_lightbeam

pytestmark = pytest.mark.slow

CONFIG = BUNDLES / "packages/student_id_wrapper/lightbeam.yaml"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with one assessment and eight results of it."""
    key = {"assessmentIdentifier": "A-1", "namespace": "uri://sandbox.example/Test"}
    subject = "uri://ed-fi.org/AcademicSubjectDescriptor#Reading"
    assessment = key | {
        "assessmentTitle": "A test",
        "academicSubjects": [{"academicSubjectDescriptor": subject}],
    }
    results = [
        {
            "studentAssessmentIdentifier": f"R-{number}",
            "assessmentReference": key,
            "studentReference": {"studentUniqueId": student.unique_id},
        }
        for number, student in enumerate(in_group(CURRENT)[:8])
    ]
    folder = tmp_path / "output"
    folder.mkdir()
    _write(folder / "assessments.jsonl", [assessment])
    _write(folder / "studentAssessments.jsonl", results)
    return folder


def test_lightbeam_fetches_the_whole_roster_in_pages_of_500(
    ods: SandboxOds, tmp_path: Path
) -> None:
    result = fetch_roster(ods, CONFIG, tmp_path)
    assert result.returncode == 0, result.stderr
    lines = (tmp_path / "roster" / f"{ROSTER}.jsonl").read_text().splitlines()
    ids = {json.loads(line)["studentReference"]["studentUniqueId"] for line in lines}
    assert ids == {student.unique_id for student in in_group(CURRENT)}
    assert len(lines) == len(ids) + 1  # one student has two education organisations


def test_lightbeam_renews_a_token_that_runs_out_half_way(ods: SandboxOds, tmp_path: Path) -> None:
    ods.faults = Faults(token_requests=2)
    result = fetch_roster(ods, CONFIG, tmp_path)
    assert result.returncode == 0, result.stderr
    assert len((tmp_path / "roster" / f"{ROSTER}.jsonl").read_text().splitlines()) == 701


def test_lightbeam_ends_at_once_with_wrong_credentials(ods: SandboxOds, tmp_path: Path) -> None:
    ods.faults = Faults(refuse_credentials=True)
    result = fetch_roster(ods, CONFIG, tmp_path)
    assert result.returncode != 0
    assert "check your API credentials" in result.stderr


def test_lightbeam_writes_no_file_for_an_empty_roster(ods: SandboxOds, tmp_path: Path) -> None:
    ods.faults = Faults(empty_roster=True)
    assert fetch_roster(ods, CONFIG, tmp_path).returncode == 0
    assert not (tmp_path / "roster" / f"{ROSTER}.jsonl").exists()


def test_lightbeam_sends_assessments_before_their_results(
    ods: SandboxOds, data: Path, tmp_path: Path
) -> None:
    returncode, resources = _send(ods, data, tmp_path)
    assert returncode == 0
    assert resources["studentAssessments"]["records_failed"] == 0
    assert ods.received_counts() == {"assessments": 1, "studentAssessments": 8}


def test_lightbeam_reports_the_records_that_are_refused(
    ods: SandboxOds, data: Path, tmp_path: Path
) -> None:
    ods.faults = Faults(reject_every=4, reject_resource="studentAssessments")
    returncode, resources = _send(ods, data, tmp_path)
    assert returncode == 0
    assert resources["studentAssessments"]["records_failed"] == 2
    failure = resources["studentAssessments"]["failures"][0]
    assert (failure["status_code"], failure["count"]) == (400, 2)
    assert len(ods.received("studentAssessments")) == 6


def test_lightbeam_fails_when_every_record_is_refused(
    ods: SandboxOds, data: Path, tmp_path: Path
) -> None:
    ods.faults = Faults(reject_posts=True)
    returncode, resources = _send(ods, data, tmp_path)
    assert returncode == 1
    assert resources["studentAssessments"]["records_failed"] == 8
    assert ods.received_counts() == {}


def test_lightbeam_deletes_what_it_sent_by_its_natural_key(
    ods: SandboxOds, data: Path, tmp_path: Path
) -> None:
    _send(ods, data, tmp_path)
    result = run_lightbeam(
        *(ods, CONFIG, "delete", "-s", "studentAssessments", "--force"),
        *("--set", "force_delete", "true"),
        data=data,
        scratch=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert ods.received_counts() == {"assessments": 1}


def _send(ods: SandboxOds, data: Path, scratch: Path) -> tuple[int, dict[str, Any]]:
    report = scratch / "results.json"
    arguments = ("send", "--results-file", str(report))
    result = run_lightbeam(ods, CONFIG, *arguments, data=data, scratch=scratch)
    resources: dict[str, Any] = json.loads(report.read_text())["resources"]
    return result.returncode, resources


def _write(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
