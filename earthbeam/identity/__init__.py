"""Say who a student is by name and birth date, where the ID does not.

Pure: no files, no HTTP, no Django. ``learn`` finds the columns that hold names and birth dates,
``disagrees`` guards rows whose ID leads to another student, and ``Suggester`` finds students for
rows that have none, by damaged IDs (``repairs.py``) and by name and birth date (``score.py``).
docs/identity.md has the rules and figures.
"""

from earthbeam.identity.columns import LOOKED_AT, PersonColumns, learn
from earthbeam.identity.damage import REPAIRABLE, Damage, find_damage, repair
from earthbeam.identity.guard import confirms, disagrees, too_many_disagree
from earthbeam.identity.people import PARTS, UNKNOWN_PERSON, Person, from_record
from earthbeam.identity.repairs import has_lost_digits
from earthbeam.identity.suggestions import OpenRow, RosterPerson, Suggester, Suggestion

__all__ = [
    "LOOKED_AT",
    "PARTS",
    "REPAIRABLE",
    "UNKNOWN_PERSON",
    "Damage",
    "OpenRow",
    "Person",
    "PersonColumns",
    "RosterPerson",
    "Suggester",
    "Suggestion",
    "confirms",
    "disagrees",
    "find_damage",
    "from_record",
    "has_lost_digits",
    "learn",
    "repair",
    "too_many_disagree",
]
