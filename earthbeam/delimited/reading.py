"""Delimited text: detect its encoding, read its rows, and write files of some of its rows.

Rows are read the way earthmover (pandas) reads them: a quoted cell may hold anything but must be
closed, blank lines and rows of empty cells are skipped, and short rows are padded.
"""

import codecs
import csv
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from earthbeam.delimited.headers import DELIMITERS, first_rows, locate

csv.field_size_limit(16 * 1024 * 1024)

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, because its mark begins with UTF-16's
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHUNK = 1024 * 1024
_END = "end of the file"
_NOT_TEXT = {
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"%PDF": "a PDF document",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "a gzip archive",
}


class BadFile(Exception):
    """The file is not delimited text as the bundle expects it. The message says what to fix.

    Messages name lines and columns, never cells: the "header" of a file without one is a student.
    """


def detect_encoding(path: Path) -> str:
    """Return the encoding of a text file: from its byte order mark, else the first valid one.

    Tries UTF-8, UTF-16 without a mark, Windows-1252, and last ISO-8859-1, in which everything is
    valid. Raises BadFile for an empty file and for one that is clearly not text.
    """
    with path.open("rb") as file:
        start = file.read(4096)
    if not start:
        raise BadFile("The file is empty: upload a file with a header and rows.")
    for mark, encoding in _BOMS:
        if start.startswith(mark):
            return encoding
    for mark, kind in _NOT_TEXT.items():
        if start.startswith(mark):
            raise BadFile(f"The file is {kind}, not delimited text: save it as CSV and try again.")
    if b"\0" in start:
        # In Western text in UTF-16, half of the bytes are NUL, always in the same position.
        even, odd = start[::2].count(0), start[1::2].count(0)
        if max(even, odd) < len(start) // 4 or min(even, odd) > len(start) // 16:
            raise BadFile("The file is binary, not delimited text: save it as CSV and try again.")
        return "utf-16-be" if even > odd else "utf-16-le"
    return next(name for name in ("utf-8", "cp1252", "iso-8859-1") if _is_valid(path, name))


def _is_valid(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        try:
            while chunk := file.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


@dataclass(frozen=True)
class DelimitedFile:
    """A delimited text file whose header is its ``header_row``-th row, counted from 1.

    ``names`` replace the header's own names, for bundles that rename columns by position.
    """

    path: Path
    encoding: str
    delimiter: str
    header_row: int = 1
    names: tuple[str, ...] | None = None

    @contextmanager
    def _reader(self) -> Iterator[Iterator[tuple[list[str], str]]]:
        with self.path.open(encoding=self.encoding, newline="") as file:
            yield self._checked(file)

    def _checked(self, file: TextIO) -> Iterator[tuple[list[str], str]]:
        """Yield each row and its text."""
        ended = False
        text = ""

        def lines() -> Iterator[str]:
            nonlocal ended, text
            for line in file:
                text += line
                yield line
            ended = True
            yield _END

        reader = csv.reader(lines(), delimiter=self.delimiter)
        begun = 1
        try:
            for row in reader:
                if ended and row == [_END]:
                    return
                if ended:  # the csv module silently reads the rest of the file as one cell
                    raise BadFile(
                        f"A quoted cell that begins in line {begun} has no end: fix the quotes"
                        " there, or save the file as CSV again."
                    )
                yield row, text
                text = ""
                begun = reader.line_num + 1
        except csv.Error:
            raise BadFile(
                f"The file cannot be read as text delimited by {_name(self.delimiter)}"
                " (a quoted cell without an end, most likely): save it as CSV and try again."
            ) from None
        except UnicodeError:
            raise BadFile(
                "The file's text is damaged (it is not valid in any known encoding):"
                " save it as CSV in UTF-8 and try again."
            ) from None

    def located(self, wanted: Collection[str]) -> "DelimitedFile":
        """Return the file with the header row and delimiter at which ``wanted`` columns are found.

        Returns itself if none of them is found.
        """
        if self.names is not None:
            return self
        with self.path.open(encoding=self.encoding, errors="replace", newline="") as file:
            rows = first_rows(file.read(_CHUNK))
        found = locate(rows, wanted, expected=self.delimiter, header_row=self.header_row)
        if found is None:
            return self
        return replace(self, delimiter=found.delimiter, header_row=found.header_row)

    def head(self) -> list[list[str]]:
        """Return the rows up to and including the header; usually just the header.

        Raises BadFile if the file ends before it.
        """
        head: list[list[str]] = []
        with self._reader() as reader:
            for row, _ in reader:
                head.append(row)
                if len(head) >= self.header_row and row:  # a blank line is not a header
                    return head
        raise BadFile("The file has no header: upload a file with a header and rows.")

    def columns(self) -> list[str]:
        """Return the columns' names as the bundle sees them. Raises BadFile."""
        header = self.head()[-1]
        if self.names is None:
            return header
        if len(self.names) != len(header):
            raise BadFile(
                f"The file has {len(header)} columns, but this assessment has {len(self.names)}:"
                " check that it is the right export."
            )
        return list(self.names)

    def rows(self) -> Iterator[list[str]]:
        """Yield the rows below the header, each with one cell per column. Raises BadFile."""
        return (row for row, _ in self.rows_and_lines())

    def rows_and_lines(self) -> Iterator[tuple[list[str], str | None]]:
        """Yield ``rows()``, each with its line, or None if its cells are not simply in a line.

        A line has no line end. With it, a row can be written again without its cells being looked
        at. Raises BadFile.
        """
        head, width = len(self.head()), len(self.columns())
        with self._reader() as reader:
            for number, (row, text) in enumerate(reader, start=1):
                if number <= head or not any(row) or (len(row) == 1 and not row[0].strip()):
                    continue
                if len(row) > width and any(row[width:]):
                    raise BadFile(
                        f"Row {number} has {len(row)} cells, but the header has {width} columns:"
                        " is a cell with a comma in it not quoted?"
                    )
                if len(row) != width:
                    yield row[:width] + [""] * (width - len(row)), None
                elif '"' in text:
                    yield row, None
                else:
                    yield row, text.rstrip("\r\n")


@contextmanager
def writing_rows(path: Path, delimiter: str, head: Iterable[list[str]]) -> Iterator["RowWriter"]:
    """Write a delimited file in UTF-8 that begins with the rows of ``head``."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = RowWriter(file, delimiter)
        for row in head:
            writer.write(row)
        yield writer


class RowWriter:
    """Appends rows, quoting cells where necessary."""

    def __init__(self, file: TextIO, delimiter: str) -> None:
        # With CR in the line end, the csv module also quotes cells that contain a CR.
        self._write = csv.writer(file, delimiter=delimiter, lineterminator="\r\n").writerow
        self._write_text = file.write
        self.rows = 0

    def write(self, row: list[str]) -> None:
        self._write(row)
        self.rows += 1

    def write_line(self, line: str) -> None:
        """Write a row as it was read: one whose cells need no quotes."""
        self._write_text(f"{line}\r\n")
        self.rows += 1


def _name(delimiter: str) -> str:
    return DELIMITERS.get(delimiter, repr(delimiter))
