"""Decide which pair of column and ID type wins, and where each row of the input goes.

The rule, in order:

1. Every pair of a possible ID column and an ID type is tried on the primary roster (the ODS's, or
   the only one there is). If its best pair reaches the required rate of all rows, that pair wins.
2. Otherwise every pair is tried on the whole input against the second roster (EDU's, of all years).
   Its best pair wins if it reaches the required rate.
3. For the winning pair, the primary roster is final: an ID that it has for one student goes to the
   primary set; an ID that it has for more than one is ambiguous, and stays unmatched.
4. Only IDs that the primary roster does not have are looked up in the second one, for the winning
   pair and at any rate. Students found there go to the second set, unless the primary roster has
   them under another ID: a student of the ODS always goes to the ODS.
5. A row that a person has decided goes to that student whatever its IDs, to the primary set if the
   primary roster has the student, else to the second set if the second roster has. It counts as
   matched for the required rate, and in no pair's rate.
6. The rest stays unmatched, with the reason. A blank ID matches nobody. An ID that belongs to more
   than one student of a roster matches none of them, and counts in no rate.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set

from earthbeam.matching.errors import InsufficientMatches
from earthbeam.matching.inputs import InputIds
from earthbeam.matching.plan import Outcome, Plan, RowMatch
from earthbeam.matching.rates import Pair, PairRate, Trial, try_all_pairs, try_rest
from earthbeam.matching.roster import RosterStudent
from earthbeam.matching.tally import UNIQUE_ID, Holders, take_tally

DEFAULT_REQUIRED_RATE = 0.5

OpenRoster = Callable[[], Iterable[RosterStudent]]
"""Starts reading a roster from its beginning. Its exceptions, also while reading, pass through."""


def match(
    columns: Mapping[str, Sequence[str | None]],
    primary: OpenRoster,
    second: OpenRoster | None = None,
    *,
    decided: Mapping[int, str] | None = None,
    required_rate: float = DEFAULT_REQUIRED_RATE,
) -> Plan:
    """Decide each row's student and set, by the rule at the top of this module.

    ``columns`` holds the possible ID columns that the input has, each with one value per row;
    ``decided`` the studentUniqueId of rows that a person has decided, by row, counted from 0;
    ``required_rate`` is a fraction of all rows. The primary roster is read once, and again if the
    second one resolved a row. The second one is read only if rows with an ID are left. For decided
    rows, each may be read once more. Memory use grows with the input, not with the rosters.

    Raises NoIdColumns or NoRows for an unusable input, and InsufficientMatches if no pair reaches
    the required rate. No match at all is never enough, even if the required rate is 0.
    """
    decided = decided or {}
    ids = InputIds(columns, decided)
    first_trial, second_trial = _try_rosters(ids, primary, second, required_rate)
    decisive = _better(first_trial, second_trial)
    if not decisive.reaches(required_rate):
        raise _insufficient(ids, decisive, required_rate)
    best = _best(ids, decisive)
    column, id_type = best.pair

    primary_says = first_trial.tally.holders_of(id_type)
    left = ids.values(column) - primary_says.keys()
    if left and second and not second_trial:
        second_trial = try_rest(ids, best, take_tally(second(), left))
    second_says = second_trial.tally.holders_of(id_type) if second_trial else {}
    chosen = set(decided.values())
    found = {student for value in left if (student := second_says.get(value))} | chosen
    at_home = _present(primary, found)
    verdicts = _verdicts(ids.values(column), primary_says, second_says, at_home)
    away = _present(second, chosen - at_home) if second else set()

    def of_row(row: int, value: str | None) -> RowMatch:
        student = decided.get(row)
        if student is None:
            return verdicts[value] if value else _BLANK
        if student in at_home:
            return RowMatch(Outcome.PRIMARY, student)
        return RowMatch(Outcome.SECOND, student) if student in away else _UNKNOWN

    return Plan(
        winner=best.pair,
        match_rate=best.rate,
        display_type=decisive.tally.display_type(id_type),
        id_types=first_trial.tally.id_types,
        primary_rates=first_trial.rates,
        second_rates=second_trial.rates if second_trial else [],
        rows=[of_row(row, value) for row, value in enumerate(ids.columns[column])],
    )


def _try_rosters(
    ids: InputIds, primary: OpenRoster, second: OpenRoster | None, required_rate: float
) -> tuple[Trial, Trial | None]:
    """Try every pair on the primary roster and, if its best is not enough, on the second."""
    wanted = ids.values()
    first = try_all_pairs(ids, take_tally(primary(), wanted))
    if first.reaches(required_rate) or second is None or not wanted:
        return first, None
    return first, try_all_pairs(ids, take_tally(second(), wanted))


def _better(first: Trial, second: Trial | None) -> Trial:
    """Return the trial whose best pair has the higher rate; the first if they are equal."""
    return second if second and second.best_rate > first.best_rate else first


def _best(ids: InputIds, trial: Trial) -> PairRate:
    """Return the best pair; if none matched any row, the one that was tried first."""
    if trial.rates:
        return trial.rates[0]
    return PairRate(Pair(next(iter(ids.columns)), UNIQUE_ID), 0, ids.row_count)


def _insufficient(ids: InputIds, best: Trial, required_rate: float) -> InsufficientMatches:
    pair = _best(ids, best).pair
    return InsufficientMatches(
        match_rate=best.best_rate,
        match_threshold=required_rate,
        id_name=pair.column,
        id_type=best.tally.display_type(pair.id_type),
    )


def _present(roster: OpenRoster, students: Set[str]) -> set[str]:
    """Return which of the students a roster has. Reads it only if there are any to look for."""
    if not students:
        return set()
    return {student.unique_id for student in roster() if student.unique_id in students}


_BLANK = RowMatch(Outcome.BLANK)
_AMBIGUOUS = RowMatch(Outcome.AMBIGUOUS)
_UNKNOWN = RowMatch(Outcome.UNKNOWN)


def _verdicts(
    values: Set[str], primary_says: Holders, second_says: Holders, at_home: Set[str]
) -> dict[str, RowMatch]:
    """Return the result of both rosters for each ID.

    ``at_home`` are the second roster's students who are in the primary roster too.
    """
    verdicts = {}
    for value in values:
        if value in primary_says:
            student, outcome = primary_says[value], Outcome.PRIMARY
        elif value in second_says:
            student = second_says[value]
            outcome = Outcome.PRIMARY if student in at_home else Outcome.SECOND
        else:
            verdicts[value] = _UNKNOWN
            continue
        verdicts[value] = _AMBIGUOUS if student is None else RowMatch(outcome, student)
    return verdicts
