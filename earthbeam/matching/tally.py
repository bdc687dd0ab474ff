"""One pass over a roster, which keeps only what an input needs."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from earthbeam.matching.roster import RosterStudent

UNIQUE_ID = "studentUniqueId"
"""The ID type that every student has, and the only one that identifies a student."""

# A type repeats studentUniqueId if at least half of the roster has it and at least 95 % of its
# values are the student's studentUniqueId.
_HELD_BY = 0.5
_EQUAL = 0.95

Holders = Mapping[str, str | None]


@dataclass(slots=True)
class TypeCounts:
    """How a roster uses one ID type.

    Lines that have it, its values, and how many of those are the studentUniqueId of the same line.
    """

    lines: int = 0
    values: int = 0
    equal: int = 0
    last_line: int = 0


@dataclass
class Tally:
    """A roster's data on the wanted IDs, and how it uses its ID types overall.

    Its size is limited to the wanted IDs times the ID types in use, however long the roster.
    """

    lines: int = 0
    """Roster lines. A student counts once for each of their education organizations."""
    types: dict[str, TypeCounts] = field(default_factory=dict)
    """Every ID type but studentUniqueId, in order of first appearance."""
    holders: dict[str, dict[str, str | None]] = field(default_factory=lambda: {UNIQUE_ID: {}})
    """By ID type, see ``holders_of``."""

    @property
    def id_types(self) -> list[str]:
        """The types worth matching by: all that do not merely repeat studentUniqueId."""
        return [name for name in self.types if not self._stands_for_unique_id(name)]

    def holders_of(self, id_type: str) -> Holders:
        """Return the wanted IDs that occur as ``id_type``, each with its student's studentUniqueId.

        None instead of the student if the ID belongs to more than one.
        """
        return self.holders.get(id_type, {})

    def display_type(self, id_type: str) -> str:
        """Return the name that users know ``id_type`` by.

        It differs only for studentUniqueId. If another type repeats it (State, most often), people
        know only that one. If several do, the one that agrees most.
        """
        if id_type != UNIQUE_ID:
            return id_type
        known = [name for name in self.types if self._stands_for_unique_id(name)]
        return max(known, key=self._equal_share, default=UNIQUE_ID)

    def _stands_for_unique_id(self, name: str) -> bool:
        held = self.types[name].lines >= _HELD_BY * self.lines
        return held and self._equal_share(name) >= _EQUAL

    def _equal_share(self, name: str) -> float:
        return self.types[name].equal / self.types[name].values


def take_tally(students: Iterable[RosterStudent], wanted: Set[str]) -> Tally:
    """Read a whole roster, and keep its data on the ``wanted`` (normalized) IDs.

    All codes of a type count, not only a student's first. A code type named studentUniqueId is
    ignored, because the reference's own ID is the one that counts.
    """
    tally = Tally()
    types, holders = tally.types, tally.holders
    for unique_id, codes, _ in students:
        tally.lines += 1
        if unique_id in wanted:
            holders[UNIQUE_ID][unique_id] = unique_id
        for id_type, code in codes:
            if id_type == UNIQUE_ID:
                continue
            counts = types.get(id_type)
            if counts is None:
                counts = types[id_type] = TypeCounts()
                holders[id_type] = {}
            if counts.last_line != tally.lines:
                counts.last_line = tally.lines
                counts.lines += 1
            counts.values += 1
            if code == unique_id:
                counts.equal += 1
            if code in wanted:
                held = holders[id_type]
                if held.setdefault(code, unique_id) != unique_id:
                    held[code] = None
    return tally


def held_ids(students: Iterable[RosterStudent], wanted: Set[str]) -> set[str]:
    """Return which of the ``wanted`` (normalized) IDs any student of a roster has, of any type."""
    tally = take_tally(students, wanted)
    return {value for held in tally.holders.values() for value in held}
