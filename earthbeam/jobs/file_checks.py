"""Check an input file by its first bytes and its size: pure functions, no I/O.

The new-job page checks before the upload, and the same functions decide when the file is submitted.
They never raise, whatever the bytes. They find encodings and headers the way the executor does
(earthbeam/delimited), so that a file is accepted here only if the executor can read it, and refused
only if it cannot.
"""

import codecs
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from earthbeam import errors
from earthbeam.delimited import DELIMITERS, Location, find_columns, first_rows, locate

HEAD_BYTES = 256 * 1024
"""How much of a file's beginning is checked."""

# A file's first bytes, the words for it, and the file types for which it is valid, from the
# formats' specifications. Current office formats are zip archives; those before 2007 are OLE files.
_SIGNATURES: tuple[tuple[bytes, str, frozenset[str]], ...] = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive", frozenset({"xlsx", "zip", "ods"})),
    (b"PK\x05\x06", "an empty zip archive", frozenset({"zip"})),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook", frozenset({"xls"})),
    (b"%PDF", "a PDF document", frozenset({"pdf"})),
    (b"\x1f\x8b", "a gzip archive", frozenset({"gz"})),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", frozenset({"7z"})),
    (b"Rar!\x1a\x07", "a RAR archive", frozenset({"rar"})),
    (b"\x89PNG\r\n\x1a\n", "a picture", frozenset({"png"})),
    (b"\xff\xd8\xff", "a picture", frozenset({"jpg", "jpeg"})),
    (b"GIF87a", "a picture", frozenset({"gif"})),
    (b"GIF89a", "a picture", frozenset({"gif"})),
    (b"II*\x00", "a picture", frozenset({"tif", "tiff"})),
    (b"MM\x00*", "a picture", frozenset({"tif", "tiff"})),
    (b"{\\rtf", "a text-processor document", frozenset({"rtf"})),
    (b"PAR1", "a Parquet file", frozenset({"parquet"})),
    (b"SQLite format 3\x00", "a database", frozenset({"sqlite", "db"})),
    (b"MZ\x90\x00", "a program", frozenset({"exe"})),
    (b"\x7fELF", "a program", frozenset()),
)
# The same for text, in lower case, after leading blanks.
_MARKUP: tuple[tuple[str, str, frozenset[str]], ...] = (
    ("<!doctype html", "a web page", frozenset({"html", "htm"})),
    ("<html", "a web page", frozenset({"html", "htm"})),
    ("<head", "a web page", frozenset({"html", "htm"})),
    ("<body", "a web page", frozenset({"html", "htm"})),
    ("<?xml", "an XML document", frozenset({"xml"})),
    ('{"', "JSON", frozenset({"json", "jsonl"})),
    ("[{", "JSON", frozenset({"json"})),
)
_BINARY = "binary, not text"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, because its mark begins with UTF-16's
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ENCODING_NAMES = {
    "utf-8-sig": "UTF-8",
    "utf-8": "UTF-8",
    "utf-32": "UTF-32",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "cp1252": "Windows-1252",
    "iso-8859-1": "ISO-8859-1",
}
_USUAL = ",\t"


@dataclass(frozen=True)
class Expected:
    """What a bundle expects of one of its files.

    ``id_columns`` are the columns that may hold student IDs. If empty, they are unknown and not
    checked.
    """

    key: str
    file_types: Sequence[str] = ()
    id_columns: Sequence[str] = ()


@dataclass(frozen=True)
class Findings:
    """The result of checking a file. Texts are for people.

    ``refusals`` keep the file from being loaded. ``warnings`` and ``notes`` do not, and a note
    needs no action. ``encoding`` is the name people know it by, or None if the file is not text.
    """

    refusals: tuple[errors.JobError, ...] = ()
    warnings: tuple[str, ...] = ()
    encoding: str | None = None
    notes: tuple[str, ...] = ()


def check(head: bytes, size: int, expected: Expected, *, limit: int) -> Findings:
    """Check a file of ``size`` bytes that begins with ``head``.

    ``head`` is the whole file or at least its first HEAD_BYTES; ``limit`` is the largest accepted
    size, in bytes.
    """
    key = expected.key
    if size > limit:
        return Findings((errors.FileTooLarge(key, limit=limit),))
    if size <= 0 or not head:
        return Findings((errors.EmptyFile(key),))
    head = head[:HEAD_BYTES]
    kinds = {kind.lower().lstrip(".") for kind in expected.file_types}
    if found := _signature(head):
        words, fine_for = found
        return Findings() if fine_for & kinds else _refuse(key, words)
    whole = size <= len(head)
    encoding = _encoding(head, whole)
    if encoding is None:
        return _refuse(key, _BINARY)
    text = _text(head, encoding)
    if found := _markup(text):
        words, fine_for = found
        return Findings() if fine_for & kinds else _refuse(key, words)
    name = _ENCODING_NAMES[encoding]
    rows = _lines_with_content(text, at_most=2)
    if whole and rows == 0:
        return Findings((errors.EmptyFile(key),), encoding=name)
    header, notes = _about_header(text, expected.id_columns, kinds)
    warnings = [header] if header else []
    if whole and rows == 1:
        if "txt" not in kinds:  # a line of a fixed-width file may be a student
            return Findings((errors.OnlyAHeader(key),), encoding=name)
        warnings.append("The file has only one line. Check that it is complete.")
    return Findings((), tuple(warnings), name, notes)


