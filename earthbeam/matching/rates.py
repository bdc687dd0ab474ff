"""Match rates: how many rows each pair of an input column and an ID type matches."""

from dataclasses import dataclass
from typing import NamedTuple

from earthbeam.matching.inputs import InputIds
from earthbeam.matching.tally import UNIQUE_ID, Tally


class Pair(NamedTuple):
    """An input column, and the roster's ID type that it is compared with."""

    column: str
    id_type: str


class PairRate(NamedTuple):
    """A pair's match rate: rows whose ID belongs to exactly one student, of all rows tried."""

    pair: Pair
    matches: int
    rows: int

    @property
    def rate(self) -> float:
        """Matches as a fraction of the rows, blank ones included."""
        return self.matches / self.rows


@dataclass(frozen=True)
class Trial:
    """The result of trying one roster on an input's IDs."""

    tally: Tally
    rates: list[PairRate]
    """The pairs that match any row, best first."""
    row_count: int
    decided_count: int
    """Rows that have a student whatever their IDs. They count in no pair's rate."""

    @property
    def best_rate(self) -> float:
        """The rate of the best pair, or 0 if none matches any row."""
        return self.rates[0].rate if self.rates else 0.0

    def reaches(self, required_rate: float) -> bool:
        """Whether any row has a student, and enough have with the best pair."""
        matches = self.decided_count + (self.rates[0].matches if self.rates else 0)
        return matches > 0 and matches / self.row_count >= required_rate


def try_all_pairs(ids: InputIds, tally: Tally) -> Trial:
    """Try each ID column as each ID type, on all rows.

    Breaks ties as the student_ids package does: the later column name first, then the later type
    name, by code point. (The package sorts its rates as text. For fractions that is the numeric
    order down to 0.0001; smaller ones, written like ``5e-05``, come out on top there, but not
    here.)
    """
    rates = []
    for column in ids.columns:
        for id_type in [*tally.id_types, UNIQUE_ID]:
            pair = Pair(column, id_type)
            if matches := _matches(ids, pair, tally):
                rates.append(PairRate(pair, matches, ids.row_count))
    rates.sort(key=lambda rate: (rate.matches, rate.pair), reverse=True)
    return Trial(tally, rates, ids.row_count, ids.decided_count)


def try_rest(ids: InputIds, winner: PairRate, tally: Tally) -> Trial:
    """Try only the winning pair, on the rows that ``winner`` did not match in another roster.

    ``tally`` must have been taken of the IDs that the other roster does not have.
    """
    matches = _matches(ids, winner.pair, tally)
    left = winner.rows - winner.matches - ids.decided_count
    rates = [PairRate(winner.pair, matches, left)] if matches else []
    return Trial(tally, rates, ids.row_count, ids.decided_count)


def _matches(ids: InputIds, pair: Pair, tally: Tally) -> int:
    frequencies = ids.frequencies[pair.column]
    held = tally.holders_of(pair.id_type)
    return sum(frequencies[value] for value, student in held.items() if student is not None)
