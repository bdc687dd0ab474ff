"""What a match decides: the winning pair, and each row's student and set, or why it has none."""

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from earthbeam.matching.rates import Pair, PairRate


class Outcome(Enum):
    """What becomes of a row: the output set it belongs to, or why it stays unmatched."""

    PRIMARY = "primary"
    SECOND = "second"
    BLANK = "blank"
    AMBIGUOUS = "ambiguous"
    UNKNOWN = "unknown"

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
    """The winner's rate in the roster that it was chosen by, as a fraction of all rows."""
    display_type: str
    """The winner's id type by the name its users know; see ``Tally.display_type``."""
    id_types: list[str]
    """The primary roster's id types without those that merely stand for studentUniqueId: what
    bundles get as EDFI_STUDENT_ID_TYPES."""
    primary_rates: list[PairRate]
    second_rates: list[PairRate]
    """Empty if the second roster was not asked or matched nothing. If it was asked on the winning
    pair alone, its rate is one of the rows that the primary roster had left."""
    rows: list[RowMatch]
    """One for each row of the input, in its order."""

    def counts(self) -> Counter[Outcome]:
        """How many rows have each outcome; together they are all rows of the input."""
        return Counter(row.outcome for row in self.rows)
