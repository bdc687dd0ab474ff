"""The decision: which pair of ids wins, and where each row of the input goes.

The rule, in order:

1. Every pair of a possible id column and an id type is tried on the primary roster (the ODS's, or
   the only one there is). If its best pair reaches the required rate of all rows, that pair wins.
2. Otherwise every pair is tried on the whole input against the second roster (EDU's, of all years).
   Its best pair must reach the required rate; then it wins.
3. The primary roster's word on the winning pair is final: an id that it knows for one student goes
   to the primary set, an id that it knows for several is held back as ambiguous.
4. Only what the primary roster does not know is asked of the second one, on the winning pair and
   whatever the rate. Whom it resolves goes to the second set, but to the primary set if the primary
   roster has that student under another id: a student of the ODS always goes to the ODS.
5. What is left stays unmatched, with the reason. A blank id matches nobody; an id that belongs to
   several students of a roster matches none of them and counts in no rate.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set

from earthbeam.matching.errors import InsufficientMatches
from earthbeam.matching.inputs import InputIds
from earthbeam.matching.plan import Outcome, Plan, RowMatch
from earthbeam.matching.rates import Pair, Trial, try_all_pairs, try_rest
from earthbeam.matching.roster import RosterStudent
from earthbeam.matching.tally import UNIQUE_ID, Holders, take_tally

DEFAULT_REQUIRED_RATE = 0.5

OpenRoster = Callable[[], Iterable[RosterStudent]]
"""Starts reading a roster from its beginning. What it raises, also while read, passes through."""


def match(
    columns: Mapping[str, Sequence[str | None]],
    primary: OpenRoster,
    second: OpenRoster | None = None,
    *,
    required_rate: float = DEFAULT_REQUIRED_RATE,
) -> Plan:
    """Decide each row's student and set, by the rule at the top of this module.

    ``columns`` holds the possible id columns that the input has, each with one value a row;
    ``required_rate`` is a fraction of all rows. The primary roster is read once, and once more if
    the second one resolved a row; the second one is read at most once, and only if rows with an id
    are left. Memory grows with the input, not with the rosters.

    Raises NoIdColumns or NoRows for an unusable input, and InsufficientMatches if no pair reaches
    the required rate (that nothing matched at all is never enough, even if nothing is required).
    """
    ids = InputIds(columns)
    first_trial, second_trial = _try_rosters(ids, primary, second, required_rate)
    decisive = _better(first_trial, second_trial)
    if not decisive.reaches(required_rate):
        raise _insufficient(ids, decisive, required_rate)
    best = decisive.rates[0]
    column, id_type = best.pair

    primary_says = first_trial.tally.holders_of(id_type)
    left = ids.values(column) - primary_says.keys()
    if left and second and not second_trial:
        second_trial = try_rest(ids, best, take_tally(second(), left))
    second_says = second_trial.tally.holders_of(id_type) if second_trial else {}
    found = {student for value in left if (student := second_says.get(value))}
    verdicts = _verdicts(ids.values(column), primary_says, second_says, _present(primary, found))

    return Plan(
        winner=best.pair,
        match_rate=best.rate,
        display_type=decisive.tally.display_type(id_type),
        id_types=first_trial.tally.id_types,
        primary_rates=first_trial.rates,
        second_rates=second_trial.rates if second_trial else [],
        rows=[verdicts[value] if value else _BLANK for value in ids.columns[column]],
    )


def _try_rosters(
    ids: InputIds, primary: OpenRoster, second: OpenRoster | None, required_rate: float
) -> tuple[Trial, Trial | None]:
    """Every pair on the primary roster and, if its best is not enough, on the second."""
    wanted = ids.values()
    first = try_all_pairs(ids, take_tally(primary(), wanted))
    if first.reaches(required_rate) or second is None or not wanted:
        return first, None
    return first, try_all_pairs(ids, take_tally(second(), wanted))


def _better(first: Trial, second: Trial | None) -> Trial:
    """The trial whose best pair has the higher rate; the first if they are equal."""
    return second if second and second.best_rate > first.best_rate else first


def _insufficient(ids: InputIds, best: Trial, required_rate: float) -> InsufficientMatches:
    # Where nothing matched at all there is no pair to blame: name what was looked for first.
    pair = best.rates[0].pair if best.rates else Pair(next(iter(ids.columns)), UNIQUE_ID)
    return InsufficientMatches(
        match_rate=best.best_rate,
        match_threshold=required_rate,
        id_name=pair.column,
        id_type=best.tally.display_type(pair.id_type),
    )


def _present(roster: OpenRoster, students: Set[str]) -> set[str]:
    """Which of the students a roster has; it is read only if there are any to look for."""
    if not students:
        return set()
    return {student.unique_id for student in roster() if student.unique_id in students}


_BLANK = RowMatch(Outcome.BLANK)
_AMBIGUOUS = RowMatch(Outcome.AMBIGUOUS)
_UNKNOWN = RowMatch(Outcome.UNKNOWN)


def _verdicts(
    values: Set[str], primary_says: Holders, second_says: Holders, at_home: Set[str]
) -> dict[str, RowMatch]:
    """What the rosters together say of each id; ``at_home`` are the second roster's students whom
    the primary roster has too."""
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
