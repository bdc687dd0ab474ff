"""Birth dates as files write them, and how much two of them have in common."""

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from earthbeam.identity.names import Level

Date = tuple[int, int, int]
"""Year, month, day."""

_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_TIME = r"(?:[T ]+\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s*(?:[ap]\.?m\.?)?\s*(?:Z|[+-]\d{2}:?\d{2})?)?"
_FORMS = re.IGNORECASE | re.ASCII
_ISO = re.compile(rf"(\d{{4}})[-/.](\d{{1,2}})[-/.](\d{{1,2}}){_TIME}", _FORMS)
_PARTS = re.compile(rf"(\d{{1,2}})[-/. ](\d{{1,2}})[-/. ](\d{{4}}|\d{{2}}){_TIME}", _FORMS)
_DAY_NAME = re.compile(rf"(\d{{1,2}})[-/. ]*([a-z]{{3,9}})[-/., ]*(\d{{4}}|\d{{2}}){_TIME}", _FORMS)
_NAME_DAY = re.compile(rf"([a-z]{{3,9}})[-/. ]*(\d{{1,2}})[-/., ]+(\d{{4}}|\d{{2}}){_TIME}", _FORMS)
_EIGHT = re.compile(r"(\d{8})(?:\.0)?", _FORMS)
_SERIAL = re.compile(r"(\d{5})(?:\.0)?", _FORMS)
_EPOCH = date(1899, 12, 30)
"""Day 0 of a spreadsheet's dates."""
_OLDEST = 1900


@lru_cache(maxsize=1 << 14)
def read(text: str, day_first: bool = False) -> Date | None:
    """Return the date that a cell holds, or None if it holds none.

    Reads ISO and US forms, with or without a time, month names, eight digits, and a spreadsheet's
    day number. ``day_first`` is for files that write the day before the month; a date that is
    possible only the other way is read that way. Years of two digits are of the past 100 years.
    """
    text = text.strip()
    if found := _ISO.fullmatch(text):
        return _date(int(found[1]), int(found[2]), int(found[3]))
    if found := _PARTS.fullmatch(text):
        return _in_order(int(found[1]), int(found[2]), _year(found[3]), day_first)
    if found := _DAY_NAME.fullmatch(text):
        return _named(found[3], found[2], found[1])
    if found := _NAME_DAY.fullmatch(text):
        return _named(found[3], found[1], found[2])
    if found := _EIGHT.fullmatch(text):
        digits = found[1]
        as_iso = _date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
        return as_iso or _in_order(int(digits[:2]), int(digits[2:4]), int(digits[4:]), day_first)
    if (found := _SERIAL.fullmatch(text)) and 20_000 <= int(found[1]) <= 60_000:
        day = _EPOCH + timedelta(days=int(found[1]))
        return _date(day.year, day.month, day.day)
    return None


def compare(one: Date | None, other: Date | None) -> Level | None:
    """Return how much two dates have in common, or None if one is missing.

    Close are those with day and month swapped, with one digit wrong, or with two neighboring
    digits swapped.
    """
    if one is None or other is None:
        return None
    if one == other:
        return "same"
    if one[0] == other[0] and one[1:] == other[:0:-1]:
        return "close"
    a, b = _digits(one), _digits(other)
    wrong = [place for place in range(8) if a[place] != b[place]]
    if len(wrong) == 1:
        return "close"
    if len(wrong) == 2 and wrong[1] - wrong[0] == 1:
        first, second = wrong
        if a[first] == b[second] and a[second] == b[first]:
            return "close"
    return "different"


def text_of(day: Date) -> str:
    """Return the date in ISO form."""
    return f"{day[0]:04}-{day[1]:02}-{day[2]:02}"


def _digits(day: Date) -> str:
    return f"{day[0]:04}{day[1]:02}{day[2]:02}"


def _named(year: str, month: str, day: str) -> Date | None:
    number = _MONTHS.get(month[:3].lower())
    return _date(_year(year), number, int(day)) if number else None


def _in_order(one: int, two: int, year: int, day_first: bool) -> Date | None:
    month, day = (two, one) if day_first else (one, two)
    return _date(year, month, day) or _date(year, day, month)


def _year(text: str) -> int:
    year, now = int(text), _this_year()
    if len(text) == 4:
        return year
    century = now - now % 100
    return century + year if century + year <= now else century - 100 + year


def _this_year() -> int:
    return datetime.now(UTC).year


def _date(year: int, month: int, day: int) -> Date | None:
    if not _OLDEST <= year <= _this_year():
        return None
    try:
        date(year, month, day)
    except ValueError:
        return None
    return year, month, day
