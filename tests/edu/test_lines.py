import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edu.errors import RosterInvalid
from edu.lines import line_buffers, slices

lines = st.lists(st.text(max_size=40))
text_types = st.sampled_from([pyarrow.string(), pyarrow.large_string()])


def sent(table, size=512 * 1024):
    return list(slices(line_buffers(table), size))


@given(chunks=st.lists(lines, min_size=1, max_size=4), text_type=text_types, data=st.data())
def test_the_bytes_are_those_of_the_lines_however_the_column_is_cut(chunks, text_type, data):
    arrays = []
    expected = ""
    for chunk in chunks:
        start = data.draw(st.integers(0, len(chunk)))
        length = data.draw(st.integers(0, len(chunk) - start))
        arrays.append(pyarrow.array(chunk, text_type).slice(start, length))
        expected += "".join(chunk[start : start + length])
    table = pyarrow.table([pyarrow.chunked_array(arrays, text_type)], ["line"])
    size = data.draw(st.integers(1, 64))
    pieces = sent(table, size)
    assert b"".join(pieces) == expected.encode()
    assert all(isinstance(piece, bytes) and 0 < len(piece) <= size for piece in pieces)


def test_an_array_from_foreign_buffers_is_read_by_its_offsets():
    values = pyarrow.py_buffer("xxäöü\ny\n".encode())
    offsets = pyarrow.array([2, 9, 11], pyarrow.int32()).buffers()[1]
    array = pyarrow.Array.from_buffers(pyarrow.string(), 2, [None, offsets, values])
    assert b"".join(sent(pyarrow.table([array], ["line"]))) == "äöü\ny\n".encode()


def test_no_rows_are_no_bytes():
    assert sent(pyarrow.table([pyarrow.array([], pyarrow.string())], ["line"])) == []
    assert sent(pyarrow.table([pyarrow.array(["", ""])], ["line"])) == []


@pytest.mark.parametrize("text_type", [pyarrow.string(), pyarrow.large_string()])
def test_a_null_line_is_an_error(text_type):
    table = pyarrow.table([pyarrow.array(["a\n", None, "b\n"], text_type)], ["line"])
    with pytest.raises(RosterInvalid):
        sent(table)
    assert b"".join(sent(table.slice(2))) == b"b\n"  # a null outside the slice is none of ours


@pytest.mark.parametrize(
    "table",
    [
        pyarrow.table([pyarrow.array([1, 2])], ["line"]),
        pyarrow.table([pyarrow.array([b"a"])], ["line"]),
        pyarrow.table([pyarrow.array(["a"]), pyarrow.array(["b"])], ["line", "other"]),
    ],
)
def test_anything_but_one_column_of_text_is_an_error(table):
    with pytest.raises(RosterInvalid):
        sent(table)
