"""The table of unmatched rows, with the columns that identify a student first."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from earthbeam.admin.jobs.unmatched_edits import Edits
from earthbeam.jobs.row_review import Review
from earthbeam.jobs.unmatched import UnmatchedFile
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
    cell: str
    """The new value of the cell at fault, if there is one."""


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
    file: UnmatchedFile,
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
                cell=edits.cells.get(number, _bad_cell(reviews.get(number))),
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


def _bad_cell(review: Review | None) -> str:
    return review.cell.value if review and review.cell else ""


def _short(cell: str) -> str:
    return cell if len(cell) <= _LONGEST_CELL else f"{cell[:_LONGEST_CELL]}…"
