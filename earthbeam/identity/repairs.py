"""What spreadsheets and people do to IDs, tried backwards.

Two IDs that differ only by such damage have the same canonical form. Whether a repair is right is
not decided here: it is a suggestion, and counts only if it leads to one student.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Literal

from earthbeam.invisible import without_invisible

Kind = Literal[
    "formula",
    "apostrophe",
    "full_width",
    "separators",
    "decimals",
    "scientific",
    "case",
    "punctuation",
    "leading_zeros",
    "other_type",
    "other_column",
]
"""``punctuation``: hyphens and blanks inside. The last two are no damage: the ID is intact, but of
another type, or in another column, than those that match most rows."""

_FORMULA = re.compile(r'=?"(.*)"')
_SEPARATORS = re.compile(r"\d{1,3}(?:,\d{3})+(\.\d*)?")
_DECIMALS = re.compile(r"(\d+)\.0*")
_SCIENTIFIC = re.compile(r"(\d)(?:[.,](\d+))?[eE]\+?(\d{1,2})")
_PUNCTUATION = re.compile(r"[\s\-\u2010-\u2015_]+")


def canonical(value: str) -> str:
    """Return the form in which a damaged ID and the intact one are equal."""
    if value.isascii() and value.isalnum():  # as most of a roster: nothing else can be repaired
        if value.isdigit():
            return value.lstrip("0") or "0"
        if not _SCIENTIFIC.fullmatch(value):
            return value.lower()
    for _, repair in _STAGES:
        value = repair(value)
    return _without_zeros(value)


def kind_of(damaged: str, intact: str) -> Kind | None:
    """Return what was done to an ID, of two with the same canonical form; None if nothing.

    If more than one thing was, the one that is undone last.
    """
    kind: Kind | None = None
    for stage, repair in _STAGES:
        if damaged == intact:
            return kind
        repaired = repair(damaged)
        if stage in ("case", "punctuation"):  # of which the intact one may have some, too
            intact = repair(intact)
            kind = stage if repaired == intact else kind
        elif repaired != damaged:
            kind = stage
        damaged = repaired
    return kind if damaged == intact else "leading_zeros"


def has_lost_digits(value: str) -> bool:
    """Whether an ID is a number that a spreadsheet has rounded, so that it cannot be restored."""
    found = _SCIENTIFIC.fullmatch(without_invisible(value))
    return found is not None and len(found[2] or "") < int(found[3])


def _formula(value: str) -> str:
    found = _FORMULA.fullmatch(value)
    return found[1] if found else value


def _full_width(value: str) -> str:
    return without_invisible(unicodedata.normalize("NFKC", value))


def _separators(value: str) -> str:
    return value.replace(",", "") if _SEPARATORS.fullmatch(value) else value


def _decimals(value: str) -> str:
    found = _DECIMALS.fullmatch(value)
    return found[1] if found else value


def _scientific(value: str) -> str:
    found = _SCIENTIFIC.fullmatch(value)
    if found is None or has_lost_digits(value):
        return value
    digits, exponent = found[1] + (found[2] or ""), int(found[3])
    whole, rest = digits[: exponent + 1], digits[exponent + 1 :]
    return value if rest.strip("0") else whole


def _without_zeros(value: str) -> str:
    return value.lstrip("0") or "0" if value.isascii() and value.isdigit() else value


_STAGES: tuple[tuple[Kind, Callable[[str], str]], ...] = (
    ("full_width", _full_width),
    ("formula", _formula),
    ("apostrophe", lambda value: value.lstrip("'`\N{RIGHT SINGLE QUOTATION MARK}")),
    ("separators", _separators),
    ("decimals", _decimals),
    ("scientific", _scientific),
    ("case", str.casefold),
    ("punctuation", lambda value: _PUNCTUATION.sub("", value)),
)
