from hypothesis import given
from hypothesis import strategies as st

from earthbeam.delimited import Location, find_columns, first_rows, locate


def test_a_column_is_found_by_its_exact_name_before_any_other():
    assert find_columns(["id", "ID ", "ID"], ["ID"]) == {"ID": 2}
    assert find_columns(["id", "ID "], ["ID"]) == {"ID": 1}
    assert find_columns(["id"], ["ID", "Other"]) == {"ID": 0}


def test_the_header_is_the_declared_row_where_that_has_an_id_column():
    rows = {",": [["ID"], ["ID", "Local"]]}
    assert locate(rows, ["ID", "Local"], expected=",") == Location(",", 1)
    assert locate(rows, ["ID", "Local"], expected=",", header_row=2) == Location(",", 2)


def test_else_the_row_with_most_of_them():
    rows = {",": [["Title"], ["The ID", "ID"], ["ID", "Local", "Score"]]}
    assert locate(rows, ["ID", "Local"], expected=",") == Location(",", 3)


def test_another_delimiter_is_taken_where_only_that_gives_a_column():
    rows = first_rows("ID;Score\n1;2\n")
    assert locate(rows, ["ID"], expected=",") == Location(";", 1)
    assert locate(rows, ["Other"], expected=",") is None


@given(st.text(max_size=300), st.lists(st.text(max_size=5), max_size=3))
def test_whatever_the_text_what_is_located_has_a_column(text, wanted):
    rows = first_rows(text)
    found = locate(rows, wanted, expected=",")
    if found is not None:
        assert find_columns(rows[found.delimiter][found.header_row - 1], wanted)
