"""One pass over a roster, keeping only what an input needs to know of it."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from earthbeam.matching.roster import RosterStudent

UNIQUE_ID = "studentUniqueId"
"""The id type that every student has; students are told apart by it alone."""

# A type stands for studentUniqueId if at least half of the roster has it and at least 95 % of its
# values are the student's studentUniqueId.
_HELD_BY = 0.5
_EQUAL = 0.95

Holders = Mapping[str, str | None]


@dataclass(slots=True)
class TypeCounts:
    """How one id type is used in a roster: lines that have it, its values, and how many of those
    are the studentUniqueId of the same line."""

    lines: int = 0
    values: int = 0
    equal: int = 0
    last_line: int = 0


@dataclass
class Tally:
    """What a roster says about the wanted ids, and how its id types are used overall.

    Size is bounded by the wanted ids times the id types in use, however long the roster.
    """

    lines: int = 0
    """Roster lines: a student counts once for each of their education organisations."""
    types: dict[str, TypeCounts] = field(default_factory=dict)
    """Every id type but studentUniqueId, in order of first appearance."""
    holders: dict[str, dict[str, str | None]] = field(default_factory=lambda: {UNIQUE_ID: {}})
    """By id type, see ``holders_of``."""

    @property
    def id_types(self) -> list[str]:
        """The types worth matching by, beside studentUniqueId: those that do not stand for it."""
        return [name for name in self.types if not self._stands_for_unique_id(name)]

    def holders_of(self, id_type: str) -> Holders:
        """Which of the wanted ids occur as ``id_type``, and whose each is (a studentUniqueId);
        None if it belongs to several students, which tells nothing about any of them."""
        return self.holders.get(id_type, {})

    def display_type(self, id_type: str) -> str:
        """The name that users know ``id_type`` by.

        That differs for studentUniqueId only: where another type stands for it (State, most often),
        people have never heard of the former. Of several such types, the one that agrees most.
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
    """Read a roster to its end and keep what it says about the ``wanted`` (normalized) ids.

    All codes of a type count, not only a student's first. A code type that calls itself
    studentUniqueId is ignored: the reference's own id is the one that counts.
    """
    tally = Tally()
    types, holders = tally.types, tally.holders
    for unique_id, codes in students:
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
