"""Where a file's header is, and which of its columns may hold student IDs.

The upload check and the executor share this code, so a file that passes the check can be read.
"""

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from earthbeam.invisible import without_invisible

DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars (|)"}
"""Delimiters, with the names that messages use."""
HEADER_ROWS = 10
"""How many rows to search. Some exports have lines above their header."""


@dataclass(frozen=True)
class Location:
    """A header's place in a file. ``header_row`` counts from 1."""

    delimiter: str
    header_row: int


def find_columns(header: Sequence[str], wanted: Collection[str]) -> dict[str, int]:
    """Return the position of each wanted column that is present, by its wanted name.

    Ignores invisible characters and, unless a column has the exact name, case.
    """
    seen = [without_invisible(name) for name in header]
    folded = [name.casefold() for name in seen]
    found = {}
    for name in wanted:
        for names, sought in (
            (header, name),
            (seen, without_invisible(name)),
            (folded, without_invisible(name).casefold()),
        ):
            if sought and sought in names:
                found[name] = names.index(sought)
                break
    return found


def locate(
    rows: Mapping[str, Sequence[Sequence[str]]],
    wanted: Collection[str],
    *,
    expected: str,
    header_row: int = 1,
) -> Location | None:
    """Find the header among the first ``rows``, which are given per delimiter.

    It is the row with the most ``wanted`` columns. Tries ``header_row`` first, then the other rows
    with the ``expected`` delimiter, then other delimiters. None if no row has any.
    """
    for delimiter in (expected, *(each for each in rows if each != expected)):
        counts = [len(find_columns(row, wanted)) for row in rows.get(delimiter, ())]
        if header_row <= len(counts) and counts[header_row - 1]:
            return Location(delimiter, header_row)
        if any(counts):
            return Location(delimiter, counts.index(max(counts)) + 1)
    return None


def first_rows(text: str) -> dict[str, list[list[str]]]:
    """Return the first rows of ``text``, split by each delimiter."""
    return {delimiter: _rows(text, delimiter) for delimiter in DELIMITERS}


def _rows(text: str, delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            rows.append(row)
            if len(rows) == HEADER_ROWS:
                break
    except csv.Error:  # a cell longer than the module's limit
        pass
    return rows
