"""A run's scratch folder: everything it writes lies here, and goes with it.

Names are lower-case on purpose: bundles read facts from the input file's path (STAR looks for
``SM`` and ``SR`` in it), so nothing above the file's own name may look like one.
"""

import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

ODS_SET, OTHER_SET = "ods", "non-ods"
"""The two output sets, by the name of their folder below ``output/``."""


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
        shutil.rmtree(self.root, ignore_errors=True)

    def folder(self, *parts: str) -> Path:
        """The folder below the root, made if it is not there."""
        path = self.root.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def bundle(self) -> Path:
        """The assessment bundle: a copy of our own, to run and to change."""
        return self.root / "bundle"

    @property
    def input(self) -> Path:
        return self.folder("input")

    @property
    def artifacts(self) -> Path:
        """Files that become the run's artifacts under their own names."""
        return self.folder("artifacts")

    def set_input(self, name: str) -> Path:
        return self.folder("sets", name, "input")

    def set_output(self, name: str) -> Path:
        return self.folder("sets", name, "output")

    def child_environment(self) -> dict[str, str]:
        """What every child process gets, and nothing else of ours: no token, no credentials."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder("home")),
            "TMPDIR": str(self.folder("tmp")),
            "LANG": "C.UTF-8",
            "PYTHONUTF8": "1",
            "PYTHONUNBUFFERED": "1",
        }
