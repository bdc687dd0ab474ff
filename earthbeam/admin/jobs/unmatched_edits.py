"""The edits to the table of unmatched rows, across all of its pages."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from earthbeam.jobs.row_review import Review
from earthbeam.jobs.unmatched import OpenFile, clean

LONGEST_ID = 100
_FIELD = re.compile(r"id-([1-9][0-9]{0,6})")
_CHOICE = re.compile(r"student-([1-9][0-9]{0,6})")
_CELL = re.compile(r"cell-([1-9][0-9]{0,6})-([0-9]{1,4})")
_BETWEEN = re.compile(r"[\t,;]")


Cells = dict[int, dict[int, str]]
"""New values of cells, by row number and index of the column."""


class BadForm(Exception):
    """The form is not one that the page created for these rows."""


@dataclass
class Edits:
    """New IDs and chosen students by row number, and messages about invalid ones.

    A student is chosen by studentUniqueId, and never for a row that has a new ID.
    """

    ids: dict[int, str] = field(default_factory=dict)
    students: dict[int, str] = field(default_factory=dict)
    cells: Cells = field(default_factory=dict)
    """New values of other cells, of rows that the bundle cannot read."""
    errors: dict[int, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows are to be loaded again."""
        return len(self.ids) + len(self.students) + len(self.cells)


def read_edits(
    post: Mapping[str, str],
    file: OpenFile,
    taken: Collection[int],
    reviews: Mapping[int, Review],
) -> Edits:
    """Return the IDs that differ from the file's and the chosen students, from all pages.

    Leaves out rows that are already in another job. Raises BadForm, also for a student who was not
    suggested for the row.
    """
    edits = Edits()
    for number, value in {**_carried(post.get("edits", "")), **_fields(post)}.items():
        if number > len(file.rows):
            raise BadForm
        new = clean(value)
        if number in taken or new == file.id_of(number):
            continue
        edits.ids[number] = new
        if error := _error(new):
            edits.errors[number] = error
    chosen = {**_carried(post.get("choices", "")), **_fields(post, _CHOICE)}
    for number, student in chosen.items():
        if number in taken or not student:
            continue
        if number not in reviews or reviews[number].student(student) is None:
            raise BadForm
        if number in edits.ids:
            edits.errors[number] = "Choose a student or enter another ID, not both."
        else:
            edits.students[number] = student
    held = {number for number, each in reviews.items() if each.reason == "untransformable"}
    edits.cells = read_cells(post, file, held, taken)
    if edits.cells.keys() & {*edits.ids, *edits.students}:
        raise BadForm
    return edits


def read_cells(
    post: Mapping[str, str],
    file: OpenFile,
    editable: Collection[int],
    taken: Collection[int] = (),
) -> Cells:
    """Return the cells of ``editable`` rows that differ from the file's. Raises BadForm."""
    cells: Cells = {}
    given = _carried_cells(post.get("cells", ""))
    for name in post:
        if (found := _CELL.fullmatch(name)) is not None:
            given.setdefault(int(found[1]), {})[int(found[2])] = post[name]
    for number, values in given.items():
        if number not in editable or max(values, default=0) >= len(file.columns):
            raise BadForm
        old = file.rows[number - 1]
        changed = {
            place: new
            for place, value in values.items()
            if (new := clean(value)) != clean(old[place])
        }
        if changed and number not in taken:
            cells[number] = changed
    return cells


def accept_all_sure(edits: Edits, reviews: Mapping[int, Review], taken: Collection[int]) -> int:
    """Choose the best student of each row where no other is likely. Returns how many were added.

    Rows with a new ID, or with a choice, stay as they are.
    """
    added = 0
    for number, review in reviews.items():
        if number in taken or number in edits.ids or number in edits.students:
            continue
        if review.reason != "disagrees" and review.suggestions and review.suggestions[0].sure:
            edits.students[number] = review.suggestions[0].student.unique_id
            added += 1
    return added


def carry(edits: Edits) -> dict[str, str]:
    """Return all edits as the values of three fields."""
    return {
        "edits": json.dumps(edits.ids, ensure_ascii=False),
        "choices": json.dumps(edits.students, ensure_ascii=False),
        "cells": json.dumps(edits.cells, ensure_ascii=False),
    }


@dataclass(frozen=True)
class Filled:
    """The result of a pasted list: how many rows changed, and which lines had no effect."""

    rows: int
    unreadable: list[int]
    unknown: list[int]


def fill(edits: Edits, pasted: str, file: OpenFile, taken: Collection[int]) -> Filled:
    """Add a list of old and new IDs, one pair per line, to ``edits``.

    A tab, comma, or semicolon separates old and new, as spreadsheets copy or save them.
    """
    places: dict[str, list[int]] = {}
    for number in range(1, len(file.rows) + 1):
        if number not in taken and (old := file.id_of(number)):
            places.setdefault(_plain(old), []).append(number)
    rows, unreadable, unknown = 0, [], []
    for line_number, line in enumerate(pasted.splitlines(), start=1):
        if not line.strip():
            continue
        old, *rest = (clean(cell).strip('"') for cell in _BETWEEN.split(line, maxsplit=1))
        if not old or not rest or _error(rest[0]):
            unreadable.append(line_number)
        elif numbers := places.get(_plain(old)):
            for number in numbers:
                edits.ids[number] = rest[0]
                edits.students.pop(number, None)
                edits.errors.pop(number, None)
            rows += len(numbers)
        else:
            unknown.append(line_number)
    return Filled(rows, unreadable, unknown)


def _plain(value: str) -> str:
    """Remove the ``.0`` that spreadsheets append, which matching ignores as well."""
    return value.removesuffix(".0")


def _error(value: str) -> str | None:
    if not value:
        return "Without an ID this row cannot be matched: enter one, or the old one again."
    if len(value) > LONGEST_ID:
        return f"An ID has at most {LONGEST_ID} characters: is this one cell?"
    if not value.isprintable():
        return "The ID holds characters that cannot be seen: type it by hand."
    return None


def _carried(text: str) -> dict[int, str]:
    if not text:
        return {}
    try:
        kept = json.loads(text)
        return {_number(key): _text(value) for key, value in kept.items()}
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise BadForm from None


def _carried_cells(text: str) -> Cells:
    try:
        kept = json.loads(text or "{}")
        return {
            _number(row): {int(place): _text(value) for place, value in cells.items()}
            for row, cells in kept.items()
        }
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise BadForm from None


def _fields(post: Mapping[str, str], of: re.Pattern[str] = _FIELD) -> dict[int, str]:
    return {int(found[1]): post[name] for name in post if (found := of.fullmatch(name)) is not None}


def _number(key: str) -> int:
    if not key.isdecimal() or int(key) < 1:
        raise ValueError
    return int(key)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
