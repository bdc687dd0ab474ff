"""Files in a directory of this machine, or of a file system that the app and executors share.

Links below the directory are never followed, and only plain files are read: a run's output may hold
what a bundle put there for a reader with more rights.
"""

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from earthbeam.files.store import checked_key

_BLOCK = 1024 * 1024


def make_private(folder: Path) -> None:
    """Create ``folder`` and its missing parents for this user only.

    An existing folder is closed to other users if this user owns it.
    """
    for missing in (*reversed(folder.parents), folder):
        missing.mkdir(mode=0o700, exist_ok=True)
    if is_open_to_others(folder):
        with suppress(PermissionError):
            folder.chmod(0o700)


def is_open_to_others(folder: Path) -> bool:
    """Whether other users of the machine may read or change the folder's content."""
    return folder.is_dir() and bool(folder.stat().st_mode & 0o077)


class DirectoryStore:
    """A directory of this machine, or one that the app and executors mount at the same path."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self, key: str) -> BinaryIO:
        """Open the file for reading. The caller closes it."""
        *folders, name = checked_key(key).split("/")
        with self._folder(folders) as folder:
            file = _open(name, os.O_RDONLY | os.O_NONBLOCK, folder)  # else a pipe would block
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise FileNotFoundError(errno.ENOENT, "no plain file")
        return os.fdopen(file, "rb")

    def download(self, key: str, target: Path) -> None:
        """Copy the file to ``target``."""
        with self.open(key) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy, _BLOCK)

    def upload(self, source: Path, key: str) -> None:
        """Store the file ``source``. Readers see all of it or none."""
        with self._replacing(key) as path:
            shutil.copyfile(source, path)  # in the kernel, where the system can

    def save(self, stream: BinaryIO, key: str) -> int:
        """Store the content of ``stream``, all or nothing, and return its size in bytes."""
        with self._replacing(key) as path, path.open("wb") as target:
            shutil.copyfileobj(stream, target, _BLOCK)
            return target.tell()

    @contextmanager
    def _replacing(self, key: str) -> Iterator[Path]:
        """Yield an empty file that takes the key's place if the block succeeds."""
        path = self.root / PurePosixPath(checked_key(key))
        if not self._is_below(path.parent):
            raise PermissionError(errno.EACCES, "a link leads out of the folder")
        make_private(path.parent)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
        os.close(handle)
        partial = Path(name)
        try:
            yield partial
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def delete(self, key: str) -> None:
        """Delete the file if it exists."""
        *folders, name = checked_key(key).split("/")
        with suppress(FileNotFoundError), self._folder(folders) as folder:
            os.unlink(name, dir_fd=folder)

    def clear(self) -> int:
        """Delete everything below the location, even unfinished files. Returns the file count."""
        if not self.root.exists():
            return 0
        count = sum(path.is_file() for path in self.root.rglob("*"))
        shutil.rmtree(self.root)
        return count

    def exists(self, key: str) -> bool:
        """Whether the file exists."""
        *folders, name = checked_key(key).split("/")
        try:
            with self._folder(folders) as folder:
                mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return False
        return stat.S_ISREG(mode)

    def list(self, prefix: str = "", since: datetime | None = None) -> dict[str, int]:
        """Return the files in the folder ``prefix`` stored at ``since`` or later: key to bytes."""
        start = self.root / PurePosixPath(checked_key(prefix)) if prefix else self.root
        oldest = since.timestamp() if since else 0.0
        found = {}
        for path in sorted(start.rglob("*")) if self._is_below(start) else ():
            state = path.lstat()
            if not stat.S_ISREG(state.st_mode) or path.name.startswith(".partial-"):
                continue
            if state.st_mtime >= oldest:
                found[path.relative_to(self.root).as_posix()] = state.st_size
        return found

    def _is_below(self, folder: Path) -> bool:
        """Whether no part of the path below the root is a link."""
        return folder.resolve() == self.root.resolve() / folder.relative_to(self.root)

    @contextmanager
    def _folder(self, parts: Iterable[str]) -> Iterator[int]:
        """Yield a file descriptor of a folder below the root. No link can replace it."""
        folder = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in parts:
                inner = _open(part, os.O_RDONLY | os.O_DIRECTORY, folder)
                os.close(folder)
                folder = inner
            yield folder
        finally:
            os.close(folder)


def _open(name: str, flags: int, folder: int) -> int:
    """Open an entry of a folder. A link counts as missing."""
    try:
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
        raise
