import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthbeam.bundles.descriptor_mapping_csv import (
    EDFI,
    LOCAL,
    MAX_BYTES,
    MAX_CELL,
    MAX_ROWS,
    BadMappings,
    MappingTable,
    is_formula,
    read,
    write,
)

FIRST = "uri://ed-fi.org/GradeLevelDescriptor#First grade"
HEAD = f"grade,{EDFI},{LOCAL}\n"

cells = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]) | st.sampled_from(',";| '),
    max_size=12,
).filter(lambda text: not is_formula(text))
names = cells.map(lambda text: text.strip().lstrip("\ufeff").strip()).filter(
    lambda name: name and not name.startswith("\ufeff") and name not in (EDFI, LOCAL)
)


def _mapped(row):
    return row[:-1]


@st.composite
def tables(draw):
    columns = draw(st.lists(names, max_size=4, unique=True))
    row = st.tuples(*[cells] * len(columns), cells.filter(str.strip), cells)
    rows = draw(st.lists(row, min_size=1, max_size=8, unique_by=_mapped))
    return MappingTable(tuple(columns), tuple(rows))


@given(tables())
def test_what_is_exported_is_what_is_imported(table):
    assert read(write(table)) == table
    assert read(write(table).encode()) == table
    assert read(write(table).encode("utf-8-sig")) == table
    assert read(write(table).encode("utf-16")) == table


@given(st.text() | st.binary())
def test_whatever_is_given_is_taken_or_explained(content):
    try:
        table = read(content)
    except BadMappings as error:
        assert error.problems
    else:
        assert read(write(table)) == table


def problems(content):
    with pytest.raises(BadMappings) as caught:
        read(content)
    return caught.value.problems


def test_columns_come_in_the_files_order():
    table = read(f"b,a,{EDFI},{LOCAL}\n1,2,{FIRST},local\n\n3,4,{FIRST},\n")
    assert table.columns == ("b", "a")
    assert table.rows == (("1", "2", FIRST, "local"), ("3", "4", FIRST, ""))


def test_rows_copied_from_a_spreadsheet_are_taken():
    assert read(f"grade\t{EDFI}\t{LOCAL}\r\n1, 2\t{FIRST}\tx\r\n").rows == (("1, 2", FIRST, "x"),)


@pytest.mark.parametrize(
    "value", ["-1", "+2.5", "-", "- none -", "+ Pre-K (4 years)", "a=b", "a@b"]
)
def test_values_that_only_look_a_little_like_formulas_are_taken(value):
    assert read(f"{HEAD}{value},x,y\n").rows == ((value, "x", "y"),)


@pytest.mark.parametrize(
    "value",
    ["+HYPERLINK (x)", "-A1+B2", "+Sheet1!A1", "＝1+1", "@SUM(1)", "+ LINK ('x')", "-2+cmd|'x'!A0"],
)
def test_values_that_a_spreadsheet_program_would_calculate_are_refused(value):
    assert is_formula(value)


def test_an_assessment_may_stand_for_several_grades():
    second = FIRST.replace("First", "Second")
    assert len(read(f"{HEAD}K,{FIRST},a\nK,{second},b\n").rows) == 2


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "The first row must name the columns"),
        ("grade,descriptor\n1,x\n", f"end in {EDFI} and {LOCAL}"),
        (f"grade,{LOCAL},{EDFI}\n1,a,b\n", f"end in {EDFI} and {LOCAL}"),
        (f"a,a,{EDFI},{LOCAL}\n1,2,x,y\n", "The first row: the column a occurs twice."),
        (f"{EDFI},{EDFI},{LOCAL}\n1,x,y\n", f"the column {EDFI} occurs twice"),
        (f" ,{EDFI},{LOCAL}\n1,x,y\n", "a column has no name"),
        (HEAD, "There are no rows below the header."),
        (f"{HEAD}1,x\n", "Row 2: it has 2 cells, but there are 3 columns."),
        (f"{HEAD}\n1,x,y,z\n", "Row 3: it has 4 cells"),
        (f"{HEAD}1,x,y\n2, ,y\n", f"Row 3: {EDFI} is empty."),
        (f"{HEAD}1,x,y\n2,x,y\n1,x,z\n", "Row 4: it maps the same as row 2."),
        (f"{HEAD}1,{'x' * (MAX_CELL + 1)},y\n", f"Row 2: {EDFI} is longer than"),
        (f'{HEAD}1,"x\nx",y\n3,x\n', f"Row 2: {EDFI} has a line break"),
        (f'{HEAD}1,"x\nx",y\n3,x\n', "Row 4: it has 2 cells"),
        (f"{HEAD}1,x\0,y\n", f"Row 2: {EDFI} has a line break or another"),
        (f"{HEAD}=1+1,x,y\n", "Row 2: grade begins like a formula"),
        (f"{HEAD}1,x,@SUM(A1)\n", f"Row 2: {LOCAL} begins like a formula"),
        (f"{HEAD}1, =HYPERLINK(A1),y\n", f"Row 2: {EDFI} begins like a formula"),
        (f"{HEAD}+cmd|' /C calc'!A0,x,y\n", "Row 2: grade begins like a formula"),
        (f'{HEAD}"-SUM(A1,A2)",x,y\n', "Row 2: grade begins like a formula"),
        (f"=1,{EDFI},{LOCAL}\n1,x,y\n", "The first row: a column's name begins like a formula"),
        (f'{HEAD}1,"x"x,y\n', "Row 2: quotes do not match"),
        (f'{HEAD}1,x,y\n2,"x,y\n', "Row 3: quotes do not match"),
        (f"{HEAD}1,x,y\nPre-K,école,y\n".encode("cp1252"), "Row 3: the file is not UTF-8"),
        (b"x" * (MAX_BYTES + 1), "larger than 1,024 kB"),
        (HEAD + "".join(f"{n},x,y\n" for n in range(MAX_ROWS + 1)), "more than 10,000 rows"),
    ],
)
def test_what_is_wrong_is_said_with_its_row(content, expected):
    assert expected in " ".join(problems(content))


def test_everything_wrong_is_said_at_once_but_not_without_end():
    found = problems(HEAD + "".join(f"{n},,y\n" for n in range(100)))
    assert len(found) == BadMappings.MAX_SHOWN + 1
    assert found[-1] == f"And {100 - BadMappings.MAX_SHOWN} more problems."


def test_the_export_is_csv_for_anybody():
    table = MappingTable(("a",), (('O"Brien, Pat', FIRST, ""),))
    assert list(csv.reader(io.StringIO(write(table)))) == [
        ["a", EDFI, LOCAL],
        ['O"Brien, Pat', FIRST, ""],
    ]
