"""The result of a match: the winning pair, and each row's student and set, or why it has none."""

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from earthbeam.matching.rates import Pair, PairRate


class Outcome(Enum):
    """A row's output set, or why it stays unmatched."""

    PRIMARY = "primary"
    SECOND = "second"
    BLANK = "blank"
    AMBIGUOUS = "ambiguous"
    UNKNOWN = "unknown"
    DISAGREES = "disagrees"
    """Its ID leads to a student whom neither a name nor the birth date confirms."""

    UNTRANSFORMABLE = "untransformable"
    """The bundle fails with it."""

    @property
    def matched(self) -> bool:
        """Whether the row has a student."""
        return self in (Outcome.PRIMARY, Outcome.SECOND)


class RowMatch(NamedTuple):
    """The outcome of one row, and the studentUniqueId of its student if it has one."""

    outcome: Outcome
    student: str | None = None


@dataclass(frozen=True)
class Plan:
    """The result of a match."""

    winner: Pair
    match_rate: float
    """The winner's rate in the roster that decided it, as a fraction of all rows."""
    display_type: str
    """The winner's ID type, by the name its users know; see ``Tally.display_type``."""
    id_types: list[str]
    """The primary roster's ID types, except those that merely repeat studentUniqueId.

    Bundles get them as EDFI_STUDENT_ID_TYPES.
    """
    primary_rates: list[PairRate]
    second_rates: list[PairRate]
    """Empty if the second roster was not read or matched nothing.

    If it was read for the winning pair only, the rate is a fraction of the rows that the primary
    roster left unmatched.
    """
    rows: list[RowMatch]
    """One per row of the input, in its order."""

    def counts(self) -> Counter[Outcome]:
        """Return how many rows have each outcome. Together they are all rows of the input."""
        return Counter(row.outcome for row in self.rows)
