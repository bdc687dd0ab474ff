"""Whether a row whose ID leads to a student is about another student."""

from earthbeam.identity.people import Person
from earthbeam.identity.score import compare


def disagrees(row: Person, student: Person) -> bool:
    """Whether neither a name nor the birth date confirms that the row is the student's.

    A part that one side lacks says nothing. At least two parts must be there to disagree.
    """
    levels = compare(row, student).agrees().values()
    return len(levels) >= 2 and set(levels) == {"different"}


def confirms(row: Person, student: Person) -> bool | None:
    """Whether a name or the birth date confirms that the row is the student's.

    None if nothing can be compared.
    """
    levels = compare(row, student).agrees().values()
    return any(level != "different" for level in levels) if levels else None


MOST_HELD = 0.1
"""Of a file's rows. If more disagree, the students are not the ones to doubt (contract 11)."""


def too_many_disagree(disagreeing: int, rows: int) -> bool:
    """Whether the file most likely belongs to another district, year, or ID type.

    A single row is never too many.
    """
    return disagreeing > 1 and disagreeing > MOST_HELD * rows
