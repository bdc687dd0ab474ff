"""Whole runs of the executor, started as a launcher starts it, on the sample bundles."""

import csv
import hashlib
import io
import json

import pytest

from earthbeam.files import open_store
from runway.sandbox.input_files import write_interim_file, write_summative_file
from runway.sandbox.ods import Faults
from runway.sandbox.population import CURRENT, in_group
from tests.earthbeam.executor.conftest import (
    KEY_PREFIX,
    edu_roster,
    on_file_and_s3,
    roster_line,
)

pytestmark = pytest.mark.slow

STEPS = (
    "refresh_bundle_code",
    "earthmover_deps",
    "get_student_roster",
    "get_input_files",
    "earthmover_run",
    "lightbeam_send",
    "upload_output",
)


def ids_sent(records):
    return {record["studentReference"]["studentUniqueId"] for record in records}


def json_lines(content):
    return [json.loads(line) for line in content.splitlines()]


def csv_rows(content):
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


@on_file_and_s3
def test_a_cross_year_job_splits_its_rows_between_the_ods_and_edu(app, ods, workbench, tmp_path):
    sample = write_interim_file(tmp_path)
    expected = sample.expected
    app.roster = edu_roster
    workbench.job(sample.path, sample.bundle, ods, cross_year=True)

    ended = workbench.run()

    assert (ended.exit_status, app.outcome()) == (0, "done success"), ended.log
    expected_steps = [f"{step} {status}" for step in STEPS for status in ("begin", "success")]
    assert app.steps() == [*expected_steps, "done success"]
    (matches,) = app.posted("matches")
    assert 100 < matches.pop("peakMemoryMb") < 4000
    assert matches == {
        "inputRows": expected.rows,
        "odsMatched": expected.ods,
        "crossYearMatched": expected.cross_year,
        "unmatched": expected.unmatched,
        "untransformable": 0,
        "blankIds": expected.blank,
        "ambiguousIds": expected.ambiguous,
        "idName": expected.id_name,
        "idType": expected.id_type,
        "matchRate": pytest.approx(expected.ods / expected.rows),
        "missingIdColumns": [],
        "refusedRows": 0,
    }
    assert app.posted("unmatched-ids") == [
        {"name": expected.id_name, "type": expected.id_type, "count": expected.unmatched}
    ]

    output = workbench.output()
    told = app.posted("output-files")
    assert [(each["path"], each["sentToOds"]) for each in told] == [
        (f"{KEY_PREFIX}/output/ods", True),
        (f"{KEY_PREFIX}/output/non-ods", False),
    ]
    for each, rows in zip(told, (expected.ods, expected.cross_year), strict=True):
        assert each["records"]["studentAssessments"] == rows
        folder = each["path"].rpartition("/")[2]
        assert each["sha256"] == {
            name.partition("/")[2]: hashlib.sha256(content).hexdigest()
            for name, content in output.items()
            if name.startswith(f"{folder}/")
        }
    sent = ids_sent(ods.received("studentAssessments"))
    offered = ids_sent(json_lines(output["non-ods/studentAssessments.jsonl"]))
    in_ods = {student.unique_id for student in in_group(CURRENT)}
    assert sent <= in_ods
    assert not offered & in_ods
    assert sent == ids_sent(json_lines(output["ods/studentAssessments.jsonl"]))
    (summary,) = app.posted("summary")
    assert summary["studentAssessments"] == {
        "records_processed": expected.ods + expected.cross_year,
        "records_skipped": 0,
        "records_failed": 0,
    }

    assert {name for name in output if "/" not in name} == {
        "studentEducationOrganizationAssociations.jsonl",
        "em-results.json",
        "em-results-x-year.json",
        "student_id_match_rates.csv",
        "input_no_student_id_match.csv",
        "lb-send-results.json",
    }
    counts = json.loads(output["em-results.json"])["row_counts"]
    assert counts["$destinations.studentAssessments"] == expected.ods
    unmatched = csv_rows(output["input_no_student_id_match.csv"])
    original = csv_rows(sample.path.read_bytes())
    assert len(unmatched) == expected.unmatched
    assert all(row in original for row in unmatched)
    passes = [row["num_rows"] for row in csv_rows(output["student_id_match_rates.csv"])]
    assert passes[0] == str(expected.rows)
    assert passes[-1] == str(expected.rows - expected.ods)

    assert list(workbench.scratch.iterdir()) == [], "the scratch folder was left behind"
    order = [name for name, _ in app.reports]
    assert order.index("unmatched-ids") < order.index("output-files") < order.index("matches")
    assert order[-4:] == ["matches", "summary", "status", "status"]


