"""Refused records lead to the rows that they come from."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthbeam.executor import refused_records
from earthbeam.executor.refused_records import Refused

RESULTS = "studentAssessments"


def record(student):
    return json.dumps({"studentReference": {"studentUniqueId": student}})


def rows_of(students):
    rows: dict[str, list[int]] = {}
    for row, student in enumerate(students, start=1):
        rows.setdefault(student, []).append(row)
    return rows


def found(folder, lines, students, *refused):
    (folder / f"{RESULTS}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    failure = {"status_code": 400, "message": "no", "line_numbers": list(refused)}
    counts = {
        "records_processed": len(lines),
        "records_skipped": 0,
        "successes": [{"count": len(lines) - len(refused)}],
        "failures": [failure],
    }
    results = {"resources": {RESULTS: counts}}
    return refused_records.find(results, folder, lambda: rows_of(students))


def test_with_a_record_for_each_row_in_order_a_record_is_of_one_row(tmp_path):
    students = ["a", "b", "a"]
    refused = found(tmp_path, list(map(record, students)), students, 3)
    assert [each.rows for each in refused] == [(3,)]


@pytest.mark.parametrize("lines", [["b", "a", "a"], ["a", "b"], ["a", "b", "a", "c"]])
def test_in_another_order_or_number_a_record_is_of_all_rows_of_its_student(tmp_path, lines):
    refused = found(tmp_path, list(map(record, lines)), ["a", "b", "a"], lines.index("a") + 1)
    assert [each.rows for each in refused] == [(1, 3)]


@pytest.mark.parametrize("line", ["{}", "[]", "not json", '{"studentReference": "x"}'])
def test_a_record_that_names_no_student_is_of_no_row(tmp_path, line):
    assert [each.rows for each in found(tmp_path, [line], ["a"], 1)] == [()]


def test_what_lightbeam_lost_without_a_line_is_counted_all_the_same(tmp_path):
    counts = {"records_processed": 5, "records_skipped": 0, "successes": [{"count": 3}]}
    refused = refused_records.find({"resources": {RESULTS: counts}}, tmp_path, dict)
    assert [each.line for each in refused] == [None, None]


@given(
    st.lists(
        st.builds(
            Refused,
            resource=st.text(),
            line=st.none() | st.integers(1, 10**9),
            rows=st.lists(st.integers(1, 10**9)).map(tuple),
            status=st.none() | st.integers(0, 599),
            message=st.text(),
        )
    )
)
def test_what_is_written_is_read(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("refused") / "refused_records.jsonl"
    refused_records.write(records, path, str)
    assert refused_records.read(path) == records


@pytest.mark.parametrize("text", ["[1]", "{}", "x", '{"resource": 1, "line": "x", "rows": []}'])
def test_a_list_that_is_damaged_is_not_read(tmp_path, text):
    path = tmp_path / "refused_records.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError):
        refused_records.read(path)
