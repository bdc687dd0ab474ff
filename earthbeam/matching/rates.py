"""Match rates: how many rows each pair of an input column and an id type matches."""

from dataclasses import dataclass
from typing import NamedTuple

from earthbeam.matching.inputs import InputIds
from earthbeam.matching.tally import UNIQUE_ID, Tally


class Pair(NamedTuple):
    """An input column, and the roster's id type that it is taken for."""

    column: str
    id_type: str


class PairRate(NamedTuple):
    """A line of the match rates: rows whose id is exactly one student's, of all rows tried."""

    pair: Pair
    matches: int
    rows: int

    @property
    def rate(self) -> float:
        """Matches as a fraction of the rows, blank ones included."""
        return self.matches / self.rows


@dataclass(frozen=True)
class Trial:
    """What came of asking one roster for an input's ids."""

    tally: Tally
    rates: list[PairRate]
    """The pairs that match any row, best first."""

    @property
    def best_rate(self) -> float:
        """The rate of the best pair, 0 if none matches any row."""
        return self.rates[0].rate if self.rates else 0.0

    def reaches(self, required_rate: float) -> bool:
        """Whether some pair matches, and the best one often enough."""
        return bool(self.rates) and self.best_rate >= required_rate


def try_all_pairs(ids: InputIds, tally: Tally) -> Trial:
    """Try each id column as each id type, on all rows.

    Ties go as the student_ids package decides them: the later column name first, then the later
    type name, by code point. (The package sorts its rates as text. For fractions that is the order
    of the numbers down to 0.0001; smaller ones, written like ``5e-05``, come out on top there, but
    not here.)
    """
    rates = []
    for column in ids.columns:
        for id_type in [*tally.id_types, UNIQUE_ID]:
            pair = Pair(column, id_type)
            if matches := _matches(ids, pair, tally):
                rates.append(PairRate(pair, matches, ids.row_count))
    rates.sort(key=lambda rate: (rate.matches, rate.pair), reverse=True)
    return Trial(tally, rates)


def try_rest(ids: InputIds, winner: PairRate, tally: Tally) -> Trial:
    """Try the winning pair alone, on the rows that ``winner`` did not match in another roster.

    ``tally`` must have been taken of the ids that the other roster does not know.
    """
    matches = _matches(ids, winner.pair, tally)
    rates = [PairRate(winner.pair, matches, winner.rows - winner.matches)] if matches else []
    return Trial(tally, rates)


def _matches(ids: InputIds, pair: Pair, tally: Tally) -> int:
    frequencies = ids.frequencies[pair.column]
    held = tally.holders_of(pair.id_type)
    return sum(frequencies[value] for value, student in held.items() if student is not None)
