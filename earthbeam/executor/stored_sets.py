"""The sets that an earlier run of the job has stored, and what it kept to trace their records."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from earthbeam.executor.errors import StepFailed
from earthbeam.executor.steps import Output
from earthbeam.files import FileStore

ROWS_NAME = "rows_by_student.json"
"""The rows of each student in the ODS set, which a preview keeps for the load that follows."""

_GONE = "is no longer stored, or has changed since: run the job again with its file."


def fetch(store: FileStore, name: str, hashes: Mapping[str, str | None], folder: Path) -> Output:
    """Fetch a set's files to ``folder``. Raises StepFailed(artifact_not_found).

    Also if a file is not the one with the hash that was reported for it, since a later run that
    failed may have replaced it.
    """
    records = {}
    for file, sha256 in hashes.items():
        path, key = folder / file, f"output/{name}/{file}"
        fetch_file(store, key, path)
        with path.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        if sha256 is not None and found != sha256:
            raise gone(key)
        with path.open("rb") as lines:
            records[path.stem] = sum(not line.isspace() for line in lines)
    return Output(folder, records)


def fetch_file(store: FileStore, key: str, target: Path) -> Path:
    """Fetch what an earlier run has stored. Raises StepFailed(artifact_not_found)."""
    try:
        store.download(key, target)
    except (FileNotFoundError, PermissionError):
        # Without permission to list, S3 answers "denied" for missing files.
        raise gone(key) from None
    except OSError as error:
        raise StepFailed(
            "artifact_not_found",
            f"A stored result could not be fetched ({type(error).__name__}): try again.",
            name=key.rpartition("/")[2],
            path=key,
            stored=True,
        ) from error
    return target


def gone(key: str) -> StepFailed:
    """Return the failure for a file that is not as an earlier run has stored it."""
    name = key.rpartition("/")[2]
    return StepFailed("artifact_not_found", f"{name} {_GONE}", name=name, path=key, stored=True)


def write_rows(rows: Mapping[str, list[int]], path: Path) -> None:
    """Keep each student's rows of the input, counted from 1."""
    path.write_text(json.dumps(rows))


def read_rows(path: Path) -> dict[str, list[int]]:
    """Return what ``write_rows`` has written."""
    rows: dict[str, list[int]] = json.loads(path.read_text())
    return rows
