"""Store a run's artifacts and output sets in the job's ``output/``."""

import hashlib
import logging
from pathlib import Path

from earthbeam.executor.errors import StepFailed
from earthbeam.executor.processes.background import Background
from earthbeam.executor.workspace.folders import Workspace, is_plain_file
from earthbeam.files import FileStore

logger = logging.getLogger(__name__)

_AT_ONCE = 4
"""Files of a set that are uploaded at the same time: most are small, and wait for S3."""


class Artifacts:
    """Stores the files of the workspace's artifacts folder, each once."""

    def __init__(self, store: FileStore, workspace: Workspace) -> None:
        self._store = store
        self._folder = workspace.artifacts
        self._stored: set[str] = set()

    def store(self, name: str) -> None:
        """Store one artifact, which must exist.

        Raises StepFailed: artifact_not_found, artifact_empty, or artifact_s3_upload.
        """
        path = self._folder / name
        if not is_plain_file(path):
            raise StepFailed(
                "artifact_not_found",
                f"{name} was not made, though the step that makes it has ended: see the log.",
                name=name,
                path=f"output/{name}",
            )
        if path.stat().st_size == 0:
            raise StepFailed(
                "artifact_empty",
                f"{name} is empty, though the step that makes it has ended: see the log.",
                name=name,
                path=f"output/{name}",
            )
        self._upload(path, f"output/{name}")
        self._stored.add(name)

    def store_rest(self) -> None:
        """Store what exists and is not stored yet. Only logs failures."""
        for path in sorted(self._folder.iterdir()):
            if path.name not in self._stored and is_plain_file(path) and path.stat().st_size:
                try:
                    self.store(path.name)
                except StepFailed as error:
                    logger.warning("%s could not be stored: %s", path.name, error)

    def store_set(self, name: str, output: Path) -> dict[str, str]:
        """Store a set's non-empty JSONL files, some at once and the largest first.

        Returns their SHA-256 hashes in hex, by name.
        """
        hashes: dict[str, str] = {}
        sizes = {path: path.stat().st_size for path in output.glob("*.jsonl")}
        files = sorted(filter(sizes.get, sizes), key=lambda path: sizes[path], reverse=True)
        left = iter(files)  # which gives each file to one of the threads

        def upload() -> None:
            for path in left:
                self._upload(path, f"output/{name}/{path.name}")
                with path.open("rb") as file:
                    hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()

        uploads = [Background("upload", upload) for _ in files[:_AT_ONCE]]
        for each in uploads:
            each.result()
        return dict(sorted(hashes.items()))

    def _upload(self, path: Path, key: str) -> None:
        try:
            self._store.upload(path, key)
        except OSError as error:
            raise StepFailed(
                "artifact_s3_upload",
                f"A result could not be stored ({type(error).__name__}).",
                name=path.name,
                path=key,
            ) from error
