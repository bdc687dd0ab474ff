"""What identity checks found about a run's unmatched rows: who each may be about.

The executor writes it as an artifact (contract section 11). A bundle's code may have changed it, so
everything is checked, and what is not as it should be counts as missing.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from earthbeam import paths
from earthbeam.files import open_store
from earthbeam.models import Run
from earthbeam.stored_files import ROW_REVIEW

logger = logging.getLogger(__name__)

MAX_BYTES = 20 * 1024 * 1024
_LONGEST = 200
_MOST = 3
_LEVELS = ("same", "close", "different")
_REASONS = ("unknown", "blank", "ambiguous", "disagrees", "untransformable")
_LIKELIHOODS = ("very_likely", "likely", "possible")


@dataclass(frozen=True)
class Person:
    """Names and a birth date as texts; empty if unknown."""

    first_name: str = ""
    middle_name: str = ""
    last_name: str = ""
    birth_date: str = ""

    @property
    def name(self) -> str:
        return " ".join(filter(None, (self.first_name, self.middle_name, self.last_name)))


@dataclass(frozen=True)
class Student:
    """A student of a roster. ``ids`` are the other IDs, by type."""

    unique_id: str
    ids: Mapping[str, str]
    person: Person
    this_year: bool
    """Whether this year's roster has the student, rather than an earlier year's only."""


@dataclass(frozen=True)
class Suggestion:
    """A student whose row it may be. ``agrees`` has a level for each part that can be compared."""

    student: Student
    likelihood: str
    sure: bool
    repair: str
    agrees: Mapping[str, str]


@dataclass(frozen=True)
class Cell:
    """A cell with which the bundle fails. ``should_be_date`` tells that it reads a date there."""

    column: str
    value: str
    should_be_date: bool


@dataclass(frozen=True)
class Review:
    """What was found about one row. ``matched`` is the student to whom its ID leads, if the row
    disagrees."""

    reason: str
    person: Person
    suggestions: tuple[Suggestion, ...]
    matched: Student | None
    cell: "Cell | None" = None
    """If the bundle fails with the row: the cell at fault, where it is a single one."""

    def student(self, unique_id: str) -> Student | None:
        """Return one of the students that may be chosen for the row."""
        students = [each.student for each in self.suggestions]
        students += [self.matched] if self.matched else []
        return next((each for each in students if each.unique_id == unique_id), None)


def read(run: Run, rows: int) -> dict[int, Review]:
    """Return the reviews of the run's ``rows`` unmatched rows, by number from 1.

    Empty if there is no such artifact, or if it is not about these rows. Raises OSError.
    """
    found = [review for _, is_open, review in _reviews(run) if is_open]
    return dict(enumerate(found, start=1)) if len(found) == rows else {}


def open_numbers(run: Run, rows: int) -> list[int]:
    """Return the numbers of the run's ``rows`` unmatched rows in the file, from 1.

    Empty if there is no such artifact, or if it is not about these rows. Raises OSError.
    """
    found = [number for number, is_open, _ in _reviews(run) if is_open]
    return found if len(found) == rows else []


def read_loaded(run: Run) -> dict[int, Review]:
    """Return the reviews of rows that were loaded although they disagree with their student.

    By number in the file, from 1. Empty if there is no such artifact. Raises OSError.
    """
    return {row: review for row, is_open, review in _reviews(run) if not is_open and review.matched}


def _reviews(run: Run) -> list[tuple[int, bool, Review]]:
    """Return each review with the row's number in the file, and whether the row is unmatched."""
    stored = run.output_files.filter(path=ROW_REVIEW).first()
    if stored is None or stored.size > MAX_BYTES:
        return []
    store = open_store(paths.app_data_base_path(run.job))
    try:
        with store.open(f"output/{ROW_REVIEW}") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return []
    try:
        lines = [orjson.loads(line) for line in content.splitlines()]
        return [(int(line["row"]), line["open"] is True, _review(line)) for line in lines]
    except (ValueError, TypeError, KeyError, AttributeError):
        logger.warning("the review of rows of run %s is not as it should be", run.pk)
        return []


def _review(line: Any) -> Review:
    suggestions = line["suggestions"]
    if not isinstance(suggestions, list):
        raise TypeError
    matched = line.get("matched")
    return Review(
        _one_of(line["reason"], _REASONS),
        _person(line["person"]),
        tuple(_suggestion(each) for each in suggestions[:_MOST]),
        None if matched is None else _student(matched),
        None if (cell := line.get("cell")) is None else _cell(cell),
    )


def _cell(given: Any) -> Cell:
    return Cell(_text(given["column"]), _text(given["value"]), given["problem"] == "date")


def _suggestion(given: Any) -> Suggestion:
    return Suggestion(
        _student(given),
        _one_of(given["likelihood"], _LIKELIHOODS),
        given["sure"] is True,
        _text(given.get("repair") or ""),
        {
            part: _one_of(level, _LEVELS)
            for part, level in given["agrees"].items()
            if part in ("lastSurname", "firstName", "birthDate")
        },
    )


def _student(given: Any) -> Student:
    unique_id = _text(given["studentUniqueId"])
    if not unique_id:
        raise ValueError
    ids = {_text(kind): _text(value) for kind, value in list(given["ids"].items())[:10]}
    return Student(unique_id, ids, _person(given["student"]), given["source"] == "ods")


def _person(given: Any) -> Person:
    parts = ("firstName", "middleName", "lastSurname", "birthDate")
    return Person(*(_text(given.get(part) or "") for part in parts))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value[:_LONGEST]


def _one_of(value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError
    return str(value)
