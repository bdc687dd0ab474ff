"""A warm earthmover: one process per run, which forks for each task."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from earthbeam.executor.earthmover.earthmover_server import ANSWER
from earthbeam.executor.processes import running
from earthbeam.executor.workspace.folders import Workspace

# Started by path, in Python's isolated mode, so that it can import none of our code.
_SERVER = Path(__file__).with_name("earthmover_server.py")


@dataclass(frozen=True)
class Program:
    """One of the scripts in the server's folder, with its own environment."""

    label: str
    script: str
    arguments: tuple[str, ...]
    environment: dict[str, str]


class Earthmover:
    """Starts importing earthmover at once. A context manager that ends its process."""

    def __init__(self, workspace: Workspace) -> None:
        self._process = running.ServerProcess(
            (sys.executable, "-I", "-u", "-X", "utf8", str(_SERVER)),
            label="earthmover",
            mark=ANSWER,
            env=workspace.child_environment(),
            cwd=workspace.root,
        )

    def __enter__(self) -> "Earthmover":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.__exit__(kind, error, trace)

    def run(self, *programs: Program, cwd: Path) -> running.Completed:
        """Run programs, concurrently if there are enough cores, and return the worst result.

        Raises StepFailed if another process killed one, or if earthmover's process is gone.
        """
        together: Sequence[Sequence[Program]] = [programs]
        if len(os.sched_getaffinity(0)) < len(programs):
            together = [(program,) for program in programs]
        codes: list[int] = []
        tails = []
        for some in together:
            request = {"cwd": str(cwd), "programs": [asdict(program) for program in some]}
            answer, tail = self._process.ask(json.dumps(request))
            codes += json.loads(answer)
            tails.append(tail)
        worst = next((code for code in codes if code), 0)
        return running.completed(worst, "earthmover", "\n".join(tails))
