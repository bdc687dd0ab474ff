"""How many rows of a file would match if the damage to its IDs were undone."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
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


def find_damage(
    columns: Mapping[str, Sequence[str | None]],
    people: Sequence[Person],
    students: Iterable[RosterPerson],
) -> list[Damage]:
    """Return what was done to a file's IDs, the kind that explains most rows first.

    ``columns`` holds the possible ID columns and ``people`` whom the rows are about, both by row.
    Of all pairs of a column and an ID type, the one counts that most rows match with repairs. A
    repair counts if it leads to one student, whom names and birth date do not rule out.
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
    most, best = 0, Counter[Kind | None]()
    for name, of_column in forms.items():
        for id_type in {id_type for id_type, _ in holders}:
            found = Counter[Kind | None]()
            for row, wanted_form in enumerate(of_column):
                held = holders.get((id_type, wanted_form)) if wanted_form else None
                if held and len(held) == 1:
                    [(code, person)] = held.values()
                    if not disagrees(people[row], person):
                        found[kind_of(columns[name][row] or "", code)] += 1
            if found.total() > most:
                most, best = found.total(), found
    intact = best.pop(None, 0)
    damage = [Damage(kind, intact + rows) for kind, rows in best.most_common() if kind]
    rounded = sum(
        any(has_lost_digits(cell) for cell in cells if cell)
        for cells in zip(*columns.values(), strict=True)
    )
    return [*damage, *([Damage("scientific", rounded)] if rounded else [])]
