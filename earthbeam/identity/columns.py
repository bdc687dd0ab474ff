"""Learn which columns of a file hold names and birth dates.

No bundle declares them. They are the columns that agree with the students to whom rows were
matched by their IDs. What cannot be learned so, from too few matched rows or because the rows are
not about these students, is taken from the header.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from earthbeam.identity.dates import Date, read
from earthbeam.identity.names import compare_first, compare_last, words
from earthbeam.identity.people import UNKNOWN_PERSON, Person, of_parts

LOOKED_AT = 300
"""Matched rows that are enough to learn from."""
_ENOUGH = 3
_AGREE = 0.5
"""Of the cells that can be compared, how many must agree."""
_SHARE, _AT_LEAST = 0.05, 5
"""A date that so large a share, and at least so many, of the rows have is no birth date."""

_TWO_NUMBERS = re.compile(r"\s*(\d{1,2})[-/. ](\d{1,2})[-/. ]\d")
_OTHERS = re.compile(
    r"teacher|proctor|parent|guardian|examiner|staff|school|district|class|rater", re.IGNORECASE
)
_HEADERS = {
    "birthDate": re.compile(r"birth|(^|[^a-z])dob($|[^a-z])", re.IGNORECASE),
    "lastSurname": re.compile(
        r"(last|family|sur)[^a-z]?name|^l(ast)?[^a-z]?name$|^last$", re.IGNORECASE
    ),
    "firstName": re.compile(
        r"(first|given)[^a-z]?name|^f(irst)?[^a-z]?name$|^first$", re.IGNORECASE
    ),
    "middleName": re.compile(r"middle|^m\.?i\.?$", re.IGNORECASE),
    "name": re.compile(r"^(full.?)?name$|(student|pupil|examinee|child).{0,6}name", re.IGNORECASE),
}


@dataclass(frozen=True)
class PersonColumns:
    """Where a row has its names and birth date: places by Ed-Fi's names, and ``name`` for both."""

    places: Mapping[str, int]
    header: Sequence[str]
    day_first: bool = False
    placeholders: frozenset[Date] = field(default_factory=frozenset)

    @property
    def named(self) -> dict[str, str]:
        """The columns' names by what they hold, to report. Empty if the file has none."""
        return {part: self.header[place] for part, place in self.places.items()}

    def person(self, row: Sequence[str]) -> Person:
        """Return the person that a row is about."""
        if not self.places:
            return UNKNOWN_PERSON
        cells = {part: row[place] for part, place in self.places.items()}
        birth = read(cells.get("birthDate", ""), self.day_first)
        if birth in self.placeholders:
            birth = None
        first, middle = cells.get("firstName", ""), cells.get("middleName", "")
        last = cells.get("lastSurname", "")
        if "name" in cells and not (first or last):
            first, middle, last = split_name(cells["name"])
        return of_parts(first, middle, last, birth)

    def comparable(self, student: Person) -> Person:
        """Return the student without a birth date that is a placeholder."""
        return student._replace(birth=None) if student.birth in self.placeholders else student


def split_name(name: str) -> tuple[str, str, str]:
    """Return first, middle, and last name of one text: "Last, First M." or "First M. Last"."""
    last, comma, rest = name.partition(",")
    given = rest.split()
    if not comma or len(words(rest)) == 0:
        given = name.replace(",", " ").split()
        last = given.pop() if len(given) > 1 else ""
    return (given[0] if given else ""), " ".join(given[1:]), last.strip()


def learn(
    header: Sequence[str],
    matched: Sequence[tuple[Sequence[str], Person]],
    rows: Sequence[Sequence[str]],
) -> PersonColumns:
    """Return the columns that hold names and birth dates.

    ``matched`` are rows with the student to whom their ID led, of which ``LOOKED_AT`` are enough.
    ``rows`` are rows of any kind, to see which dates are too common to be birth dates.
    """
    places = {}
    for part, agrees in _AGREES.items():
        place = _best(len(header), matched, agrees)
        if place is not None:
            places[part] = place
    if places.keys() >= {"firstName", "lastSurname"}:
        places.pop("name", None)
    elif "name" in places:
        places = {part: place for part, place in places.items() if part in ("name", "birthDate")}
    _add_by_header(places, header)
    birth = places.get("birthDate")
    if birth is None:
        return PersonColumns(places, header)
    day_first = _is_day_first(birth, matched, rows)
    of_file = [read(row[birth], day_first) for row in rows]
    of_students = [person.birth for _, person in matched]
    placeholders = _placeholders(of_file) | _placeholders(of_students)
    return PersonColumns(places, header, day_first, placeholders)


def _best(
    width: int,
    matched: Sequence[tuple[Sequence[str], Person]],
    agrees: Callable[[str, Person], bool | None],
) -> int | None:
    """Return the column that agrees with most students, if it agrees with enough."""
    most, best = _ENOUGH - 1, None
    for place in range(width):
        said = [agrees(row[place], student) for row, student in matched]
        hits = said.count(True)
        if hits > most and hits >= _AGREE * (hits + said.count(False)):
            most, best = hits, place
    return best


def _has_first(cell: str, student: Person) -> bool | None:
    level = compare_first(words(cell), student.first)
    return None if level is None else level != "different"


def _has_last(cell: str, student: Person) -> bool | None:
    level = compare_last(words(cell), student.last)
    return None if level is None else level == "same"


def _has_both(cell: str, student: Person) -> bool | None:
    if not cell.strip() or not student.first or not student.last:
        return None
    first, _, last = map(words, split_name(cell))
    if not first or not last:
        return False
    return (
        compare_last(last, student.last) != "different"
        and compare_first(first, student.first) != "different"
    )


def _has_birth(cell: str, student: Person) -> bool | None:
    if not cell.strip() or student.birth is None:
        return None
    return student.birth in (read(cell), read(cell, True))


_AGREES: dict[str, Callable[[str, Person], bool | None]] = {
    "firstName": _has_first,
    "lastSurname": _has_last,
    "name": _has_both,
    "birthDate": _has_birth,
}


def _add_by_header(places: dict[str, int], header: Sequence[str]) -> None:
    """Add the parts that could not be learned, each from the first column named so."""
    for part, named in _HEADERS.items():
        names = ("firstName", "middleName", "lastSurname")
        if part in places or (part == "name" and places.keys() & set(names)):
            continue
        if part in names and "name" in places:
            continue
        for place, column in enumerate(header):
            if named.search(column.strip()) and not _OTHERS.search(column):
                places[part] = place
                break


def _is_day_first(
    place: int, matched: Sequence[tuple[Sequence[str], Person]], rows: Sequence[Sequence[str]]
) -> bool:
    """Whether the file writes the day before the month: by the students, else by days over 12."""
    day, month = (
        sum(read(row[place], first) == student.birth for row, student in matched)
        for first in (True, False)
    )
    if day != month:
        return day > month
    beyond = Counter(
        int(found[1]) > 12
        for row in rows
        if (found := _TWO_NUMBERS.match(row[place])) and max(int(found[1]), int(found[2])) > 12
    )
    return beyond[True] > beyond[False]


def _placeholders(dates: Sequence[Date | None]) -> frozenset[Date]:
    counts = Counter(date for date in dates if date is not None)
    least = max(_AT_LEAST, _SHARE * len(dates))
    return frozenset(date for date, count in counts.items() if count >= least)
