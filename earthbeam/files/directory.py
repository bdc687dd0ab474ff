"""Files in a directory of this machine, or of a file system that app and executors share."""

import os
import shutil
import tempfile
from contextlib import suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from earthbeam.files.store import checked_key


def make_private(folder: Path) -> None:
    """Make ``folder``, and whatever is missing above it, for this user alone; an existing folder is
    closed to others where it is this user's."""
    for missing in (*reversed(folder.parents), folder):
        missing.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        with suppress(PermissionError):
            folder.chmod(0o700)


class DirectoryStore:
    """A directory of this machine (or one that app and executors mount alike)."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _path(self, key: str) -> Path:
        return self.root / PurePosixPath(checked_key(key))

    def open(self, key: str) -> BinaryIO:
        """The file, for reading; the caller closes it."""
        return self._path(key).open("rb")

    def download(self, key: str, target: Path) -> None:
        """Copy the file to ``target``."""
        shutil.copyfile(self._path(key), target)

    def upload(self, source: Path, key: str) -> None:
        """Store the file ``source``; readers see all of it or none."""
        with source.open("rb") as stream:
            self.save(stream, key)

    def save(self, stream: BinaryIO, key: str) -> int:
        """Store what ``stream`` holds; readers see all of it or none. Returns its bytes."""
        path = self._path(key)
        make_private(path.parent)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
        try:
            with os.fdopen(handle, "wb") as target:
                shutil.copyfileobj(stream, target, 1024 * 1024)
                size = target.tell()
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return size

    def delete(self, key: str) -> None:
        """Remove the file, if there is one."""
        self._path(key).unlink(missing_ok=True)

    def clear(self) -> int:
        """Remove everything below the location, unfinished files too; returns how many files."""
        if not self.root.exists():
            return 0
        count = sum(path.is_file() for path in self.root.rglob("*"))
        shutil.rmtree(self.root)
        return count

    def exists(self, key: str) -> bool:
        """Whether there is such a file."""
        return self._path(key).is_file()

    def list(self, prefix: str = "", since: datetime | None = None) -> dict[str, int]:
        """The files below the folder ``prefix``, stored at ``since`` or later: key and bytes."""
        start = self._path(prefix) if prefix else self.root
        oldest = since.timestamp() if since else 0.0
        found = {}
        for path in sorted(start.rglob("*")):
            if path.is_file() and not path.name.startswith(".partial-"):
                state = path.stat()
                if state.st_mtime >= oldest:
                    found[path.relative_to(self.root).as_posix()] = state.st_size
        return found
