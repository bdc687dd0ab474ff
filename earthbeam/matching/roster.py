"""Roster lines: students and their IDs from the ODS and EDU, one JSON object per line."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from earthbeam.invisible import without_invisible
from earthbeam.matching.errors import BadRosterLine


class RosterStudent(NamedTuple):
    """A student as one roster line shows them: in one education organization, with these IDs."""

    unique_id: str
    codes: tuple[tuple[str, str], ...]
    """(ID type, code) in the line's order. A type may occur more than once."""
    names: Any = None
    """The line's ``student``, as it is: the names and the birth date, if the roster has them."""


_Decode = Callable[[bytes | str], Any]
"""Decodes JSON: orjson, which takes a third of the time, or ``_exact``."""

_BROKEN = object()
"""Stands for text that is not JSON. Not an exception: that would carry the line into a log."""

_json = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=lambda name: _BROKEN)


class _NumberLosesItsText(Exception):
    """An ID is a JSON number, whose text only ``_exact`` keeps."""


def _exact(text: bytes | str) -> Any:
    """Decode with numbers as the text that they are written with."""
    try:
        return _json.decode(text.decode() if isinstance(text, bytes) else text)
    except (ValueError, RecursionError):
        return _BROKEN


def read_roster(lines: Iterable[bytes | str]) -> Iterator[RosterStudent]:
    r"""Yield the students of a roster's lines. Skips blank lines.

    Also skips students whose studentUniqueId is null or blank, which a warehouse may contain:
    nothing can be loaded for them, and one of them must not keep all others from being matched.

    Lines end with ``\n`` only, as in a binary file. (``str.splitlines`` would cut an ID that
    contains a Unicode line separator.)

    Raises BadRosterLine at the first line that is not a student, with its number, counted from 1.
    """
    for number, line in enumerate(lines, start=1):
        if line.strip() and (student := parse_roster_line(line, number)):
            yield student


def parse_roster_line(line: bytes | str, number: int) -> RosterStudent | None:
    """Return the student of one line (UTF-8 if bytes), or None if its studentUniqueId is blank.

    Raises BadRosterLine with the line's ``number``.

    Reads only IDs. An ID type is the part of its descriptor after the last ``#``, or all of it if
    there is none. Code entries without a type or a code are ignored. An ID that is a JSON number
    keeps its original text: 38 digits stay 38 digits, and ``12.0`` does not become ``12``. Like the
    student_ids package, accepts ``studentReference`` and ``studentIdentificationCodes`` as strings
    that contain the JSON.
    """
    try:
        return _student(line, number, orjson.loads)
    except (orjson.JSONDecodeError, _NumberLosesItsText):
        pass
    # Outside of a handler, so that no exception carries the line with it.
    return _student(line, number, _exact)


def _student(line: bytes | str, number: int, decode: _Decode) -> RosterStudent | None:
    record = decode(line)
    if not isinstance(record, dict):
        raise BadRosterLine(number, "is not a JSON object in UTF-8")

    reference = _unpack(record.get("studentReference"), decode)
    if not isinstance(reference, dict) or "studentUniqueId" not in reference:
        raise BadRosterLine(number, "has no studentUniqueId")
    unique_id = reference["studentUniqueId"]
    if unique_id is None or (isinstance(unique_id, str) and not unique_id.strip()):
        return None
    if not isinstance(unique_id, str):
        _refuse_numbers(unique_id)
        raise BadRosterLine(number, "has a studentUniqueId that is neither text nor a number")

    entries = _unpack(record.get("studentIdentificationCodes"), decode)
    if entries is None:
        return RosterStudent(unique_id, (), record.get("student"))
    if not isinstance(entries, list):
        raise BadRosterLine(number, "has studentIdentificationCodes that are not a list")
    codes = []
    for entry in entries:
        if isinstance(entry, dict):
            descriptor = _id_text(entry.get("studentIdentificationSystemDescriptor"))
            code = _id_text(entry.get("identificationCode"))
            if descriptor and code:
                id_type = descriptor.rpartition("#")[2]
                if id_type:
                    codes.append((id_type, code))
    return RosterStudent(unique_id, tuple(codes), record.get("student"))


def _unpack(value: Any, decode: _Decode) -> Any:
    """Return the value itself, or the decoded content if it is a JSON string. None if empty."""
    if isinstance(value, str):
        return decode(value) if value else None
    return value


def _id_text(value: Any) -> str | None:
    if isinstance(value, str):
        return without_invisible(value) or None
    _refuse_numbers(value)
    return None


def _refuse_numbers(value: Any) -> None:
    if type(value) in (int, float):
        raise _NumberLosesItsText
