"""Launchers whose executor is program.py, by name: a worker process imports them."""

import sys
from pathlib import Path

from earthbeam.launchers.local import LocalLauncher

PROGRAM = str(Path(__file__).with_name("program.py"))


class Graceful(LocalLauncher):
    def __init__(self) -> None:
        super().__init__(
            (sys.executable, PROGRAM, "graceful"), code=("tests/earthbeam/launchers/program.py",)
        )


class NoProgram(LocalLauncher):
    def __init__(self) -> None:
        super().__init__(("/does/not/exist",))


class Broken:
    def __init__(self) -> None:
        raise ZeroDivisionError
