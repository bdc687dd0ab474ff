"""What other executors fall into: each with the input that springs it."""

import json

import pytest

from runway.sandbox.input_files import write_interim_file, write_summative_file
from runway.sandbox.population import (
    CURRENT,
    EARLIER,
    SHARED_STATE_ID,
    WITHOUT_CODES,
    in_group,
)
from tests.earthbeam.executor.conftest import edu_roster, roster_line
from tests.earthbeam.executor.test_failures import fails
from tests.earthbeam.executor.test_runs import (
    HEADER,
    INTERIM,
    csv_rows,
    ids_sent,
    interim,
    json_lines,
)

pytestmark = pytest.mark.slow

HERE, EARLIER_ONES = in_group(CURRENT)[10:20], in_group(EARLIER)[:10]
ROSTER = "studentEducationOrganizationAssociations.jsonl"


def succeeds(app, workbench):
    ended = workbench.run()
    assert (ended.exit_status, app.outcome()) == (0, "done success"), ended.log
    return workbench.output()


def test_both_sets_keep_the_file_name_that_a_bundle_reads_the_subject_from(
    app, ods, workbench, tmp_path
):
    sample = write_summative_file(tmp_path)
    assert "_MA_" in sample.path.name
    app.roster = edu_roster
    workbench.job(sample.path, sample.bundle, ods, cross_year=True)
    output = succeeds(app, workbench)
    for name in ("ods", "non-ods"):
        records = json_lines(output[f"{name}/studentAssessments.jsonl"])
        subjects = {record["assessmentReference"]["assessmentIdentifier"] for record in records}
        assert subjects == {"SUMMATIVE-MATHEMATICS"}


def test_blank_and_shared_ids_become_nobodys_results_and_leave_properly_quoted(
    app, ods, workbench, write_file
):
    shared = next(s for s in in_group(CURRENT) if s.unique_id == SHARED_STATE_ID[0])
    odd = [
        ("", "", 'O"Brien, Pat'),
        (shared.state_id, "", "Twin, \n Second line"),
        ("x", "y", "é,;"),
    ]
    rows = [(s.state_id, "", "A") for s in HERE] + odd
    content = interim([(state, number, name.replace('"', '""')) for state, number, name in rows])
    workbench.job(write_file("scores.csv", content.encode()), INTERIM, ods, cross_year=True)
    app.roster = edu_roster
    output = succeeds(app, workbench)
    sent = ids_sent(ods.received("studentAssessments"))
    assert sent == {student.unique_id for student in HERE}
    assert not sent & {WITHOUT_CODES, *SHARED_STATE_ID}
    assert "non-ods/studentAssessments.jsonl" not in output
    original = csv_rows(content.encode())
    unmatched = csv_rows(output["input_no_student_id_match.csv"])
    assert unmatched == original[len(HERE) :]
    assert list(unmatched[0]) == HEADER.split(",")
    assert app.posted("unmatched-ids")[0]["count"] == 3


def test_the_winner_and_the_rows_left_are_not_the_first_line_of_the_rates(
    app, ods, workbench, write_file
):
    # The ODS knows a third by Local id, EDU most by State id; the rates file begins with the ODS's.
    rows = [("unknown", s.local_id, "A") for s in HERE[:4]]
    rows += [(s.state_id, "unknown", "A") for s in EARLIER_ONES]
    rows += [("nobody", "nobody", "A")]
    workbench.job(write_file("a.csv", interim(rows).encode()), INTERIM, ods, cross_year=True)
    app.roster = edu_roster
    output = succeeds(app, workbench)
    rates = csv_rows(output["student_id_match_rates.csv"])
    assert (rates[0]["source_column_name"], rates[0]["edfi_column_name"]) == (
        "StudentNumber",
        "Local",
    )
    assert {rate["edfi_column_name"] for rate in rates} == {"Local", "State"}
    (told,) = app.posted("unmatched-ids")
    assert told == {"name": "StateStudentID", "type": "State", "count": 5}
    assert len(csv_rows(output["input_no_student_id_match.csv"])) == 5


def test_a_page_whose_first_student_has_no_codes_keeps_the_others(app, ods, workbench, tmp_path):
    sample = write_interim_file(tmp_path)
    workbench.job(sample.path, sample.bundle, ods)
    roster = json_lines(succeeds(app, workbench)[ROSTER])
    first = next(s for s in roster if s["studentReference"]["studentUniqueId"] == WITHOUT_CODES)
    assert first["studentIdentificationCodes"] == []
    assert sum(bool(student["studentIdentificationCodes"]) for student in roster) == len(roster) - 1


def state_equals_unique_id(students):
    for student in students:
        record = json.loads(roster_line(student))
        record["studentIdentificationCodes"] = [
            {
                "studentIdentificationSystemDescriptor": "uri://example.org/System#State",
                "identificationCode": student.unique_id,
            }
        ]
        yield json.dumps(record).encode() + b"\n"


@pytest.mark.parametrize("known", [5, 2], ids=["unmatched ids", "insufficient matches"])
def test_an_id_type_is_named_as_users_know_it(app, workbench, write_file, known):
    roster = write_file("roster.jsonl", b"".join(state_equals_unique_id(HERE)))
    rows = [(s.unique_id, "", "A") for s in HERE[:known]] + [("nobody", "", "A")] * 3
    path = write_file("scores.csv", interim(rows).encode())
    workbench.job(path, INTERIM, None, rosterFilePath=f"file://{roster}")
    if known == 5:
        succeeds(app, workbench)
        assert app.posted("unmatched-ids") == [
            {"name": "StateStudentID", "type": "State", "count": 3}
        ]
        assert app.posted("matches")[0]["idType"] == "State"
    else:
        payload = fails(app, workbench, "insufficient_matches")
        assert (payload["id_name"], payload["id_type"]) == ("StateStudentID", "State")


def test_no_folder_is_named_like_a_variable_that_nobody_set(app, ods, workbench, tmp_path):
    # One bundle expands ${STATE_FILE}, every lightbeam.yaml ${STATE_DIR}.
    sample = write_summative_file(tmp_path)
    app.roster = edu_roster
    workbench.job(sample.path, sample.bundle, ods, cross_year=True)
    seen: list[str] = []

    def look(name, body):
        if body == {"action": "upload_output", "status": "begin"}:
            seen.extend(path.name for path in workbench.scratch.rglob("*"))

    app.on_report = look
    succeeds(app, workbench)
    assert [name for name in seen if name.startswith("lightbeam-")]
    assert not [name for name in seen if "$" in name or "STATE" in name]
    assert not [path.name for path in workbench.root.iterdir() if "$" in path.name]


def test_a_failed_run_leaves_no_file_of_unmatched_rows(app, ods, workbench, write_file):
    rows = [*((s.state_id, "", "A") for s in HERE), ("nobody", "", "B")]
    content = interim(rows).replace("09/13/2025", "soon")
    workbench.job(write_file("scores.csv", content.encode()), INTERIM, ods)
    fails(app, workbench, "earthmover_run")
    output = workbench.output()
    assert "student_id_match_rates.csv" in output
    assert "input_no_student_id_match.csv" not in output
