"""IDs whose student a person has confirmed: when that holds for a row of a later file."""

import json

import pytest

from earthbeam.executor.decisions import confirmed_rows
from tests.earthbeam.executor.test_identity_checks import (
    BUNDLE,
    GONE,
    HERE,
    edu_with_names,
    file_of,
    review,
    row,
)
from tests.earthbeam.executor.test_runs import ids_sent, json_lines

COLUMN = "StateStudentID"


@pytest.fixture
def start(app, ods, workbench, write_file):
    def start(rows, confirmed, mode="hold", **changes):
        app.roster = edu_with_names
        lines = [
            each if isinstance(each, dict) else dict(zip(KEYS, each, strict=True))
            for each in confirmed
        ]
        path = workbench.root / "confirmed"
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        workbench.files.upload(path, "input/__confirmed.jsonl")
        workbench.job(
            write_file("scores.csv", file_of(rows)),
            BUNDLE,
            ods,
            cross_year=True,
            confirmedFile="__confirmed.jsonl",
            **changes,
        )
        if mode is not None:
            app.payload["identityChecks"] = mode
        return workbench.run()

    return start


KEYS = ("column", "id", "studentUniqueId")
GOOD = [row(student) for student in HERE[:12]]


@pytest.mark.slow
def test_rows_with_a_confirmed_id_go_to_that_student_of_either_roster_and_count_apart(
    app, ods, workbench, start
):
    here, gone, reused = HERE[20], GONE[0], HERE[21]
    rows = [
        *GOOD,
        row(here, **{COLUMN: "77"}),
        row(gone, **{COLUMN: "78.0"}),
        # The roster has this ID for somebody else, whom neither name nor birth date is of.
        row(reused, **{COLUMN: HERE[25].state_id}),
    ]
    ended = start(
        rows,
        [
            (COLUMN.lower(), "77", here.unique_id),
            (COLUMN, "78", gone.unique_id),
            (COLUMN, HERE[25].state_id, reused.unique_id),
            (COLUMN, "79", HERE[26].unique_id),
            ("NoSuchColumn", "77", HERE[27].unique_id),
        ],
    )

    assert app.outcome() == "done success", ended.log
    [matches] = app.posted("matches")
    assert (matches["odsMatched"], matches["crossYearMatched"], matches["unmatched"]) == (14, 1, 0)
    assert (matches["confirmed"], matches["disagreeing"]) == (3, 0)
    sent = ids_sent(ods.received("studentAssessments"))
    assert sent == {student.unique_id for student in (*HERE[:12], here, reused)}
    offered = json_lines(workbench.output()["non-ods/studentAssessments.jsonl"])
    assert ids_sent(offered) == {gone.unique_id}
    for student in (here, gone, reused, HERE[26]):
        assert student.unique_id not in ended.log + json.dumps(app.reports)
    assert list(workbench.scratch.iterdir()) == []


@pytest.mark.slow
def test_a_confirmed_student_does_not_hold_against_the_row_or_without_a_roster(
    app, ods, workbench, start
):
    somebody_else = {"StudentName": "Quimby, Zelda", "DOB": "1/2/2003"}
    nobody = {"StudentName": "", "DOB": ""}
    rows = [
        *GOOD,
        row(HERE[22], **{COLUMN: "77"}, **somebody_else),
        row(HERE[23], **{COLUMN: "78"}),  # the confirmed one left every roster
        row(HERE[24], **nobody),  # nothing to compare, and the roster has the ID
        row(HERE[25], **{COLUMN: "79"}, **nobody),  # nothing to compare, and no roster has it
    ]
    ended = start(
        rows,
        [
            (COLUMN, "77", HERE[26].unique_id),
            (COLUMN, "78", "999999"),
            (COLUMN, HERE[24].state_id, HERE[27].unique_id),
            (COLUMN, "79", HERE[28].unique_id),
        ],
    )

    assert app.outcome() == "done success", ended.log
    [matches] = app.posted("matches")
    assert (matches["odsMatched"], matches["unmatched"], matches["confirmed"]) == (14, 2, 1)
    sent = ids_sent(ods.received("studentAssessments"))
    assert sent == {student.unique_id for student in (*HERE[:12], HERE[24], HERE[28])}
    lines = review(workbench)
    assert [lines[number]["reason"] for number in (13, 14)] == ["unknown", "unknown"]
    # They are open as they would be without the confirmation, with their suggestions.
    assert lines[14]["suggestions"][0]["studentUniqueId"] == HERE[23].unique_id


@pytest.mark.slow
def test_a_file_of_confirmed_ids_alone_is_loaded_and_a_decision_wins(app, ods, workbench, start):
    path = workbench.root / "decisions"
    path.write_text(json.dumps({"row": 2, "studentUniqueId": HERE[2].unique_id}) + "\n")
    workbench.files.upload(path, "input/__decisions.jsonl")
    rows = [row(HERE[n], **{COLUMN: str(n + 1)}) for n in range(2)]
    confirmed = [(COLUMN, str(n + 1), HERE[n].unique_id) for n in range(2)]
    ended = start(rows, confirmed, decisionsFile="__decisions.jsonl")
    assert app.outcome() == "done success", ended.log
    sent = ids_sent(ods.received("studentAssessments"))
    assert sent == {HERE[0].unique_id, HERE[2].unique_id}
    [matches] = app.posted("matches")
    assert matches["confirmed"] == 1


@pytest.mark.slow
def test_without_identity_checks_nothing_of_it_is_used(app, ods, workbench, start):
    rows = [*GOOD, row(HERE[20], **{COLUMN: "77"})]
    ended = start(rows, [(COLUMN, "77", HERE[20].unique_id)], mode=None)
    assert app.outcome() == "done success", ended.log
    [matches] = app.posted("matches")
    assert (matches["unmatched"], "confirmed" in matches) == (1, False)


def test_a_row_with_ids_of_two_confirmed_students_has_neither():
    ids: dict[str, list[str | None]] = {
        "One": ["1", "1", " 3.0", None, ""],
        "Two": ["2", "x", "x", "2", "2"],
    }
    confirmed = {"one": {"1": "a", "3": "c"}, "TWO": {"2": "b"}}
    assert confirmed_rows(confirmed, ids) == {1: "a", 2: "c", 3: "b", 4: "b"}
