"""What people have decided about rows: which student they belong to, whatever their IDs.

The app writes it into the job's ``input/`` (contract section 11). It never reaches a bundle.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from earthbeam.executor.errors import StepFailed
from earthbeam.executor.job import Job, invalid
from earthbeam.executor.workspace.folders import Workspace
from earthbeam.files import FileStore

_MOST = 1_000_000
"""Lines of a file. What people decide has thousands."""


def fetch_decided_rows(job: Job, store: FileStore, workspace: Workspace) -> dict[int, str]:
    """Return the studentUniqueId of each decided row of the input, by row counted from 0.

    Raises StepFailed: input_s3_download, or invalid_job if the file is not as the contract says.
    """
    decided = {}
    for line in _lines(job.decisions_file, store, workspace):
        row, student = line.get("row"), line.get("studentUniqueId")
        if type(row) is not int or row < 1 or not isinstance(student, str) or not student.strip():
            raise invalid("decisionsFile has a line that names no row or no student")
        decided[row - 1] = student
    return decided


def _lines(name: str | None, store: FileStore, workspace: Workspace) -> Iterator[dict[str, Any]]:
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
                "What was decided about the rows could not be fetched from where the files lie"
                f" ({type(error).__name__}): run the job again.",
                name=name,
                path=f"input/{name}",
            ) from error
        with path.open("rb") as lines:
            for number, line in enumerate(lines):
                if number >= _MOST:
                    raise invalid(f"decisionsFile has more than {_MOST:,} lines")
                try:
                    read = orjson.loads(line)
                except orjson.JSONDecodeError:
                    read = None
                if not isinstance(read, dict):
                    # Outside of the handler, so that no exception carries the line with it.
                    raise invalid("decisionsFile has a line that is not a JSON object")
                yield read
