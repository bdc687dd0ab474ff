"""The rows of the file whose records the ODS refused, to be corrected and loaded again.

The executor's list of refused records (contract section 12) leads to them. A record of a student
may come from several rows, which are then loaded again together.
"""

import hashlib
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

import orjson

from earthbeam import paths
from earthbeam.delimited import BadFile, DelimitedFile, RowWriter, detect_encoding, find_columns
from earthbeam.files import open_store
from earthbeam.jobs.unmatched import (
    INPUT_KEY,
    MAX_BYTES,
    MAX_ROWS,
    NotFixable,
    OpenFile,
    check_kept,
)
from earthbeam.models import Run, RunMatches
from earthbeam.stored_files import REFUSED_RECORDS


@dataclass(frozen=True)
class Entry:
    """Rows of one student, by number in ``RefusedRows.file`` from 1, and what the ODS said."""

    numbers: tuple[int, ...]
    messages: tuple[str, ...]


@dataclass(frozen=True)
class RefusedRows:
    """``places`` are the rows' numbers in the uploaded file, from 1. ``elsewhere`` counts records
    that are about no row, such as assessments."""

    file: OpenFile
    places: tuple[int, ...]
    entries: tuple[Entry, ...]
    elsewhere: int


def read(run: Run) -> RefusedRows:
    """Return the rows whose records the ODS has refused last. Raises NotFixable, and OSError."""
    messages, elsewhere = _messages(run)
    places = sorted({row for rows in messages for row in rows})
    if not places:
        raise NotFixable("None of the records that the ODS refused is about a row of the file.")
    if len(places) > MAX_ROWS:
        raise NotFixable(
            f"The ODS refused records of {len(places):,} rows; more than {MAX_ROWS:,} are easier "
            "to fix in a spreadsheet."
        )
    file = _rows_of_input(run, places)
    numbers = {place: number for number, place in enumerate(places, start=1)}
    entries = (
        Entry(tuple(numbers[place] for place in rows), tuple(said))
        for rows, said in sorted(messages.items())
    )
    return RefusedRows(file, tuple(places), tuple(entries), elsewhere)


def _messages(run: Run) -> tuple[dict[tuple[int, ...], list[str]], int]:
    """Return what the ODS said about each group of rows, and how many records are of no row."""
    stored = run.output_files.filter(path=REFUSED_RECORDS).first()
    check_kept(run)
    if stored is None:
        raise NotFixable("The run did not keep which records the ODS refused.")
    if stored.size > MAX_BYTES:
        raise NotFixable("The ODS refused too many records to show them here.")
    try:
        store = open_store(paths.app_data_base_path(run.job))
        with store.open(f"output/{REFUSED_RECORDS}") as file:
            lines = [orjson.loads(line) for line in file.read(MAX_BYTES + 1).splitlines()]
        messages: dict[tuple[int, ...], list[str]] = {}
        elsewhere = 0
        for line in lines:
            rows, said = tuple(sorted(int(row) for row in line["rows"])), str(line["message"])
            elsewhere += not rows
            if rows and said not in (of := messages.setdefault(rows, [])):
                of.append(said)
    except FileNotFoundError:
        raise NotFixable("The list of refused records is no longer stored.") from None
    except (ValueError, KeyError, TypeError):
        raise NotFixable("The list of refused records cannot be read.") from None
    return messages, elsewhere


def _rows_of_input(run: Run, places: list[int]) -> OpenFile:
    matches = RunMatches.objects.filter(run=run).first()
    entry = run.job.files.filter(template_key=INPUT_KEY).first()
    if matches is None or entry is None:
        raise NotFixable("The run did not report how it matched the rows.")
    wanted = set(places)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input"
        try:
            store = open_store(paths.app_data_base_path(run.job))
            store.download(f"input/{entry.stored_name}", path)
            source = DelimitedFile(path, detect_encoding(path), ",").located([matches.id_name])
            head = source.head()
            found = find_columns(head[-1], [matches.id_name])
            rows = [row for place, row in enumerate(source.rows(), start=1) if place in wanted]
        except FileNotFoundError:
            raise NotFixable("The uploaded file is no longer stored.") from None
        except BadFile:
            found, rows = {}, []
    if not found or len(rows) != len(places):
        raise NotFixable(
            "This assessment's file is not a plain table with one header, so single rows cannot be "
            "loaded in its format."
        )
    content = io.StringIO(newline="")
    writer = RowWriter(content, source.delimiter)
    for row in (*head, *rows):
        writer.write(row)
    sha256 = hashlib.sha256(content.getvalue().encode()).hexdigest()
    return OpenFile(head, rows, source.delimiter, found[matches.id_name], sha256)
