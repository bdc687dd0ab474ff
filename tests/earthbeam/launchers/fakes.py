"""Launchers whose executor is program.py, by name: a worker process imports them."""

import sys
from collections.abc import Callable
from pathlib import Path

from earthbeam import paths
from earthbeam.files import open_store
from earthbeam.launchers.local import LocalLauncher
from earthbeam.models import Run

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


class ReadsConfirmed:
    """Notes in the run what its executor would find."""

    def launch(self, run: Run, should_abort: Callable[[], bool]) -> None:
        with open_store(paths.app_data_base_path(run.job)).open("input/__confirmed.jsonl") as file:
            lines = len(file.read().splitlines())
        found = f"{lines} lines of {run.confirmed_students}"
        Run.objects.filter(pk=run.pk).update(launch_reference=found)
