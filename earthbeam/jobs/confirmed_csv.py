"""Confirmed students as CSV: the file's column, the ID in it, and the studentUniqueId.

For districts that keep a crosswalk of their own.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import chain

from earthbeam.bundles.descriptor_mapping_csv import harmless_lines
from earthbeam.errors import BadTable
from earthbeam.jobs.confirmed_students import MOST, Confirmed, confirmed

HEADER = ("column", "id", "studentUniqueId")
ABOUT = ("tenant", "confirmedBy", "confirmedAt")
"""What an export has in addition. An import ignores these columns."""
MAX_BYTES = 20 * 1024 * 1024
_LONGEST = 200


class BadCrosswalk(BadTable):
    """A crosswalk that cannot be accepted."""


def write(rows: Iterable[tuple[str, ...]]) -> Iterator[bytes]:
    """Yield a CSV file whose rows have the cells of HEADER and ABOUT."""
    yield from harmless_lines(chain([(*HEADER, *ABOUT)], rows))


def read(content: bytes) -> list[Confirmed]:
    """Read a crosswalk. Raises BadCrosswalk with every problem found."""
    if len(content) > MAX_BYTES:
        raise BadCrosswalk([f"The file is larger than {MAX_BYTES // 1024 // 1024} MB."])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadCrosswalk(
            [
                "The file is not UTF-8 text. Save it as “CSV UTF-8” in your spreadsheet program, "
                "then try again."
            ]
        ) from None
    try:
        return _rows(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise BadCrosswalk([f"The file cannot be read as CSV ({error})."]) from None


def _rows(reader: "csv.DictReader[str]") -> list[Confirmed]:
    missing = [name for name in HEADER if name not in (reader.fieldnames or ())]
    if missing:
        raise BadCrosswalk([f"The first row must name the columns {', '.join(HEADER)}."])
    found: list[Confirmed] = []
    problems: list[str] = []
    first: dict[tuple[str, str], tuple[int, str]] = {}
    for cells in reader:
        number = reader.line_num
        values = [(cells[name] or "").strip() for name in HEADER]
        if not any(values):
            continue
        if problem := _problem(values):
            problems.append(f"Row {number}: {problem}")
            continue
        each = confirmed(*values)
        if each is None:
            problems.append(
                f"Row {number}: id is empty, or a spreadsheet program has rounded it (1.2E+09)."
            )
            continue
        earlier, student = first.setdefault((each.column, each.id), (number, each.student))
        if student != each.student:
            problems.append(f"Row {number}: row {earlier} has this ID with another student.")
        found.append(each)
        if len(found) > MOST:
            raise BadCrosswalk([f"There are more than {MOST:,} rows."])
    if problems or not found:
        raise BadCrosswalk(problems or ["There are no rows below the header."])
    return found


def _problem(values: list[str]) -> str:
    for name, value in zip(HEADER, values, strict=True):
        if not value:
            return f"{name} is empty."
        if len(value) > _LONGEST:
            return f"{name} is longer than {_LONGEST} characters."
        if not value.isprintable():
            return f"{name} has a line break or another character without a shape."
    return ""
