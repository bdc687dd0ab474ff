"""The input's side of a match: the values of its possible ID columns."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set

from earthbeam.invisible import without_invisible
from earthbeam.matching.errors import NoIdColumns, NoRows


def normalize(value: str | None) -> str | None:
    """Return the text to compare with a roster's IDs, or None for a blank cell.

    Removes invisible characters and one trailing ``.0``, both of which spreadsheets leave behind.
    Otherwise the text must match exactly, including leading zeros, case, and inner blanks: contract
    section 7.
    """
    if value is None:
        return None
    return without_invisible(value).removesuffix(".0") or None


class InputIds:
    """The normalized IDs of an input, by column and row.

    ``columns`` holds the possible ID columns that are in the input, in order of preference, each
    with one value per row. The IDs of ``decided`` rows (counted from 0) are ignored. Raises
    NoIdColumns if there are no columns, NoRows if they are empty, and ValueError if they differ in
    length.
    """

    def __init__(
        self, columns: Mapping[str, Sequence[str | None]], decided: Collection[int] = ()
    ) -> None:
        if not columns:
            raise NoIdColumns
        lengths = {len(cells) for cells in columns.values()}
        if len(lengths) > 1:
            raise ValueError("The id columns differ in their number of rows.")
        (self.row_count,) = lengths
        if not self.row_count:
            raise NoRows
        self.decided_count = len(decided)
        self.columns = {name: [normalize(cell) for cell in columns[name]] for name in columns}
        for cells in self.columns.values():
            for row in decided:
                cells[row] = None
        self.frequencies = {name: _frequencies(cells) for name, cells in self.columns.items()}
        """By column: each ID, and how many rows it occurs in."""

    def values(self, column: str | None = None) -> Set[str]:
        """Return every ID that occurs in ``column``, or in any column."""
        if column is not None:
            return self.frequencies[column].keys()
        return set().union(*self.frequencies.values())


def _frequencies(cells: list[str | None]) -> Counter[str]:
    return Counter(cell for cell in cells if cell is not None)
