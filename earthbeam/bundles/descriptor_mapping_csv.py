"""Descriptor mappings as CSV: the seed's own columns, then edfi_descriptor and local_descriptor."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from earthbeam.errors import BadTable

EDFI, LOCAL = "edfi_descriptor", "local_descriptor"
MAX_BYTES = 1024 * 1024
MAX_ROWS = 10_000
MAX_CELL = 255

# Leaves out "-1" and "+ Pre-K (4 years)", which are plain text.
_FORMULA = re.compile(
    r"\s*(?:[=@\uff1d\uff20]"  # full-width ones too
    r"|[+\-\uff0b\uff0d](?!\s|[\d.,]+(?:[\s%]|$))."
    r"|[+\-\uff0b\uff0d].*(?:\w\(|\(\s*[\"']|[|!]))"
)


class BadMappings(BadTable):
    """Mappings that cannot be accepted."""


@dataclass(frozen=True)
class MappingTable:
    """Mappings of one descriptor type. A row has the cells of ``columns``, then EDFI and LOCAL."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def write(table: MappingTable) -> str:
    """Return CSV that ``read`` accepts."""
    return write_rows([(*table.columns, EDFI, LOCAL), *table.rows])


def write_rows(rows: Iterable[tuple[str, ...]]) -> str:
    """Return rows as CSV, without a header."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


def read(content: bytes | str) -> MappingTable:
    """Read mappings from a file, or from text pasted from a spreadsheet (tabs for commas).

    Skips wholly blank lines and keeps everything else as it is. Raises BadMappings with every
    problem found; then nothing is read.
    """
    text = _decoded(content) if isinstance(content, bytes) else content
    lines = _lines(text.lstrip("\ufeff"))
    _, header = next(lines, (1, []))
    columns = [name.strip() for name in header]
    if problems := list(_header_problems(columns)):
        raise BadMappings(problems)
    rows: list[tuple[str, ...]] = []
    first: dict[tuple[str, ...], int] = {}
    problems = []
    for number, cells in lines:
        row = tuple(cells)
        problems += [f"Row {number}: {found}" for found in _row_problems(row, columns)]
        # The same value may map to several descriptors, such as an assessment to several grades.
        # The same pair with two local descriptors is a mistake.
        if first.setdefault(row[:-1], number) != number:
            problems.append(f"Row {number}: it maps the same as row {first[row[:-1]]}.")
        rows.append(row)
        if len(rows) > MAX_ROWS:
            raise BadMappings([f"There are more than {MAX_ROWS:,} rows."])
    if not rows and not problems:
        problems = ["There are no rows below the header."]
    if problems:
        raise BadMappings(problems)
    return MappingTable(tuple(columns[:-2]), tuple(rows))


def _decoded(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise BadMappings([f"The file is larger than {MAX_BYTES // 1024:,} kB."])
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadMappings(
            [
                f"Row {line}: the file is not UTF-8 text. Save it as “CSV UTF-8” in your "
                "spreadsheet program, then try again."
            ]
        ) from None


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, with the number of the line each begins on."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = "\t" if "\t" in header and "," not in header else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    before = 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield before + 1, cells
            before = reader.line_num
    except csv.Error as error:
        problem = f"Row {before + 1}: quotes do not match or the cell is too long ({error})."
        raise BadMappings([problem]) from None


def _header_problems(columns: list[str]) -> Iterator[str]:
    if columns[-2:] != [EDFI, LOCAL]:
        yield f"The first row must name the columns, and end in {EDFI} and {LOCAL}."
        return
    for name in columns[:-2]:
        if not name:
            yield "The first row: a column has no name."
        elif len(name) > MAX_CELL or _has_controls(name):
            yield "The first row: a column's name is too long or has characters without a shape."
        elif is_formula(name):
            yield "The first row: a column's name begins like a formula."
    for name in sorted({name for name in columns if name and columns.count(name) > 1}):
        yield f"The first row: the column {name} occurs twice."


def _row_problems(row: tuple[str, ...], columns: list[str]) -> Iterator[str]:
    if len(row) != len(columns):
        cells = "1 cell" if len(row) == 1 else f"{len(row)} cells"
        yield f"it has {cells}, but there are {len(columns)} columns."
        return
    for name, cell in zip(columns, row, strict=True):
        if len(cell) > MAX_CELL:
            yield f"{name} is longer than {MAX_CELL} characters."
        elif _has_controls(cell):
            yield f"{name} has a line break or another character without a shape."
        elif is_formula(cell):
            yield f"{name} begins like a formula, which a spreadsheet program would calculate."
    if not row[-2].strip():
        yield f"{EDFI} is empty."


def harmless_lines(rows: Iterable[tuple[str, ...]]) -> Iterator[bytes]:
    """Yield a CSV file for spreadsheet programs, which calculate none of its cells."""
    yield b"\xef\xbb\xbf"  # They recognize UTF-8 only with a byte order mark.
    for row in rows:
        safe = tuple(f"'{cell}" if is_formula(cell) else cell for cell in row)
        yield write_rows([safe]).encode()


def is_formula(text: str) -> bool:
    """Whether a spreadsheet program that opens the export would evaluate ``text`` as a formula."""
    return _FORMULA.match(text) is not None


def _has_controls(text: str) -> bool:
    return any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in text)