def test_below_the_threshold_every_ods_student_still_goes_to_the_ods(app, ods, workbench, tmp_path):
    sample = write_summative_file(tmp_path)
    app.roster = edu_roster
    workbench.job(sample.path, sample.bundle, ods, cross_year=True)

    ended = workbench.run()

    assert app.outcome() == "done success", ended.log
    (matches,) = app.posted("matches")
    assert matches["odsMatched"] == sample.expected.ods
    assert matches["crossYearMatched"] == sample.expected.cross_year
    in_ods = {student.unique_id for student in in_group(CURRENT)}
    sent = ods.received("studentAssessments")
    offered = json_lines(workbench.output()["non-ods/studentAssessments.jsonl"])
    assert len(sent) == sample.expected.ods
    assert len(offered) == sample.expected.cross_year
    assert ids_sent(sent) <= in_ods
    assert not ids_sent(offered) & in_ods


def test_without_cross_year_matching_low_matches_fail_and_nothing_is_sent(
    app, ods, workbench, tmp_path
):
    sample = write_summative_file(tmp_path)
    workbench.job(sample.path, sample.bundle, ods)

    ended = workbench.run()

    assert (ended.exit_status, app.outcome()) == (0, "done failure"), ended.log
    error = app.error()
    assert error["code"] == "insufficient_matches"
    payload = error["payload"]
    assert payload["match_rate"] == pytest.approx(sample.expected.ods / sample.expected.rows)
    assert (payload["match_threshold"], payload["id_name"], payload["id_type"]) == (
        0.5,
        sample.expected.id_name,
        "State",
    )
    assert ods.received_counts() == {}
    assert "input_no_student_id_match.csv" not in workbench.output()


HEADER = (
    "StateStudentID,StudentNumber,StudentName,SchoolName,Grade,Subject,TestWindow,TestDate,"
    "ScaleScore,StandardError,Percentile,Band"
)


def interim(rows):
    """A file for SAMPLE_INTERIM of (state id, student number, name)."""
    lines = [HEADER]
    for state_id, number, name in rows:
        rest = "Grand Bend School,5,Mathematics,Fall,09/13/2025,221,3.4,38,Middle"
        lines.append(f'{state_id},{number},"{name}",{rest}')
    return "\n".join(lines) + "\n"


INTERIM = "assessments/SAMPLE_INTERIM"


def test_files_in_other_encodings_load_with_their_accents(app, ods, workbench, write_file):
    known = in_group(CURRENT)[10:14]
    content = interim([(s.state_id, "", "Nuñez, Zoë") for s in known] + [("nobody", "", "Siân")])
    path = write_file("scores.csv", content.encode("utf-16"))
    workbench.job(path, INTERIM, ods)

    ended = workbench.run()

    assert app.outcome() == "done success", ended.log
    assert ids_sent(ods.received("studentAssessments")) == {s.unique_id for s in known}
    assert "Siân" in workbench.output()["input_no_student_id_match.csv"].decode()


def test_when_every_row_matches_there_is_no_unmatched_file_and_edu_is_not_asked(
    app, ods, workbench, write_file
):
    known = in_group(CURRENT)[10:16]
    path = write_file("scores.csv", interim([(s.state_id, "", "A") for s in known]).encode())
    app.roster = edu_roster
    workbench.job(path, INTERIM, ods, cross_year=True)

    ended = workbench.run()

    assert app.outcome() == "done success", ended.log
    assert app.roster_requests == 0
    assert app.posted("unmatched-ids") == []
    assert "input_no_student_id_match.csv" not in workbench.output()
    assert [body["sentToOds"] for body in app.posted("output-files")] == [True]


def test_a_job_that_goes_to_no_ods_offers_everything_to_edu(app, workbench, write_file):
    known = in_group(CURRENT)[10:16]
    path = write_file("scores.csv", interim([(s.state_id, "", "A") for s in known]).encode())
    app.roster = edu_roster
    workbench.job(path, INTERIM, None, cross_year=True)

    ended = workbench.run()

    assert app.outcome() == "done success", ended.log
    assert "lightbeam_send begin" not in app.steps()
    assert [body["sentToOds"] for body in app.posted("output-files")] == [False]
    (matches,) = app.posted("matches")
    assert (matches["odsMatched"], matches["crossYearMatched"]) == (0, 6)


