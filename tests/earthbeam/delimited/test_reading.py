import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthbeam.delimited import (
    BadFile,
    DelimitedFile,
    detect_encoding,
    writing_rows,
)


def read(path, **options):
    file = DelimitedFile(path, detect_encoding(path), options.pop("delimiter", ","), **options)
    return file.columns(), list(file.rows())


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("id,name\n1,Zoë".encode(), "utf-8"),
        ("id,name\n1,Zoë".encode("utf-8-sig"), "utf-8-sig"),
        ("id,name\n1,Zoë".encode("utf-16"), "utf-16"),
        ("id,name\n1,Zoë".encode("utf-16-le"), "utf-16-le"),
        ("id,name\n1,Zoë".encode("utf-16-be"), "utf-16-be"),
        ("id,name\n1,O’Brien".encode("cp1252"), "cp1252"),
        (b"id,name\n1,\x81\xe9", "iso-8859-1"),
    ],
)
def test_every_usual_encoding_is_found_and_read(write_file, content, encoding):
    path = write_file("a.csv", content)
    assert detect_encoding(path) == encoding
    columns, rows = read(path)
    assert columns == ["id", "name"]
    assert rows[0][0] == "1"


def test_an_empty_file_is_refused(write_file):
    with pytest.raises(BadFile, match="empty"):
        detect_encoding(write_file("a.csv", b""))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04rest", "Excel workbook"),
        (b"%PDF-1.7", "PDF"),
        (bytes(range(256)) * 20, "binary"),
    ],
)
def test_a_file_that_is_no_text_is_named(write_file, content, kind):
    with pytest.raises(BadFile, match=kind):
        detect_encoding(write_file("a.csv", content))


def test_blank_lines_and_rows_of_empty_cells_are_no_rows(write_file):
    path = write_file("a.csv", b"id,name\n\n1,a\n,\n\n2,b\n")
    assert read(path) == (["id", "name"], [["1", "a"], ["2", "b"]])


def test_a_line_of_blanks_is_no_row(write_file):
    path = write_file("a.csv", b"id,name\n  \n1,a\n\t\n")
    assert read(path) == (["id", "name"], [["1", "a"]])


@pytest.mark.parametrize("last", [b'3,"Okafor', b'3,"Okafor\n', b'3,"', b'"', b'3,"a""\n'])
def test_a_quoted_cell_without_an_end_loses_no_rows_in_silence(write_file, last):
    path = write_file("a.csv", b"id,name\n1,a\n" + last + b"\n4,d\n5,e\n")
    with pytest.raises(BadFile, match=r"line 3 has no end") as error:
        read(path)
    assert "Okafor" not in str(error.value)


@pytest.mark.parametrize("last", [b'3,"Okafor"', b'3,"Okafor"\n', b'3,""', b"3,O'B\"", b"3,"])
def test_a_last_row_needs_no_line_end(write_file, last):
    assert len(read(write_file("a.csv", b"id,name\n1,a\n" + last))[1]) == 2


def test_short_rows_are_filled_up_and_empty_extra_cells_dropped(write_file):
    path = write_file("a.csv", b"id,name,grade\n1\n2,b,3,\n")
    assert read(path)[1] == [["1", "", ""], ["2", "b", "3"]]


def test_a_row_with_too_many_cells_is_refused_by_its_number_and_not_its_content(write_file):
    path = write_file("a.csv", b"id,name\n1,a\n604822,Baker,Ana\n")
    with pytest.raises(BadFile, match="Row 3 has 3 cells") as error:
        read(path)
    assert "604822" not in str(error.value)


def test_quoted_cells_may_hold_delimiters_quotes_and_line_ends(write_file):
    path = write_file("a.csv", b'id,name\n1,"O""Brien, Pat\nJr."\n')
    assert read(path)[1] == [["1", 'O"Brien, Pat\nJr.']]


def test_a_header_below_the_first_row_is_found(write_file):
    path = write_file("a.csv", b"Report of 2026\n\nid,name\n1,a\n")
    assert read(path, header_row=3) == (["id", "name"], [["1", "a"]])


def test_blank_lines_above_the_header_are_not_the_header(write_file):
    path = write_file("a.csv", b"\n\r\nid,name\n1,a\n")
    assert read(path) == (["id", "name"], [["1", "a"]])
    assert DelimitedFile(path, "utf-8", ",").head() == [[], [], ["id", "name"]]


def test_columns_renamed_by_position_must_be_as_many(write_file):
    path = write_file("a.csv", b"x,y\n1,a\n")
    assert read(path, names=("id", "name"))[0] == ["id", "name"]
    with pytest.raises(BadFile, match="2 columns, but this assessment has 3"):
        read(path, names=("id", "name", "grade"))


def test_a_file_that_ends_before_its_header_is_refused(write_file):
    with pytest.raises(BadFile, match="no header"):
        read(write_file("a.csv", b"\n"), header_row=3)


cells = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    min_size=2,
    max_size=2,
)


@given(rows=st.lists(cells.filter(any), min_size=1))
def test_rows_survive_being_written_and_read(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "a.csv"
    with writing_rows(path, ",", [["a", "b"]]) as writer:
        for row in rows:
            writer.write(row)
    assert list(DelimitedFile(path, "utf-8", ",").rows()) == rows
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file))[1:] == rows


@given(text=st.text(st.sampled_from('a1 ;,"\r\nñ'), min_size=1))
def test_a_line_that_is_kept_is_what_its_row_would_be_written_as(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("lines")
    source = folder / "a.csv"
    source.write_text("x,y\n" + text, encoding="utf-8", newline="")
    kept, written = folder / "kept.csv", folder / "written.csv"
    try:
        rows = list(DelimitedFile(source, "utf-8", ",").rows_and_lines())
    except BadFile:
        return
    with writing_rows(kept, ",", []) as as_read, writing_rows(written, ",", []) as as_cells:
        for row, line in rows:
            as_cells.write(row)
            if line is None:
                as_read.write(row)
            else:
                as_read.write_line(line)
    assert kept.read_bytes() == written.read_bytes()
