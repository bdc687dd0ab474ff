"""Roster lines: students and their ids, as the ODS and EDU give them, one JSON object a line."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from earthbeam.invisible import without_invisible
from earthbeam.matching.errors import BadRosterLine


class RosterStudent(NamedTuple):
    """A student as one roster line shows them: in one education organisation, with these ids."""

    unique_id: str
    codes: tuple[tuple[str, str], ...]
    """(id type, code) in the line's order; a type may occur more than once."""


def read_roster(lines: Iterable[bytes | str]) -> Iterator[RosterStudent]:
    r"""The students of a roster's lines, one at a time; blank lines are skipped.

    So are students whose studentUniqueId is null or blank, as a warehouse may have some: nothing
    can be loaded for them, and one of them must not keep all others from being matched.

    Lines end with ``\n`` only, as a binary file's do. (``str.splitlines`` would cut an id that
    holds a Unicode line separator.)

    Raises BadRosterLine, numbered as in the file from 1, at the first line that is not a student.
    """
    for number, line in enumerate(lines, start=1):
        if line.strip() and (student := parse_roster_line(line, number)):
            yield student


def parse_roster_line(line: bytes | str, number: int) -> RosterStudent | None:
    """The student of one line (UTF-8 if bytes), or None for one whose studentUniqueId is blank.

    Raises BadRosterLine with the line's ``number``.

    Only ids are read. An id type is what follows the last ``#`` of its descriptor, all of it if it
    comes bare; code entries without a type or a code are ignored. An id that is a JSON number keeps
    the text it was written with: 38 digits stay 38 digits, and ``12.0`` does not become ``12``.
    As the student_ids package tolerates, ``studentReference`` and ``studentIdentificationCodes``
    may be strings that hold the JSON.
    """
    record = _decode(line)
    if not isinstance(record, dict):
        raise BadRosterLine(number, "is not a JSON object in UTF-8")

    reference = _unpack(record.get("studentReference"))
    if not isinstance(reference, dict) or "studentUniqueId" not in reference:
        raise BadRosterLine(number, "has no studentUniqueId")
    unique_id = reference["studentUniqueId"]
    if unique_id is None or (isinstance(unique_id, str) and not unique_id.strip()):
        return None
    if not isinstance(unique_id, str):
        raise BadRosterLine(number, "has a studentUniqueId that is neither text nor a number")

    entries = _unpack(record.get("studentIdentificationCodes"))
    if entries is None:
        return RosterStudent(unique_id, ())
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
    return RosterStudent(unique_id, tuple(codes))


_json = json.JSONDecoder(parse_int=str, parse_float=str)

_BROKEN = object()
"""Stands for text that is no JSON. Not an exception: that would carry the line into a log."""


def _decode(text: bytes | str) -> Any:
    try:
        return _json.decode(text.decode() if isinstance(text, bytes) else text)
    except (ValueError, RecursionError):
        return _BROKEN


def _unpack(value: Any) -> Any:
    """The value itself, or what a string of JSON holds; an empty string holds nothing."""
    if isinstance(value, str):
        return _decode(value) if value else None
    return value


def _id_text(value: Any) -> str | None:
    return without_invisible(value) or None if isinstance(value, str) else None
