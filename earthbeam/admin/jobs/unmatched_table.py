"""The table of unmatched rows, with the columns that identify a student first."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from earthbeam.admin.jobs.unmatched_edits import Edits
from earthbeam.jobs.row_review import Review
from earthbeam.jobs.unmatched import OpenFile, clean
from earthbeam.models import Job

PAGE_ROWS = 200
_MOST_COLUMNS = 40
_LONGEST_CELL = 60

# In this order: what a person knows a student by.
_TELLING = (
    re.compile(r"(last|family|sur).?name|^lname$", re.IGNORECASE),
    re.compile(r"(first|given).?name|^fname$", re.IGNORECASE),
    re.compile(r"^(full.?)?name$|(student|pupil|examinee|child).{0,6}name", re.IGNORECASE),
    re.compile(r"middle|^mi$", re.IGNORECASE),
    re.compile(r"birth|(^|[^a-z])dob($|[^a-z])", re.IGNORECASE),
    re.compile(r"^(student|current|enrolled|tested)?.?grade(.?level)?$", re.IGNORECASE),
)


@dataclass(frozen=True)
class EditableCell:
    """A cell that can be corrected, by the index of its column."""

    place: int
    column: str
    old: str
    new: str
    at_fault: bool = False


@dataclass(frozen=True)
class Row:
    """A row of the table. ``taken`` is the job that already has it."""

    number: int
    old: str
    new: str
    changed: bool
    error: str
    taken: Job | None
    cells: list[str]
    review: Review | None
    chosen: str
    """The studentUniqueId of the chosen student, or empty."""
    editable: list[EditableCell]
    """All cells, the one at fault first, if the bundle cannot read the row."""


@dataclass(frozen=True)
class Table:
    """One page of the rows. ``hidden`` columns are in the file, but not shown."""

    columns: list[str]
    rows: list[Row]
    page: int
    pages: int
    hidden: int
    changed_elsewhere: int


def make_table(
    file: OpenFile,
    edits: Edits,
    taken: Mapping[int, Job],
    page: int = 1,
    reviews: Mapping[int, Review] = MappingProxyType({}),
) -> Table:
    """Return a page of the table, counted from 1, or the nearest one that exists."""
    pages = max(1, -(-len(file.rows) // PAGE_ROWS))
    page = min(max(1, page), pages)
    places = telling_order(file.columns, file.id_place)
    shown = places[:_MOST_COLUMNS]
    first = (page - 1) * PAGE_ROWS + 1
    numbers = range(first, min(first + PAGE_ROWS, len(file.rows) + 1))
    return Table(
        columns=[file.columns[place] for place in shown],
        rows=[
            Row(
                number=number,
                old=file.id_of(number),
                new=edits.ids.get(number, file.id_of(number)),
                changed=number in {*edits.ids, *edits.students, *edits.cells},
                error=edits.errors.get(number, ""),
                taken=taken.get(number),
                cells=[_short(file.rows[number - 1][place]) for place in shown],
                review=reviews.get(number),
                chosen=edits.students.get(number, ""),
                editable=_held_cells(file, number, edits, reviews.get(number)),
            )
            for number in numbers
        ],
        page=page,
        pages=pages,
        hidden=len(places) - len(shown),
        changed_elsewhere=sum(
            number not in numbers for number in (*edits.ids, *edits.students, *edits.cells)
        ),
    )


def page_of(number: int) -> int:
    """Return the page that a row is on."""
    return (number - 1) // PAGE_ROWS + 1


def telling_order(columns: list[str], id_place: int) -> list[int]:
    """Return the indexes of all columns but the ID's: names, birth date, and grade first."""

    def rank(place: int) -> int:
        name = columns[place].strip()
        found = (rank for rank, telling in enumerate(_TELLING) if telling.search(name))
        return next(found, len(_TELLING))

    return sorted((place for place in range(len(columns)) if place != id_place), key=rank)


def editable_cells(
    file: OpenFile, number: int, changes: Mapping[int, str], at_fault: str = ""
) -> list[EditableCell]:
    """Return all cells of a row, with their changes; first that of the column ``at_fault``."""
    fault = file.place_of(at_fault)
    cells = [
        EditableCell(place, column, clean(old), changes.get(place, clean(old)), place == fault)
        for place, (column, old) in enumerate(zip(file.columns, file.rows[number - 1], strict=True))
    ]
    return sorted(cells, key=lambda cell: not cell.at_fault)


def _held_cells(
    file: OpenFile, number: int, edits: Edits, review: Review | None
) -> list[EditableCell]:
    if review is None or review.reason != "untransformable":
        return []
    column = review.cell.column if review.cell else ""
    return editable_cells(file, number, edits.cells.get(number, {}), column)


def _short(cell: str) -> str:
    return cell if len(cell) <= _LONGEST_CELL else f"{cell[:_LONGEST_CELL]}…"
