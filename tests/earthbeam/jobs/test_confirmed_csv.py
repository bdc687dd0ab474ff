"""A district's own crosswalk, in and out."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthbeam.jobs.confirmed_csv import ABOUT, HEADER, BadCrosswalk, read, write
from earthbeam.jobs.confirmed_students import Confirmed


def test_a_list_is_read_in_any_order_of_columns_and_with_others_beside():
    content = "\ufeffid,studentUniqueId,note,column\r\n0077, 604822 ,x,StudentID\r\n,,,\r\n"
    assert read(content.encode()) == [Confirmed("StudentID", "0077", "604822")]


def test_what_was_exported_can_be_imported():
    rows = [("StudentID", "0077", "604822", "grand_bend", "ana", "2026-01-01T00:00:00+00:00")]
    content = b"".join(write(rows))
    assert next(csv.reader(io.StringIO(content.decode("utf-8-sig")))) == [*HEADER, *ABOUT]
    assert read(content) == [Confirmed("StudentID", "0077", "604822")]


def test_an_exported_id_is_not_calculated_by_a_spreadsheet():
    content = b"".join(write([("=A1", "=1+1", "@x", "t", "a", "")])).decode()
    assert "'=A1,'=1+1,'@x" in content


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "first row must name the columns column, id, studentUniqueId"),
        (b"column;id;studentUniqueId\na;1;2\n", "first row must name the columns"),
        (b"column,id,studentUniqueId\n", "no rows below the header"),
        (b"column,id,studentUniqueId\nA,,604822\n", "Row 2: id is empty."),
        (b"column,id,studentUniqueId\nA,1.23E+09,604822\n", "Row 2: id is empty, or a spreadsheet"),
        (b"column,id,studentUniqueId\nA,1\n", "Row 2: studentUniqueId is empty."),
        (b"column,id,studentUniqueId\n\nA," + b"1" * 201 + b",2\n", "Row 3: id is longer than 200"),
        (b"column,id,studentUniqueId\nA,1\x00,2\n", "without a shape"),
        (
            b"column,id,studentUniqueId\nA,1.0,2\nA,1,3\n",
            "Row 3: row 2 has this ID with another student.",
        ),
        (b"column,id,studentUniqueId\nA,\xff,2\n", "not UTF-8 text"),
        (b'column,id,studentUniqueId\nA,"1,2\n', "cannot be read as CSV"),
        (b"x" * (20 * 1024 * 1024 + 1), "larger than 20 MB"),
    ],
)
def test_what_is_wrong_with_a_list_is_said_with_its_row(content, words):
    with pytest.raises(BadCrosswalk) as caught:
        read(content)
    assert words in str(caught.value)


def test_of_many_problems_the_first_ones_are_listed():
    content = b"column,id,studentUniqueId\n" + b"A,,1\n" * 50
    with pytest.raises(BadCrosswalk) as caught:
        read(content)
    assert len(caught.value.problems) == 21
    assert caught.value.problems[-1] == "And 30 more problems."


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_file_makes_the_page_fail(content):
    try:
        read(b"column,id,studentUniqueId\n" + content)
    except BadCrosswalk as error:
        assert error.problems
