"""Where jobs' files lie: one small interface, for the app and the executor alike.

A location is a URL such as ``file:///srv/runway/ea/grand_bend/2526/ID`` (or, later, ``s3://…``);
the parts below the base are URL-quoted names and are taken literally, never unquoted.
"""

import os
import shutil
import tempfile
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol


class BadLocation(ValueError):
    """A location or key that the file storage does not accept."""


class FileStore(Protocol):
    """Files below one location. Keys are relative paths with ``/``, without ``.`` or ``..`` parts.

    Reading or downloading what is not there raises FileNotFoundError.
    """

    def open(self, key: str) -> BinaryIO: ...
    def download(self, key: str, target: Path) -> None: ...
    def upload(self, source: Path, key: str) -> None: ...
    def save(self, stream: BinaryIO, key: str) -> int: ...
    def exists(self, key: str) -> bool: ...
    def list(self, prefix: str = "", since: datetime | None = None) -> dict[str, int]: ...


def open_store(location: str) -> FileStore:
    """The store for a location. Raises BadLocation for a scheme that nobody serves."""
    if location.startswith("file:///"):
        return DirectoryStore(Path(location.removeprefix("file://")))
    raise BadLocation(f"{location.split(':')[0]!r} storage is not supported; use file:///DIRECTORY")


def checked_key(key: str) -> str:
    """``key`` itself, if it is a relative path that cannot leave its location."""
    parts = key.split("/")
    if not key or "\0" in key or any(part in ("", ".", "..") for part in parts):
        raise BadLocation("a file's key must be a relative path without empty, . or .. parts")
    return key


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
        path.parent.mkdir(parents=True, exist_ok=True)
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
