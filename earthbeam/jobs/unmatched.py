"""Read the rows of a run that matched no student, and write some of them with other IDs.

The run's artifact has the rows as they were in the input, quoted, below the input's own header
(earthbeam/executor/match_step.py). If it does not (the bundle changed the rows, or the executor
writes them differently), they cannot be put into a separate job: NotFixable.
"""

import csv
import hashlib
import io
import logging
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from earthbeam import paths
from earthbeam.delimited import (
    BadFile,
    DelimitedFile,
    RowWriter,
    detect_encoding,
    find_columns,
)
from earthbeam.files import FileStore, open_store
from earthbeam.models import JobFile, Run, RunMatches, UnmatchedIds
from earthbeam.stored_files import UNMATCHED_ROWS

logger = logging.getLogger(__name__)

INPUT_KEY = "INPUT_FILE"

MAX_ROWS = 2000
"""How many rows can be edited in the browser. More need a spreadsheet."""
MAX_BYTES = 20 * 1024 * 1024
_MAX_ORIGINAL = 64 * 1024 * 1024
_START = 1024 * 1024
_DELIMITERS = (",", "\t")


class NotFixable(Exception):
    """The rows cannot be edited here. The message tells a person why."""


@dataclass(frozen=True)
class Unmatched:
    """What a successful run reported about its unmatched rows.

    ``rows`` (of the input), ``blank``, and ``ambiguous`` are None if the executor did not report
    them.
    """

    count: int | None
    id_name: str
    id_type: str
    rows: int | None
    blank: int | None
    ambiguous: int | None
    disagreeing: int = 0
    """Rows whose ID leads to a student with another name and another birth date."""
    untransformable: int = 0
    """Rows that have a student, but with which the bundle fails."""

    @property
    def id_label(self) -> str:
        """The ID type as people say it: ``State ID``, ``studentUniqueId``."""
        name = self.id_type.rpartition("#")[2].strip()
        return name if name.lower().endswith("id") else f"{name} ID"

    @property
    def unknown(self) -> int | None:
        """How many rows have an ID that belongs to no student."""
        if self.count is None or self.blank is None or self.ambiguous is None:
            return None
        known = self.blank + self.ambiguous + self.disagreeing + self.untransformable
        return max(0, self.count - known)


def of_run(run: Run) -> Unmatched | None:
    """Return what the run reported, or None if it left no row unmatched."""
    matches = RunMatches.objects.filter(run=run).first()
    ids = UnmatchedIds.objects.filter(run=run).first()
    if matches is not None and matches.unmatched:
        return Unmatched(
            count=matches.unmatched,
            id_name=ids.name if ids else matches.id_name,
            id_type=ids.type if ids else matches.id_type,
            rows=matches.input_rows,
            blank=matches.blank_ids,
            ambiguous=matches.ambiguous_ids,
            disagreeing=(matches.disagreeing or 0) if matches.identity_checks == "hold" else 0,
            untransformable=matches.untransformable or 0,
        )
    if matches is None and ids is not None and ids.count != 0:
        return Unmatched(ids.count, ids.name, ids.type, None, None, None)
    return None


@dataclass(frozen=True)
class OpenFile:
    """Rows that need a person's attention, each with a cell for every column.

    ``head`` is the rows above them, the last of which is the header. ``id_place`` is the ID
    column's index; ``sha256`` is the hash of the file's bytes, in hex.
    """

    head: list[list[str]]
    rows: list[list[str]]
    delimiter: str
    id_place: int
    sha256: str

    @property
    def columns(self) -> list[str]:
        return self.head[-1]

    @property
    def id_name(self) -> str:
        return self.columns[self.id_place]

    def place_of(self, column: str) -> int | None:
        """Return the index of the column with this name, if there is one."""
        return find_columns(self.columns, [column]).get(column) if column else None

    def id_of(self, number: int) -> str:
        """Return the ID of row ``number``, counted from 1, as a form's input holds it."""
        return clean(self.rows[number - 1][self.id_place])

    def with_ids(
        self, ids: Mapping[int, str], cells: Mapping[int, Mapping[int, str]] = MappingProxyType({})
    ) -> bytes:
        """Return a file of the rows that ``ids`` numbers (from 1), in order, with the given IDs.

        ``cells`` has new values of other cells of some of them, by the index of their column. All
        else, and the head, stays as it was.
        """
        text = io.StringIO(newline="")
        writer = RowWriter(text, self.delimiter)
        for row in self.head:
            writer.write(row)
        for number in sorted(ids):
            row = list(self.rows[number - 1])
            row[self.id_place] = ids[number]
            for place, value in cells.get(number, {}).items():
                row[place] = value
            writer.write(row)
        return text.getvalue().encode()


def clean(value: str) -> str:
    """Return an ID as a form's input would send it: on one line, without space around it."""
    return value.replace("\r", "").replace("\n", "").replace("\0", "").strip()


