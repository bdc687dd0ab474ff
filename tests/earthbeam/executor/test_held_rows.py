"""Rows that a bundle cannot transform are held, and the others go on as if those were not there."""

import json

import pytest

from runway.sandbox.population import CURRENT, EARLIER, in_group
from tests.earthbeam.executor import hostile
from tests.earthbeam.executor.conftest import edu_roster
from tests.earthbeam.executor.test_identity_checks import BUNDLE, file_of, row
from tests.earthbeam.executor.test_runs import csv_rows, ids_sent, json_lines

pytestmark = pytest.mark.slow
change_bundles = hostile.change_bundles

HERE, GONE = in_group(CURRENT)[10:70], in_group(EARLIER)[:6]


@pytest.fixture
def start(app, ods, workbench, write_file):
    def start(rows, **changes):
        app.roster = edu_roster
        workbench.job(
            write_file("scores.csv", file_of(rows)), BUNDLE, ods, cross_year=True, **changes
        )
        return workbench.run()

    return start


def results(workbench):
    """The files of both sets."""
    return {name: content for name, content in workbench.output().items() if "/" in name}


def test_one_bad_cell_holds_its_row_with_the_reason_and_the_others_go_on(
    app, ods, workbench, start
):
    rows = [*map(row, HERE[:30]), row(HERE[30], TestDate="unknown"), *map(row, GONE)]
    ended = start(rows)
    assert app.outcome() == "done success", ended.log
    [matches] = app.posted("matches")
    assert (matches["odsMatched"], matches["crossYearMatched"]) == (30, 6)
    assert (matches["unmatched"], matches["untransformable"]) == (1, 1)
    assert ids_sent(ods.received("studentAssessments")) == {s.unique_id for s in HERE[:30]}
    [held] = json_lines(workbench.output()["row_review.jsonl"])
    assert (held["row"], held["open"], held["reason"]) == (31, True, "untransformable")
    assert held["cell"] == {"column": "TestDate", "value": "unknown", "problem": "date"}
    [left] = csv_rows(workbench.output()["input_no_student_id_match.csv"])
    assert left["TestDate"] == "unknown"
    assert "unknown" not in json.dumps(app.reports)
    assert list(workbench.scratch.iterdir()) == []


def damaged(student, number):
    """Rows that the sample bundle cannot transform, in several ways."""
    return row(
        student,
        **[
            {"TestDate": "unknown"},
            {"TestDate": "13/45/2025"},
            {"TestDate": '"quoted", with a comma'},
            {"TestDate": "2025"},
        ][number % 4],
    )


def test_the_results_are_those_of_the_file_without_the_held_rows(app, ods, workbench, start):
    rows = [*map(row, HERE[:40]), *map(row, GONE)]
    places = [0, 7, 8, 23, 39, 42]
    students = [*HERE[:40], *GONE]
    bad = [damaged(s, n) if n in places else row(s) for n, s in enumerate(students)]
    assert start([each for n, each in enumerate(rows) if n not in places]).exit_status == 0
    expected = results(workbench)
    sent = ids_sent(ods.received("studentAssessments"))

    ended = start(bad)
    assert app.outcome() == "done success", ended.log
    assert results(workbench) == expected
    review = json_lines(workbench.output()["row_review.jsonl"])
    assert ids_sent(ods.received("studentAssessments")) == sent
    assert [line["row"] for line in review] == [place + 1 for place in places]
    [*_, matches] = app.posted("matches")
    assert (matches["untransformable"], matches["inputRows"]) == (6, 46)
    assert matches["odsMatched"] + matches["crossYearMatched"] + matches["unmatched"] == 46


def test_held_rows_stand_among_the_other_open_rows(app, ods, workbench, start):
    rows = [*map(row, HERE[:20]), row(HERE[20], StateStudentID="77"), damaged(HERE[21], 0)]
    ended = start([damaged(HERE[22], 1), *rows])
    assert app.outcome() == "done success", ended.log
    review = json_lines(workbench.output()["row_review.jsonl"])
    assert [(line["row"], line["reason"]) for line in review] == [
        (1, "untransformable"), (22, "unknown"), (23, "untransformable"),
    ]  # fmt: skip
    left = csv_rows(workbench.output()["input_no_student_id_match.csv"])
    assert [each["TestDate"] for each in left] == ["13/45/2025", "09/15/2025", "unknown"]


@pytest.mark.parametrize("good", [0, 10], ids=["every row", "more than may be held"])
def test_a_file_of_which_too_many_rows_fail_fails_and_names_the_first(
    app, ods, workbench, start, good
):
    ended = start([*map(row, HERE[:good]), *(damaged(s, 0) for s in HERE[10:40])])
    assert app.outcome() == "done failure", ended.log
    error = app.error()
    assert error["code"] == "earthmover_run"
    assert error["payload"]["rows"]
    assert set(error["payload"]["rows"]) <= set(range(good + 1, good + 31))
    assert ods.received_counts() == {}
    assert not any("row_review" in name for name in workbench.output())
    assert list(workbench.scratch.iterdir()) == []


MEASURES = ("Percentile", "ScaleScore")
OF_A_STUDENT = (
    "${STUDENT_ID_NAME}", "StudentNumber", "StateStudentID", "Grade", "Subject", "TestDate"
)  # fmt: skip
PIVOT = f"""
      - operation: pivot
        rows_by: [{", ".join(OF_A_STUDENT)}]
        cols_by: Measure
        values: Result"""


def test_held_rows_of_a_bundle_that_makes_one_record_of_several_rows(
    app, ods, workbench, start, change_bundles
):
    """Also where the held row is its student's only one."""
    source = "    source: $sources.input\n    operations:"
    workbench.bundle_repo = change_bundles(
        {f"{BUNDLE}/earthmover.yaml": lambda text: text.replace(source, source + PIVOT)}
    )

    def of(student, measure, **changes):
        cells = row(student, Measure=measure, Result="7", **changes)
        return {name: cell for name, cell in cells.items() if name not in MEASURES}

    rows = [of(student, measure) for student in HERE[:12] for measure in MEASURES]
    bad = {
        3: of(HERE[1], "ScaleScore", TestDate="unknown"),
        8: of(HERE[4], "Percentile", TestDate="unknown"),
        24: of(HERE[12], "Percentile", TestDate="unknown"),
    }
    without = [each for n, each in enumerate(rows) if n not in bad]
    assert start(without).exit_status == 0
    expected = results(workbench)
    assert start([bad.get(n, each) for n, each in enumerate([*rows, {}])]).exit_status == 0
    assert app.outcome() == "done success"
    assert results(workbench) == expected
    review = json_lines(workbench.output()["row_review.jsonl"])
    assert [line["row"] for line in review] == [place + 1 for place in bad]
    records = json_lines(expected["ods/studentAssessments.jsonl"])
    assert [len(each["scoreResults"]) for each in records].count(1) == 2
    assert len(records) == 12


def test_the_only_row_of_a_set_is_held_like_any_other(app, ods, workbench, start):
    ended = start([*map(row, HERE[:30]), damaged(GONE[0], 0)])
    assert app.outcome() == "done success", ended.log
    [matches] = app.posted("matches")
    assert (matches["odsMatched"], matches["crossYearMatched"]) == (30, 0)
    assert (matches["untransformable"], matches["unmatched"]) == (1, 1)
    [held] = json_lines(workbench.output()["row_review.jsonl"])
    assert held["cell"] == {"column": "TestDate", "value": "unknown", "problem": "date"}
    assert not any(name.startswith("non-ods/") for name in workbench.output())
