"""A run's scratch folder, which holds everything it writes and is removed at the end.

Names are lower-case on purpose: bundles parse the input file's path (STAR looks for ``SM`` and
``SR`` in it), so nothing above the file's own name may look like such a code.
"""

import os
import shutil
import stat
import tempfile
import time
from pathlib import Path
from types import TracebackType

from earthbeam.executor.environment import certificate_authorities

ODS_SET, OTHER_SET = "ods", "non-ods"
"""The two output sets, by the name of their folder in ``output/``."""


class Workspace:
    """The scratch folder of one run; a context manager that removes it."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="executor-")).resolve()

    def __enter__(self) -> "Workspace":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # More than once, since a background thread (background.py) may be writing to it.
        for _ in range(20):
            remove(self.root)
            if not self.root.exists():
                break
            time.sleep(0.05)

    def folder(self, *parts: str) -> Path:
        """Return the folder below the root. Creates it if it does not exist."""
        path = self.root.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def fresh_folder(self, name: str) -> Path:
        """Create a new folder, in which no bundle's code can have left anything."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.root))

    @property
    def bundle(self) -> Path:
        """The assessment bundle: the run's own copy, to run and to change."""
        return self.root / "bundle"

    @property
    def input(self) -> Path:
        return self.folder("input")

    @property
    def artifacts(self) -> Path:
        """Files that become the run's artifacts under their own names; complete ones only."""
        return self.folder("artifacts")

    def draft(self, name: str) -> Path:
        """Return where to write an artifact until ``publish``."""
        return self.folder("drafts") / name

    def publish(self, name: str) -> Path:
        """Make a complete draft an artifact."""
        return self.draft(name).replace(self.artifacts / name)

    def set_input(self, name: str) -> Path:
        return self.folder("sets", name, "input")

    def set_output(self, name: str) -> Path:
        return self.folder("sets", name, "output")

    def child_environment(self) -> dict[str, str]:
        """Return all variables of every child process: no token, no credentials."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder("home")),
            "TMPDIR": str(self.folder("tmp")),
            "LANG": "C.UTF-8",
            "PYTHONUTF8": "1",
            "PYTHONUNBUFFERED": "1",
            **certificate_authorities(),
        }


def is_plain_file(path: Path) -> bool:
    """Whether a file that a child wrote is a plain file, not a link or a pipe."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def remove_all_but_plain_files(folder: Path) -> None:
    """Remove everything but plain files from ``folder``, where a child wrote its results."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            remove(path)
        elif not is_plain_file(path):
            path.unlink()


def remove(folder: Path) -> None:
    """Remove a folder and its content, whatever permissions children have set."""
    for parent, names, _ in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