@on_file_and_s3
def test_a_job_that_goes_to_no_ods_can_match_against_a_roster_file(app, workbench, write_file):
    known = in_group(CURRENT)[10:16]
    path = write_file("scores.csv", interim([(s.state_id, "", "A") for s in known]).encode())
    roster = write_file("roster.jsonl", b"".join(roster_line(student) for student in known))
    open_store(workbench.files_base).upload(roster, "__rosters/ea/grand_bend/2026/roster.jsonl")
    location = f"{workbench.files_base}/__rosters/ea/grand_bend/2026/roster.jsonl"
    workbench.job(path, INTERIM, None, rosterFilePath=location)

    ended = workbench.run()

    assert app.outcome() == "done success", ended.log
    assert len(json_lines(workbench.output()["non-ods/studentAssessments.jsonl"])) == 6


def test_a_partners_descriptor_mapping_replaces_the_bundles(app, ods, workbench, write_file):
    known = in_group(CURRENT)[10:12]
    path = write_file("scores.csv", interim([(s.state_id, "", "A") for s in known]).encode())
    local = "uri://ed-fi.org/GradeLevelDescriptor#Fifth grade of ours"
    workbench.job(path, INTERIM, None, cross_year=True)
    app.roster = edu_roster
    app.payload["customDescriptorMappings"] = {
        "gradeLevelDescriptors": [
            {
                "v_other_columns": {"assessmentIdentifier": assessment, "Grade": grade},
                "edfi_descriptor": "uri://ed-fi.org/GradeLevelDescriptor#Fifth grade",
                "local_descriptor": local,
            }
            for assessment in ("INTERIM-MATHEMATICS", "INTERIM-READING")
            for grade in "345678"
        ]
    }

    ended = workbench.run()

    assert app.outcome() == "done success", ended.log
    records = json_lines(workbench.output()["non-ods/studentAssessments.jsonl"])
    assert [record["whenAssessedGradeLevelDescriptor"] for record in records] == [local, local]


def test_records_that_the_ods_refuses_are_counted_and_fail_nothing(app, ods, workbench, tmp_path):
    ods.faults = Faults(reject_every=10, reject_resource="studentAssessments")
    sample = write_interim_file(tmp_path)
    workbench.job(sample.path, sample.bundle, ods)

    ended = workbench.run()

    assert app.outcome() == "done success", ended.log
    (summary,) = app.posted("summary")
    assert summary["studentAssessments"]["records_failed"] == sample.expected.ods // 10
    assert len(ods.received("studentAssessments")) == sample.expected.ods - 25


def test_records_that_were_lost_on_the_way_count_as_failed(app, ods, workbench, tmp_path):
    # lightbeam counts a record whose connection was reset neither as sent nor as failed.
    ods.faults = Faults(reset_after=200)
    sample = write_interim_file(tmp_path)
    workbench.job(sample.path, sample.bundle, ods)

    ended = workbench.run()

    assert app.outcome() == "done success", ended.log
    (summary,) = app.posted("summary")
    received = len(ods.received("studentAssessments"))
    assert 0 < received < sample.expected.ods
    assert summary["studentAssessments"]["records_failed"] == sample.expected.ods - received


def test_no_secret_and_no_student_id_reaches_the_log(app, ods, workbench, tmp_path):
    ods.faults = Faults(reject_every=3, reject_resource="studentAssessments")
    sample = write_interim_file(tmp_path)
    app.roster = edu_roster
    workbench.job(sample.path, sample.bundle, ods, cross_year=True)

    log = workbench.run(LOG="x").log

    for secret in ("init-token-abc", "access-token-xyz", ods.client_secret):
        assert secret not in log
    ids = {s.unique_id for s in in_group(CURRENT)} | {s.state_id for s in in_group(CURRENT)[1:]}
    assert not [student_id for student_id in ids if student_id and student_id in log]


def test_a_report_that_the_app_offers_and_does_not_take_fails_no_run(
    app, ods, workbench, write_file
):
    app.refuse["matches"] = [404]
    content = interim([(s.state_id, "", "A") for s in in_group(CURRENT)[10:14]])
    workbench.job(write_file("scores.csv", content.encode()), INTERIM, ods)
    ended = workbench.run()
    assert (ended.exit_status, app.outcome()) == (0, "done success"), ended.log
    assert app.posted("summary")
