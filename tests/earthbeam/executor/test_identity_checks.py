"""Whole runs with identity checks: rows that are about somebody else, and students for the rest."""

import csv
import io
import json

import pytest

from runway.sandbox.ods import Faults
from runway.sandbox.population import CURRENT, EARLIER, in_group
from tests.earthbeam.executor.conftest import edu_roster, roster_line
from tests.earthbeam.executor.test_runs import csv_rows, ids_sent, json_lines

pytestmark = pytest.mark.slow

BUNDLE = "assessments/SAMPLE_INTERIM"
HERE = in_group(CURRENT)[10:40]
GONE = in_group(EARLIER)[:6]


def named(student):
    return (
        json.dumps(
            json.loads(roster_line(student))
            | {
                "student": {
                    "firstName": student.first_name,
                    "middleName": None,
                    "lastSurname": student.last_name,
                    "birthDate": student.birth_date.isoformat(),
                }
            }
        ).encode()
        + b"\n"
    )


def edu_with_names():
    return [named(student) for student in (*in_group(CURRENT), *in_group(EARLIER))]


def row(student, **changes):
    month, day = student.birth_date.month, student.birth_date.day
    return {
        "TestWindow": "Fall", "SchoolName": "Grand Bend School",
        "StudentName": f"{student.last_name}, {student.first_name}",
        "StudentNumber": "", "StateStudentID": student.state_id, "Grade": str(student.grade),
        "DOB": f"{month}/{day}/{student.birth_date.year}", "Subject": "Mathematics",
        "TestDate": "09/15/2025", "ScaleScore": "200", "StandardError": "3.1",
        "Percentile": "50", "Band": "Middle",
    } | changes  # fmt: skip


def file_of(rows):
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


@pytest.fixture
def start(app, ods, workbench, write_file):
    def start(rows, mode, **changes):
        app.roster = edu_roster if app.no_names else edu_with_names
        workbench.job(
            write_file("scores.csv", file_of(rows)), BUNDLE, ods, cross_year=True, **changes
        )
        if mode is not None:
            workbench.app.payload["identityChecks"] = mode
        return workbench.run()

    return start


def rows_of_all_kinds():
    """26 good rows, and one that is damaged in each way, in this order."""
    somebody = {"StudentName": "Quimby, Zelda", "DOB": "1/2/2003"}
    return [
        *map(row, HERE[:20]),
        *map(row, GONE[:3]),
        row(HERE[20], StateStudentID=HERE[20].state_id.lstrip("0")),
        row(GONE[3], StateStudentID=f"{GONE[3].state_id.lstrip('0')}.00"),
        row(HERE[21], StateStudentID=""),
        row(HERE[22], StateStudentID="77"),
        row(HERE[23], **somebody),
    ]


def review(workbench):
    return {line["row"]: line for line in json_lines(workbench.output()["row_review.jsonl"])}


def best(line):
    return line["suggestions"][0]["studentUniqueId"] if line["suggestions"] else None


def test_rows_of_somebody_else_are_held_and_every_open_row_finds_its_student(
    app, ods, workbench, start
):
    ended = start(rows_of_all_kinds(), "hold")

    assert app.outcome() == "done success", ended.log
    [matches] = app.posted("matches")
    assert (matches["odsMatched"], matches["crossYearMatched"], matches["unmatched"]) == (20, 3, 5)
    assert (matches["disagreeing"], matches["repairable"], matches["suggested"]) == (1, 2, 4)
    assert HERE[23].unique_id not in ids_sent(ods.received("studentAssessments"))

    lines = review(workbench)
    assert [line["reason"] for line in lines.values()] == [
        *("unknown", "unknown", "blank", "unknown", "disagrees")
    ]
    assert list(lines) == [24, 25, 26, 27, 28]
    assert all(line["open"] for line in lines.values())
    expected = [HERE[20], GONE[3], HERE[21], HERE[22]]
    assert [best(lines[number]) for number in (24, 25, 26, 27)] == [
        student.unique_id for student in expected
    ]
    repaired = lines[24]["suggestions"][0]
    assert repaired["repair"] == "leading_zeros"
    assert repaired["source"] == "ods"
    assert repaired["ids"]["State"] == HERE[20].state_id
    assert (repaired["likelihood"], repaired["sure"]) == ("very_likely", True)
    assert repaired["agrees"] == {"lastSurname": "same", "firstName": "same", "birthDate": "same"}
    assert lines[25]["suggestions"][0]["source"] == "edu"
    held = lines[28]
    assert held["matched"]["studentUniqueId"] == HERE[23].unique_id
    assert held["person"]["lastSurname"] == "Quimby"

    unmatched = csv_rows(workbench.output()["input_no_student_id_match.csv"])
    assert [each["StateStudentID"] for each in unmatched][-1] == HERE[23].state_id
    assert list(workbench.scratch.iterdir()) == []
    told = ended.log + json.dumps(app.reports)
    for text in ("Quimby", "Zelda", *(student.unique_id for student in (*HERE, *GONE))):
        assert text not in told


