"""What people have decided: to which student a row belongs, and whom an ID stands for.

The app writes both into the job's ``input/`` (contract section 11). Neither reaches a bundle.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from earthbeam.delimited import find_columns
from earthbeam.executor.errors import StepFailed
from earthbeam.executor.job import Job, invalid
from earthbeam.executor.workspace.folders import Workspace
from earthbeam.files import FileStore
from earthbeam.matching import normalize

_MOST = 1_000_000
"""Lines of a file. What people decide has thousands."""

ConfirmedStudents = Mapping[str, Mapping[str, str]]
"""The studentUniqueId of each ID, by the column that it stands in."""


@dataclass(frozen=True)
class Decisions:
    """``rows`` are the students of rows, counted from 0; ``confirmed`` those of IDs."""

    rows: Mapping[int, str] = field(default_factory=dict)
    confirmed: ConfirmedStudents = field(default_factory=dict)


def fetch_decisions(job: Job, store: FileStore, workspace: Workspace) -> Decisions:
    """Return what people have decided for the job.

    Raises StepFailed: input_s3_download, or invalid_job if a file is not as the contract says.
    """
    return Decisions(
        _fetch_decided_rows(job, store, workspace), _fetch_confirmed_students(job, store, workspace)
    )


def _fetch_decided_rows(job: Job, store: FileStore, workspace: Workspace) -> dict[int, str]:
    """Return the studentUniqueId of each decided row of the input, by row counted from 0."""
    decided = {}
    for line in _lines("decisionsFile", job.decisions_file, store, workspace):
        row, student = line.get("row"), line.get("studentUniqueId")
        if type(row) is not int or row < 1 or not isinstance(student, str) or not student.strip():
            raise invalid("decisionsFile has a line that names no row or no student")
        decided[row - 1] = student
    return decided


def _fetch_confirmed_students(
    job: Job, store: FileStore, workspace: Workspace
) -> ConfirmedStudents:
    """Return whom IDs stand for, as people have confirmed for earlier files of the tenant."""
    found: dict[str, dict[str, str]] = {}
    for line in _lines("confirmedFile", job.confirmed_file, store, workspace):
        fields = [line.get(name) for name in ("column", "id", "studentUniqueId")]
        if not all(isinstance(each, str) and each.strip() for each in fields):
            raise invalid("confirmedFile has a line that lacks a column, an ID, or a student")
        column, value, student = map(str, fields)
        found.setdefault(column, {})[value] = student
    return found


def confirmed_rows(
    confirmed: ConfirmedStudents, ids: Mapping[str, Sequence[str | None]]
) -> dict[int, str]:
    """Return the confirmed student of each row that has such an ID, by row counted from 0.

    ``ids`` are the possible ID columns, by row. A row that has several such IDs, of different
    students, has none.
    """
    found: dict[int, str | None] = {}
    columns = list(ids)
    for name, place in find_columns(columns, list(confirmed)).items():
        students = confirmed[name]
        for row, cell in enumerate(ids[columns[place]]):
            student = students.get(normalize(cell) or "")
            if student is not None and found.setdefault(row, student) != student:
                found[row] = None
    return {row: student for row, student in found.items() if student is not None}


def _lines(
    key: str, name: str | None, store: FileStore, workspace: Workspace
) -> Iterator[dict[str, Any]]:
    """Yield the objects of the file that the payload names under ``key``."""
    if name is None:
        return
    # In a folder of its own, which is gone before any of the bundle's code can look for it.
    with tempfile.TemporaryDirectory(dir=workspace.root) as folder:
        path = Path(folder) / name
        try:
            store.download(f"input/{name}", path)
        except (OSError, ValueError) as error:
            raise StepFailed(
                "input_s3_download",
                "What people have decided could not be fetched from where the files lie"
                f" ({type(error).__name__}): run the job again.",
                name=name,
                path=f"input/{name}",
            ) from error
        with path.open("rb") as lines:
            for number, line in enumerate(lines):
                if number >= _MOST:
                    raise invalid(f"{key} has more than {_MOST:,} lines")
                try:
                    read = orjson.loads(line)
                except orjson.JSONDecodeError:
                    read = None
                if not isinstance(read, dict):
                    # Outside of the handler, so that no exception carries the line with it.
                    raise invalid(f"{key} has a line that is not a JSON object")
                yield read
