"""The unmatched rows of a run: what was said of them, and files of some of them."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthbeam.delimited import DelimitedFile, writing_rows
from earthbeam.jobs import unmatched
from earthbeam.jobs.unmatched import NotFixable, check_original, parse
from earthbeam.models import UnmatchedIds
from earthbeam.stored_files import UNMATCHED_ROWS
from tests import factories

HEADER = ["student_id", "name", "score"]

cells = st.text(
    st.one_of(
        st.characters(codec="utf-8"),
        st.sampled_from('",;\t\r\n =0\'"\\|'),
    ),
    max_size=12,
) | st.sampled_from(["", "000123", "=1+1", '"', "a\r\nb", "\r", "\n", "Zoë", 'O"Brien, Pat', " x "])
rows_of_cells = st.lists(
    st.tuples(cells, cells, cells).map(list).filter(any), min_size=1, max_size=8
)
delimiters = st.sampled_from([",", "\t"])
heads = st.lists(st.lists(cells, max_size=4), max_size=2)


def artifact(path, rows, delimiter=",", head=()):
    """The file as the executor writes it."""
    with writing_rows(path, delimiter, [*head, HEADER]) as writer:
        for row in rows:
            writer.write(row)
    return path.read_bytes()


@given(rows=rows_of_cells, delimiter=delimiters, head=heads, data=st.data())
def test_a_file_of_chosen_rows_differs_from_the_rows_in_their_ids_alone(
    tmp_path_factory, rows, delimiter, head, data
):
    folder = tmp_path_factory.mktemp("rows")
    content = artifact(folder / "unmatched.csv", rows, delimiter, head)
    # What the executor gets to see of the artifact is what it wrote.
    read = parse(content, "student_id", len(rows))
    numbers = data.draw(st.sets(st.integers(1, len(rows))))
    ids = {number: data.draw(cells) for number in numbers}

    child = folder / "child.csv"
    child.write_bytes(read.with_ids(ids))

    expected = [[ids[number], *rows[number - 1][1:]] for number in sorted(ids)]
    file = DelimitedFile(child, "utf-8", delimiter, header_row=len(head) + 1)
    assert file.head() == [*head, HEADER]
    assert list(file.rows()) == [row for row in expected if any(row)]
    # The same quoting as the executor's own, to the byte.
    assert child.read_bytes() == artifact(folder / "same.csv", expected, delimiter, head)


def test_all_rows_with_their_own_ids_are_the_same_file(tmp_path):
    content = artifact(tmp_path / "a.csv", [["007", 'O"Brien, Pat', "=1"], ["", "a\nb", "é"]])
    file = parse(content, "student_id", 2)
    assert file.with_ids({1: "007", 2: ""}) == content


def test_several_rows_may_stand_above_the_rows(tmp_path):
    content = artifact(tmp_path / "a.csv", [["1", "a", "b"]], head=[["Report of"], []])
    file = parse(content, "student_id", 1)
    assert (len(file.head), file.columns, file.rows) == (3, HEADER, [["1", "a", "b"]])


@pytest.mark.parametrize(
    ("content", "count", "reason"),
    [
        (b"id,name\n1,a\n", 1, "not in the header"),
        (b"student_id,name\n1,a,b\n", 1, "more or fewer cells"),
        (b"student_id,name\n1\n", 1, "more or fewer cells"),
        (b"student_id,name\n1,a\n", 2, "not in the header"),
        (b"student_id,name\n1,a\n2,b\n", 1, "not in the header"),
        (b"student_id\n\xff\n", 1, "cannot read"),
        (b'student_id,name\n1,"a\n', None, None),  # as far as csv is concerned, a cell
        (b"", None, "not in the header"),
    ],
)
def test_what_are_not_the_inputs_rows_is_not_fixable(content, count, reason):
    if reason is None:
        assert parse(content, "student_id", count).rows == [["1", "a\n"]]
    else:
        with pytest.raises(NotFixable, match=reason):
            parse(content, "student_id", count)


# --- of a run --------------------------------------------------------------------------------


@pytest.fixture
def run(db):
    return factories.make_unmatched_run()


def test_the_rows_of_a_run_are_read_with_its_own_word_on_them(run):
    told = factories.told_of(run)
    assert (told.count, told.rows, told.blank, told.ambiguous, told.unknown) == (3, 5, 1, 1, 1)
    assert (told.id_name, told.id_label) == ("student_id", "State ID")
    file = unmatched.read(run, told)
    assert [file.id_of(number) for number in (1, 2, 3)] == ["9001", "", "604003"]
    check_original(run, file, [1, 2, 3])


@pytest.mark.parametrize(
    ("id_type", "label"),
    [
        ("State", "State ID"),
        ("uri://ed-fi.org/StudentIdentificationSystemDescriptor#District", "District ID"),
        ("studentUniqueId", "studentUniqueId"),
        ("Local ID", "Local ID"),
    ],
)
def test_id_types_are_named_as_people_say_them(run, id_type, label):
    UnmatchedIds.objects.filter(run=run).update(type=id_type)
    assert factories.told_of(run).id_label == label


def test_a_run_without_unmatched_rows_has_none(db):
    assert unmatched.of_run(factories.make_run(status="success")) is None


def test_executors_that_do_not_count_rows_are_understood(db):
    run = factories.make_run(status="success")
    UnmatchedIds.objects.create(run=run, name="student_id", type="State", count=None)
    content = b"student_id,score\n604822,12\n"
    factories.store_file(run.job, f"output/{UNMATCHED_ROWS}", content)
    run.output_files.create(path=UNMATCHED_ROWS, size=len(content))
    told = factories.told_of(run)
    assert (told.count, told.rows, told.unknown) == (None, None, None)
    assert unmatched.read(run, told).rows == [["604822", "12"]]


@pytest.mark.parametrize(
    "original",
    [
        b"604822 Fixed width\n",
        b"id;name;score\n9001;a;1\n",
        b"PK\x03\x04",
        b"",
    ],
)
def test_rows_that_the_bundle_made_of_another_format_are_not_fixable(db, original):
    run = factories.make_unmatched_run(original=original)
    with pytest.raises(NotFixable, match="not a plain table"):
        unmatched.read(run, factories.told_of(run))


def test_rows_that_the_bundle_changed_are_found_out(db):
    run = factories.make_unmatched_run(original=b"student_id,name,score\n9001,Ana,012\n")
    file = unmatched.read(run, factories.told_of(run))
    with pytest.raises(NotFixable, match="changes rows"):
        check_original(run, file, [1])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_the_inputs_encoding_does_not_matter(db, encoding):
    original = factories.UNMATCHED_INPUT.encode(encoding)
    run = factories.make_unmatched_run(original=original)
    file = unmatched.read(run, factories.told_of(run))
    check_original(run, file, [1, 2, 3])


def test_a_long_input_is_read_at_its_start_only(db, monkeypatch):
    monkeypatch.setattr(unmatched, "_START", 40)
    run = factories.make_unmatched_run()
    assert len(unmatched.read(run, factories.told_of(run)).rows) == 3


@pytest.mark.parametrize("limit", ["MAX_ROWS", "MAX_BYTES"])
def test_too_much_for_a_browser_says_so(run, monkeypatch, limit):
    monkeypatch.setattr(unmatched, limit, 2)
    with pytest.raises(NotFixable, match=r"spreadsheet|too large"):
        unmatched.read(run, factories.told_of(run))


def test_an_artifact_that_is_gone_says_so(run):
    run.output_files.all().delete()
    with pytest.raises(NotFixable, match="Run the job again"):
        unmatched.read(run, factories.told_of(run))


def test_csv_readers_agree_on_what_is_written(run):
    file = unmatched.read(run, factories.told_of(run))
    text = file.with_ids({1: "0007"}).decode()
    assert list(csv.reader(io.StringIO(text, newline=""))) == [HEADER, ["0007", "Ana Díaz", "12"]]


def test_rows_of_a_file_with_lines_above_its_header_are_fixable(db):
    original = f"Scores of today\r\n\r\n{factories.UNMATCHED_INPUT}".encode()
    run = factories.make_unmatched_run(original=original)
    told = unmatched.of_run(run)
    assert told is not None
    file = unmatched.read(run, told)
    assert file.columns == ["student_id", "name", "score"]
    check_original(run, file, range(1, len(file.rows) + 1))
