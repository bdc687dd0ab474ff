"""What was done to a file's IDs, how many rows would match without it, and undoing it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from earthbeam.identity.guard import disagrees
from earthbeam.identity.people import Person
from earthbeam.identity.repairs import Kind, canonical, has_lost_digits, kind_of
from earthbeam.identity.score import UNIQUE_ID
from earthbeam.identity.suggestions import RosterPerson


class Damage(NamedTuple):
    """A kind of damage, and how many rows match in all if it is undone, by the best pair.

    Of ``scientific``, how many rows have IDs whose digits are lost, which nothing restores.
    """

    kind: Kind
    rows: int


REPAIRABLE: tuple[Kind, ...] = (
    *("leading_zeros", "decimals", "separators", "formula", "apostrophe"),
    *("full_width", "case", "punctuation", "scientific"),
)
"""What ``repair`` undoes, if a person wants that for a whole file."""

Columns = Mapping[str, Sequence[str | None]]
"""The possible ID columns of a file, by row."""


def find_damage(
    columns: Columns, people: Sequence[Person], students: Iterable[RosterPerson]
) -> list[Damage]:
    """Return what was done to a file's IDs, the kind that explains most rows first.

    ``people`` are whom the rows are about. Of all pairs of a column and an ID type, the one counts
    that most rows match with repairs. A repair counts if it leads to one student, whom names and
    birth date do not rule out.
    """
    _, found = _best_pair(columns, people, students)
    kinds = Counter(kind for kind, _ in found.values())
    intact = kinds.pop(None, 0)
    damage = [Damage(kind, intact + rows) for kind, rows in kinds.most_common() if kind]
    rounded = sum(
        any(has_lost_digits(cell) for cell in cells if cell)
        for cells in zip(*columns.values(), strict=True)
    )
    return [*damage, *([Damage("scientific", rounded)] if rounded else [])]


def repair(
    columns: Columns,
    people: Sequence[Person],
    students: Iterable[RosterPerson],
    kinds: Collection[str],
) -> dict[str, list[str | None]]:
    """Return the columns with these kinds of damage undone, by the rule of ``find_damage``."""
    name, found = _best_pair(columns, people, students)
    repaired = {column: list(cells) for column, cells in columns.items()}
    for row, (kind, code) in found.items():
        if kind in kinds:
            repaired[name][row] = code
    return repaired


def _best_pair(
    columns: Columns, people: Sequence[Person], students: Iterable[RosterPerson]
) -> tuple[str, dict[int, tuple[Kind | None, str]]]:
    """Return the column of the best pair, and what is damaged in each row that matches with it.

    Each with the intact ID; None: nothing.
    """
    forms = {
        name: [canonical(cell) if cell else None for cell in columns[name]] for name in columns
    }
    wanted = {form for of_column in forms.values() for form in of_column if form}
    holders: dict[tuple[str, str], dict[str, tuple[str, Person]]] = defaultdict(dict)
    for student in students:
        for id_type, code in ((UNIQUE_ID, student.unique_id), *student.codes):
            form = canonical(code)
            if form in wanted:
                holders[id_type, form].setdefault(student.unique_id, (code, student.person))
    best: tuple[str, dict[int, tuple[Kind | None, str]]] = next(iter(columns)), {}
    for name, of_column in forms.items():
        for id_type in {id_type for id_type, _ in holders}:
            found = {}
            for row, wanted_form in enumerate(of_column):
                held = holders.get((id_type, wanted_form)) if wanted_form else None
                if held and len(held) == 1:
                    [(code, person)] = held.values()
                    if not disagrees(people[row], person):
                        found[row] = kind_of(columns[name][row] or "", code), code
            if len(found) > len(best[1]):
                best = name, found
    return best
