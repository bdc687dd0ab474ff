"""Where a file's header is, and which of its columns may hold student IDs.

The upload check and the executor both ask here, so that what the one calls ready the other reads.
"""

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from earthbeam.invisible import without_invisible

DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars (|)"}
"""With their names for people."""
HEADER_ROWS = 10
"""Some exports have lines above their header; it is looked for in so many rows."""


@dataclass(frozen=True)
class Location:
    """``header_row`` counts from 1."""

    delimiter: str
    header_row: int


def find_columns(header: Sequence[str], wanted: Collection[str]) -> dict[str, int]:
    """The place of each column that is wanted and there, by its wanted name.

    What nobody can see in a name does not count, nor does case, unless a column has the exact name.
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
    """Where the header is, among the first ``rows`` as each delimiter gives them.

    It is the row with most of the ``wanted`` columns: ``header_row`` where that has any, else with
    the ``expected`` delimiter, else with another. None where no row has any.
    """
    for delimiter in (expected, *(each for each in rows if each != expected)):
        counts = [len(find_columns(row, wanted)) for row in rows.get(delimiter, ())]
        if header_row <= len(counts) and counts[header_row - 1]:
            return Location(delimiter, header_row)
        if any(counts):
            return Location(delimiter, counts.index(max(counts)) + 1)
    return None


def first_rows(text: str) -> dict[str, list[list[str]]]:
    """The first rows of a file's beginning, as each delimiter gives them."""
    return {delimiter: _rows(text, delimiter) for delimiter in DELIMITERS}


def _rows(text: str, delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            rows.append(row)
            if len(rows) == HEADER_ROWS:
                break
    except csv.Error:  # a cell of more than the module's limit
        pass
    return rows
