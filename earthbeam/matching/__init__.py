"""Match IDs to students: which row of an input file is which student in the rosters.

Pure: no files, no HTTP, no Django. ``match`` takes the input's possible ID columns and its rosters
(``read_roster`` reads their lines), and returns a ``Plan``. ``decision.py`` explains the rule.
"""

from earthbeam.matching.decision import DEFAULT_REQUIRED_RATE, OpenRoster, match
from earthbeam.matching.errors import (
    BadRosterLine,
    InsufficientMatches,
    MatchingError,
    NoIdColumns,
    NoRows,
)
from earthbeam.matching.inputs import normalize
from earthbeam.matching.plan import Outcome, Plan, RowMatch
from earthbeam.matching.rates import Pair, PairRate
from earthbeam.matching.roster import RosterStudent, read_roster
from earthbeam.matching.tally import UNIQUE_ID, Tally, held_ids, take_tally

__all__ = [
    "DEFAULT_REQUIRED_RATE",
    "UNIQUE_ID",
    "BadRosterLine",
    "InsufficientMatches",
    "MatchingError",
    "NoIdColumns",
    "NoRows",
    "OpenRoster",
    "Outcome",
    "Pair",
    "PairRate",
    "Plan",
    "RosterStudent",
    "RowMatch",
    "Tally",
    "held_ids",
    "match",
    "normalize",
    "read_roster",
    "take_tally",
]