def parse(content: bytes, id_name: str, count: int | None) -> OpenFile:
    """Read the artifact, which holds ``count`` rows (None: unknown). Raises NotFixable."""
    for delimiter in _DELIMITERS:
        try:
            text = io.StringIO(content.decode("utf-8-sig"), newline="")
            lines = list(csv.reader(text, delimiter=delimiter))
        except (UnicodeDecodeError, csv.Error):
            raise NotFixable(
                "Runway cannot read the file with the unmatched rows as a table."
            ) from None
        # All lines above the rows are the input's head. Its last row names the columns.
        above = 1 if count is None else len(lines) - count
        if not 1 <= above <= len(lines):
            continue
        places = find_columns(lines[above - 1], [id_name])
        if not places:
            continue
        head, rows = lines[:above], lines[above:]
        if any(len(row) != len(head[-1]) for row in rows):
            raise NotFixable(
                "Some of the unmatched rows have more or fewer cells than the header has columns, "
                "so IDs could end up in the wrong column."
            )
        sha256 = hashlib.sha256(content).hexdigest()
        return OpenFile(head, rows, delimiter, places[id_name], sha256)
    raise NotFixable(
        f"The column {id_name} is not in the header of the uploaded file. This assessment renames "
        "its columns when it reads them."
    )


def read(run: Run, found: Unmatched) -> OpenFile:
    """Return the rows that a successful run left unmatched. Raises NotFixable."""
    if found.count is not None and found.count > MAX_ROWS:
        raise NotFixable(
            f"There are {found.count:,} unmatched rows; more than {MAX_ROWS:,} are easier to fix "
            "in a spreadsheet."
        )
    file = read_all(run, found)
    if len(file.rows) > MAX_ROWS:
        raise NotFixable(f"More than {MAX_ROWS:,} rows are easier to fix in a spreadsheet.")
    return file


def check_kept(run: Run) -> None:
    """Raise NotFixable if the rows of the job's file were destroyed."""
    if run.job.input_destroyed_at:
        raise NotFixable("These rows were destroyed, since they had been kept long enough.")


def read_all(run: Run, found: Unmatched) -> OpenFile:
    """Return the rows, however many they are. Raises NotFixable."""
    if "," in found.id_name:
        raise NotFixable("The ID column has a comma in its name.")
    stored = run.output_files.filter(path=UNMATCHED_ROWS).first()
    check_kept(run)
    if stored is None:
        raise NotFixable("The run did not save its unmatched rows. Run the job again.")
    if stored.size > MAX_BYTES:
        raise NotFixable("The file with the unmatched rows is too large to edit in the browser.")
    store = open_store(paths.app_data_base_path(run.job))
    try:
        with store.open(f"output/{UNMATCHED_ROWS}") as stream:
            content = stream.read(MAX_BYTES + 1)
        file = parse(content, found.id_name, found.count)
        if _head_of_input(run, store, file) != file.head:
            raise NotFixable(
                "This assessment's file is not a plain table with one header, so single rows "
                "cannot be loaded in its format."
            )
    except FileNotFoundError:
        raise NotFixable(
            "The file with the unmatched rows is no longer stored. Run the job again."
        ) from None
    except OSError as error:
        logger.warning("unmatched rows of run %s cannot be read: %s", run.pk, type(error).__name__)
        raise NotFixable("The job's files cannot be read right now. Try again later.") from error
    return file


def check_original(run: Run, file: OpenFile, numbers: Iterable[int]) -> None:
    """Verify that the rows are the input's own, cell by cell, or raise NotFixable.

    The header may be the input's even if the bundle changed the rows below it. Skips inputs above
    64 MB.
    """
    entry = _input(run)
    if entry is None or (entry.size or 0) > _MAX_ORIGINAL:
        return
    wanted = {tuple(file.rows[number - 1]) for number in numbers}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input"
        try:
            store = open_store(paths.app_data_base_path(run.job))
            store.download(f"input/{entry.stored_name}", path)
            source = DelimitedFile(path, detect_encoding(path), file.delimiter, len(file.head))
            for row in source.located([file.id_name]).rows():
                wanted.discard(tuple(row))
        except (OSError, BadFile):
            raise NotFixable("The job's input file cannot be read right now. Try again.") from None
    if wanted:
        raise NotFixable(
            "The unmatched rows differ from those in the uploaded file, because this assessment "
            "changes rows when it reads them."
        )


def _input(run: Run) -> JobFile | None:
    return run.job.files.filter(template_key=INPUT_KEY).first()


def _head_of_input(run: Run, store: FileStore, file: OpenFile) -> list[list[str]] | None:
    """Return the last rows of the input's head: as many as the unmatched rows have above them."""
    entry = _input(run)
    if entry is None:
        return None
    with store.open(f"input/{entry.stored_name}") as stream:
        start = stream.read(_START)
    # Whole lines only, so that no character is split.
    start = start[: start.rfind(b"\n") + 1] if len(start) == _START else start
    with tempfile.NamedTemporaryFile() as kept:
        kept.write(start)
        kept.flush()
        path = Path(kept.name)
        try:
            source = DelimitedFile(path, detect_encoding(path), file.delimiter, len(file.head))
            return source.located([file.id_name]).head()[-len(file.head) :]
        except BadFile:
            return None
