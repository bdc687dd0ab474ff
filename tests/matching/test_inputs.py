import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthbeam.invisible import without_invisible
from earthbeam.matching import NoIdColumns, NoRows, match, normalize


@pytest.mark.parametrize(
    ("cell", "compared"),
    [
        ("604822", "604822"),
        ("604822.0", "604822"),
        ("604822.0.0", "604822.0"),
        ("604822.00", "604822.00"),
        ("604822.", "604822."),
        ("00604822", "00604822"),
        ("10", "10"),
        ("1.05", "1.05"),
        (" 7", "7"),
        ("7 .0", "7 "),
        ("é\u2028ß", "é\u2028ß"),
        ("null", "null"),
    ],
)
def test_an_id_is_its_text_as_seen_less_one_trailing_point_zero(cell, compared):
    assert normalize(cell) == compared


@pytest.mark.parametrize("cell", [None, "", " ", "\t\u00a0", ".0", " .0"])
def test_a_cell_without_an_id_is_blank(cell):
    assert normalize(cell) is None


@given(st.text())
def test_nothing_that_somebody_can_see_is_ever_changed_but_the_ending(cell):
    compared, seen = normalize(cell), without_invisible(cell)
    assert (compared or "") in (seen, seen.removesuffix(".0"))
    assert [char for char in seen if char.isalnum()] == [c for c in cell if c.isalnum()]


def test_an_input_without_any_possible_id_column_says_so():
    with pytest.raises(NoIdColumns, match="POSSIBLE_STUDENT_ID_COLUMNS"):
        match({}, list)


def test_an_input_without_rows_says_so():
    with pytest.raises(NoRows, match="no rows"):
        match({"StudentID": []}, list)


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="number of rows"):
        match({"StudentID": ["1"], "StateID": []}, list)