def test_rows_of_somebody_else_are_loaded_and_listed_where_that_is_wanted(
    app, ods, workbench, start
):
    ended = start(rows_of_all_kinds(), "report")
    assert app.outcome() == "done success", ended.log
    [matches] = app.posted("matches")
    assert (matches["odsMatched"], matches["unmatched"], matches["disagreeing"]) == (21, 4, 1)
    assert HERE[23].unique_id in ids_sent(ods.received("studentAssessments"))
    lines = review(workbench)
    assert (lines[28]["open"], lines[28]["reason"]) == (False, "disagrees")


def test_without_the_setting_nothing_is_asked_for_and_nothing_is_added(app, ods, workbench, start):
    ended = start(rows_of_all_kinds(), None)
    assert app.outcome() == "done success", ended.log
    [matches] = app.posted("matches")
    assert {"disagreeing", "repairable", "suggested"}.isdisjoint(matches)
    assert "row_review.jsonl" not in workbench.output()
    assert app.roster_queries == [""]


def test_a_file_of_other_students_fails_before_anything_is_sent(app, ods, workbench, start):
    strangers = [
        row(student, StudentName=f"Quimby, Zelda{n}", DOB="1/2/2003") if n < 5 else row(student)
        for n, student in enumerate(HERE[:20])
    ]
    ended = start(strangers, "hold")
    assert app.outcome() == "done failure", ended.log
    error = app.error()
    assert error["code"] == "identity_mismatch"
    assert error["payload"]["rate"] == pytest.approx(0.25)
    assert error["payload"]["column"] == "StateStudentID"
    assert ods.received_counts() == {}


def test_ids_that_lost_their_zeros_are_named_with_what_would_restore_them(
    app, ods, workbench, start
):
    rows = [row(each, StateStudentID=each.state_id.lstrip("0")) for each in HERE[:20]]
    rows += [row(HERE[20], StateStudentID="9.06E+06")]
    ended = start(rows, "report")
    assert app.outcome() == "done failure", ended.log
    payload = app.error()["payload"]
    assert app.error()["code"] == "insufficient_matches"
    assert payload["repairs"] == [
        {"kind": "leading_zeros", "rows": 20},
        {"kind": "scientific", "rows": 1},
    ]
    assert payload["input_rows"] == 21


def test_a_file_is_loaded_with_its_zeros_restored_if_a_person_wants_that(
    app, ods, workbench, start
):
    students = [*HERE[:8], *GONE[:2]]
    rows = [row(each, StateStudentID=each.state_id.lstrip("0")) for each in students]
    ended = start(rows, "report", idRepairs=["leading_zeros"])
    assert app.outcome() == "done success", ended.log
    [matches] = app.posted("matches")
    assert (matches["odsMatched"], matches["crossYearMatched"], matches["unmatched"]) == (8, 2, 0)
    assert len(ods.received("studentAssessments")) == 8


@pytest.mark.parametrize("who", ["ods", "edu", "both"])
def test_names_that_cannot_be_had_leave_checks_out_and_fail_no_run(app, ods, workbench, start, who):
    if who in ("ods", "both"):
        ods.faults = Faults(refuse_students=True)
    if who in ("edu", "both"):
        app.no_names = True
    ended = start(rows_of_all_kinds(), "hold")
    assert app.outcome() == "done success", ended.log
    [matches] = app.posted("matches")
    assert "cannot be compared" in ended.log
    assert (matches["disagreeing"] is None) is (who == "both")
    if who == "both":
        assert matches["repairable"] == 2
        assert matches["odsMatched"] == 21
