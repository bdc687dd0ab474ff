"""How likely two descriptions are of one person: a sum of what agrees and what does not.

The weights are natural logarithms of odds: how much more often a part agrees (or differs) between
two descriptions of one person than between two people. They are round numbers that follow from how
common things are, not from any students' data. Of two people, one pair in some hundreds has the
same last name, one in a hundred the same first name, and one in four thousand the same birth date,
if they are of school age. Names are misspelled or changed more often than dates are mistyped. The
sum begins at ``_PRIOR``, since of the many students of a roster only one is the right one.
"""

import math
from typing import NamedTuple

from earthbeam.identity import dates
from earthbeam.identity.names import Level, compare_first, compare_last
from earthbeam.identity.people import Person

_PRIOR = -7.0
_LAST: dict[Level | None, float] = {"same": 5.0, "close": 3.5, "different": -3.0, None: 0.0}
_FIRST: dict[Level | None, float] = {"same": 4.5, "close": 3.0, "different": -4.5, None: 0.0}
_BIRTH: dict[Level | None, float] = {"same": 8.0, "close": 3.5, "different": -5.0, None: 0.0}

VERY_LIKELY, LIKELY, LEAST = 0.95, 0.6, 0.001
"""Scores from which a suggestion is called so, and from which it is made at all."""
LEAST_WEIGHT = math.log(LEAST)
UNIQUE_ID = "studentUniqueId"


class Comparison(NamedTuple):
    """What two descriptions have in common, part by part. None: a part that one of them lacks."""

    last: Level | None
    first: Level | None
    birth: Level | None

    @property
    def score(self) -> float:
        """How likely both are one person, from 0 to 1."""
        return 1 / (1 + math.exp(-self.weight))

    @property
    def weight(self) -> float:
        """The logarithm of the odds that both are one person."""
        return _PRIOR + _LAST[self.last] + _FIRST[self.first] + _BIRTH[self.birth]

    def agrees(self) -> dict[str, Level]:
        """Return the parts that can be compared, under Ed-Fi's names."""
        parts = {"lastSurname": self.last, "firstName": self.first, "birthDate": self.birth}
        return {name: level for name, level in parts.items() if level is not None}


def compare(one: Person, other: Person) -> Comparison:
    """Compare two descriptions. First and last names that are swapped are found as well."""
    last, first = compare_last(one.last, other.last), compare_first(one.first, other.first)
    if last != "same" and first != "same" and "close" not in (last, first):
        swapped = compare_first(one.first, other.last), compare_first(one.last, other.first)
        if swapped != ("different", "different") and None not in swapped:
            last, first = ("different" if level == "different" else "close" for level in swapped)
    return Comparison(last, first, dates.compare(one.birth, other.birth))
