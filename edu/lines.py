"""The bytes of a column of complete lines, taken directly from Arrow's memory."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import pyarrow

from edu.errors import RosterInvalid

SLICE = 512 * 1024
"""How many bytes are passed to the socket at a time."""


def line_buffers(table: Any) -> list[memoryview]:
    """Return the memory of the lines of the table's only column, one buffer per chunk.

    The lines of a text array are contiguous in its value buffer, so the bytes between its first and
    its last offset are the body to send, without a Python object per line.

    Raises RosterInvalid for a null line, another type, or another number of columns.
    """
    if table.num_columns != 1:
        raise RosterInvalid
    return [_value_bytes(array) for array in table.column(0).chunks]


def slices(buffers: Iterable[memoryview], size: int = SLICE) -> Iterator[bytes]:
    """Yield the bytes of all buffers, at most ``size`` at a time."""
    for buffer in buffers:
        for start in range(0, len(buffer), size):
            yield bytes(buffer[start : start + size])


def _value_bytes(array: Any) -> memoryview:
    if pyarrow.types.is_string(array.type):
        offset_format: Literal["i", "q"] = "i"
    elif pyarrow.types.is_large_string(array.type):
        offset_format = "q"
    else:
        raise RosterInvalid
    if array.null_count:
        # Dropping it would lose a student, and a null slot may hold garbage bytes.
        raise RosterInvalid
    _, offset_buffer, value_buffer = array.buffers()
    if not len(array) or value_buffer is None:
        return memoryview(b"")
    offsets = memoryview(offset_buffer).cast("B").cast(offset_format)
    # A sliced array shares its buffers with the whole one.
    first, last = offsets[array.offset], offsets[array.offset + len(array)]
    return memoryview(value_buffer).cast("B")[first:last]
