import sys
from pathlib import Path

from earthbeam.launchers.local import EXECUTOR_CODE, LocalLauncher


class Launcher(LocalLauncher):
    """Its executors are ``executor.py``."""

    def __init__(self) -> None:
        super().__init__(
            (sys.executable, str(Path(__file__).with_name("executor.py"))),
            code=(*EXECUTOR_CODE, "tests/e2e/impatient/executor.py"),
        )