def has_column(head: bytes, name: str) -> bool:
    """Whether the header of a file that begins with ``head`` has the column ``name``."""
    encoding = _encoding(head, whole=len(head) < HEAD_BYTES)
    rows = first_rows(_text(head, encoding)) if encoding else {}
    return locate(rows, [name], expected=_USUAL[0]) is not None


def _refuse(key: str, words: str) -> Findings:
    return Findings((errors.WrongFileType(key, kind=words),))


def _signature(head: bytes) -> tuple[str, frozenset[str]] | None:
    for start, words, fine_for in _SIGNATURES:
        if head.startswith(start):
            return words, fine_for
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a picture", frozenset({"webp"})
    if head[4:8] == b"ftyp":
        return "a picture or video", frozenset({"heic", "mp4", "mov"})
    return None


def _markup(text: str) -> tuple[str, frozenset[str]] | None:
    start = text[:1000].lstrip().lower()
    for tag, words, fine_for in _MARKUP:
        if start.startswith(tag):
            return words, fine_for
    return None


def _encoding(head: bytes, whole: bool) -> str | None:
    """Return the encoding: by its mark, or else the first valid one. None if it is not text."""
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    start = head[:4096]
    if b"\0" in start:
        # In Western text in UTF-16, half of the bytes are NUL, always in the same position.
        even, odd = start[::2].count(0), start[1::2].count(0)
        if max(even, odd) < len(start) // 4 or min(even, odd) > len(start) // 16:
            return None
        return "utf-16-be" if even > odd else "utf-16-le"
    return next(name for name in ("utf-8", "cp1252", "iso-8859-1") if _is_valid(head, name, whole))


def _is_valid(head: bytes, encoding: str, whole: bool) -> bool:
    try:  # the head of a longer file may end inside a character
        codecs.getincrementaldecoder(encoding)().decode(head, final=whole)
    except UnicodeDecodeError:
        return False
    return True


def _text(head: bytes, encoding: str) -> str:
    return codecs.getincrementaldecoder(encoding)(errors="replace").decode(head)


def _lines_with_content(text: str, at_most: int) -> int:
    """Count lines that hold more than blanks and delimiters, up to ``at_most``."""
    found = 0
    for line in text.splitlines():
        if line.strip(' \t,;|"'):
            found += 1
            if found == at_most:
                break
    return found


def _about_header(
    text: str, id_columns: Sequence[str], kinds: Collection[str]
) -> tuple[str | None, tuple[str, ...]]:
    """Return what is wrong with the header, if anything, and notes about it.

    Names only the bundle's columns, never a cell of the file: the "header" of a file without one is
    a student.
    """
    if not id_columns:
        return None, ()
    rows = first_rows(text)
    usual = "," if set(kinds) == {"csv"} else _USUAL
    found = next(filter(None, (_locate(rows, id_columns, each) for each in usual)), None)
    if found is None:
        found = locate(rows, id_columns, expected=usual[0])
    if found is not None:
        header = rows[found.delimiter][found.header_row - 1]
        places = find_columns(header, id_columns)
        return None, tuple(_notes(places, id_columns, found, usual))
    for row in itertools.chain.from_iterable(rows.values()):
        if near := _near(row, id_columns):
            return (
                "The column for student IDs is spelled differently from what this assessment "
                f"expects: {near}. Its students may not be matched."
            ), ()
    return (
        "The header has none of the columns that hold student IDs for this assessment: "
        f"{', '.join(id_columns)}. Check that it is this assessment's export, with its header."
    ), ()


def _locate(
    rows: dict[str, list[list[str]]], id_columns: Sequence[str], delimiter: str
) -> Location | None:
    return locate({delimiter: rows[delimiter]}, id_columns, expected=delimiter)


def _notes(
    places: Mapping[str, int], id_columns: Sequence[str], found: Location, usual: str
) -> Iterator[str]:
    """Yield what is unusual about a header that has some of the columns."""
    if found.delimiter not in usual:
        yield (
            f"The columns are separated by {DELIMITERS[found.delimiter]} instead of "
            f"{DELIMITERS[usual[0]]}. Runway reads them that way."
        )
    if missing := [name for name in id_columns if name not in places]:
        yield (
            f"The file has no column named {' or '.join(missing)}. Runway takes student IDs from "
            f"{' or '.join(places)}."
        )


def _near(row: Iterable[str], id_columns: Sequence[str]) -> str | None:
    """Return the ID column that ``row`` has except for case, blanks, and punctuation."""

    def plain(name: str) -> str:
        return "".join(char for char in name.casefold() if char.isalnum())

    cells = {plain(cell) for cell in row}
    return next((name for name in id_columns if plain(name) and plain(name) in cells), None)
