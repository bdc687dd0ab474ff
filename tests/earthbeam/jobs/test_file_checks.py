import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from earthbeam.delimited import BadFile, detect_encoding
from earthbeam.jobs.file_checks import HEAD_BYTES, Expected, check

GOOD = b"StudentID,Score\n1,12\n"
EXPECTED = Expected("INPUT_FILE", ("csv",), ("StudentID", "State ID"))
NO_COLUMNS = Expected("INPUT_FILE", ("csv",))


def look(content, expected=EXPECTED, **changes):
    return check(content, changes.get("size", len(content)), expected, limit=10_000_000)


def refusal(content, expected=EXPECTED, **changes):
    (error,) = look(content, expected, **changes).refusals
    return error


def warning(content, expected=EXPECTED):
    found = look(content, expected)
    assert not found.refusals
    (text,) = found.warnings
    return text


def test_a_good_file_is_neither_refused_nor_warned_of():
    found = look(GOOD)
    assert (found.refusals, found.warnings, found.encoding) == ((), (), "UTF-8")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04\x14\0", "an Excel workbook or a zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", "an old Excel workbook"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\x1f\x8b\x08", "a gzip archive"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"\xff\xd8\xff\xe0", "a picture"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "a picture"),
        (b"\0\0\0\x18ftypheic", "a picture or video"),
        (b"\xef\xbb\xbf\n <!DOCTYPE html><html>", "a web page"),
        ("<HTML><body>502".encode("utf-16"), "a web page"),
        (b"<?xml version='1.0'?>", "an XML document"),
        (b'[{"a": 1}]', "JSON"),
        (b"{\\rtf1 a}", "a text-processor document"),
        (bytes(range(256)) * 40, "binary, not text"),
    ],
)
def test_the_type_is_told_by_content(content, kind):
    error = refusal(content)
    assert (error.code, error.key) == ("wrong_file_type", "INPUT_FILE")
    assert f"is {kind}, even though its name suggests CSV" in str(error)


def test_a_type_that_the_bundle_takes_is_no_wrong_type():
    assert look(b"PK\x03\x04\x14\0", Expected("INPUT_FILE", ("xlsx",))).refusals == ()


@pytest.mark.parametrize("content", [b"", b"\n \r\n", b",,,\n,,\n", b"\xef\xbb\xbf", b'"",""\n'])
def test_a_file_without_content_is_empty(content):
    assert refusal(content, NO_COLUMNS).code == "empty_file"


@pytest.mark.parametrize("content", [b"StudentID,Score", b"StudentID,Score\r\n\r\n,\r\n"])
def test_a_header_alone_is_refused(content):
    assert refusal(content).code == "only_a_header"


def test_one_line_of_a_fixed_width_file_may_be_a_student():
    expected = Expected("INPUT_FILE", ("txt",))
    assert "only one line" in warning(b"0012345SMITH   12\n", expected)


def test_a_long_header_of_a_longer_file_is_not_taken_for_all_of_it():
    head = b"StudentID," + b"x" * (HEAD_BYTES - 10)
    assert look(head, size=HEAD_BYTES + 100).refusals == ()


def test_a_file_over_the_limit_says_how_much_is_taken():
    error = check(GOOD, 3 * 1024**3, EXPECTED, limit=2 * 1024**3).refusals[0]
    assert error.code == "file_too_large"
    assert "2.0 GB" in str(error)


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("cp1252", "Windows-1252"),
    ],
)
def test_the_usual_encodings_are_fine_and_named(encoding, name):
    found = look("StudentID,Name\n1,Peña\n".encode(encoding))
    assert (found.refusals, found.warnings, found.encoding) == ((), (), name)


def test_a_character_cut_by_the_heads_end_does_not_change_the_encoding():
    content = b"StudentID,Name\n" + "é".encode() * HEAD_BYTES
    for shift in (b"", b"x"):
        whole = b"StudentID,Name" + shift + content[14:]
        assert look(whole[:HEAD_BYTES], size=len(whole)).encoding == "UTF-8"


def test_a_header_without_id_columns_names_those_that_it_should_have():
    text = warning(b"Name,Secret Person\nA,1\n")
    assert "StudentID, State ID" in text
    assert "Secret Person" not in text


def test_unknown_id_columns_are_not_looked_for():
    assert look(b"Name,Score\nA,1\n", NO_COLUMNS).warnings == ()


def test_the_header_may_come_after_a_title_and_be_quoted():
    assert look(b'Export of today\n\n"Score","State ID"\n1,2\n').warnings == ()


def test_an_id_column_in_other_spelling_is_told_as_such():
    assert "expects: State ID" in warning(b"state_id,Score\n1,2\n")


def test_what_nobody_sees_in_a_column_s_name_and_its_case_make_no_difference():
    for name in ("State ID ", "\u200bState\u200d ID\xa0", "STATE id"):
        found = look(f"{name},Score\n1,2\n".encode())
        assert (found.refusals, found.warnings) == ((), ())


def test_an_id_column_that_the_file_lacks_is_named():
    [note] = look(b"StudentID,Score\n1,2\n").notes
    assert note == "The file has no column named State ID. Runway takes student IDs from StudentID."
    assert look(b"StudentID,State ID\n1,2\n").notes == ()


def test_other_delimiters_than_expected_are_told():
    for delimiter, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars (|)")):
        found = look(f"StudentID{delimiter}State ID\n1{delimiter}2\n".encode())
        assert found.warnings == ()
        assert found.notes == (
            f"The columns are separated by {name} instead of commas. Runway reads them that way.",
        )
    tabs = Expected("INPUT_FILE", ("txt",), ("StudentID",))
    assert look(b"StudentID\tScore\n1\t2\n", tabs).warnings == ()


@given(
    st.binary(max_size=2000) | st.text(max_size=500).map(lambda text: text.encode("utf-8")),
    st.integers(min_value=-1, max_value=2**40),
    st.lists(st.text(max_size=8), max_size=3),
    st.lists(st.sampled_from(["csv", "txt", "xlsx", ""]), max_size=2),
)
@example(b'"' + b"x" * 200_000, 200_001, ["StudentID"], ["csv"])
@example(b"\0", 1, ["x"], [])
def test_whatever_the_bytes_there_is_an_answer(content, size, columns, types):
    found = check(content, size, Expected("INPUT_FILE", types, columns), limit=1_000_000)
    assert all(str(error) for error in found.refusals)


@given(st.binary(min_size=1, max_size=6000) | st.text(min_size=1).map(str.encode))
def test_encodings_are_those_that_the_executor_reads(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("file") / "scores.csv"
    path.write_bytes(content)
    found = look(content, NO_COLUMNS)
    try:
        encoding = detect_encoding(path)
    except BadFile:
        assert found.refusals
        return
    names = {"utf-8-sig": "UTF-8", "cp1252": "Windows-1252", "iso-8859-1": "ISO-8859-1"}
    if found.encoding:
        name = names.get(encoding, encoding.upper().removesuffix("-LE").removesuffix("-BE"))
        assert found.encoding == name


_cells = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8)


@given(
    st.lists(st.lists(_cells, min_size=2, max_size=2), min_size=1),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le"]),
)
def test_no_csv_with_the_columns_is_refused_or_warned_of(rows, encoding):
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["StudentID", "Score"])
    writer.writerows([["1", "2"], *rows])
    found = look(text.getvalue().encode(encoding))
    if not (encoding == "utf-16-le" and found.refusals):  # without a mark, only western text
        assert (found.refusals, found.warnings) == ((), ())
