"""A warm earthmover: one process per run, which forks for each task."""

import json
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from earthbeam.executor.earthmover.earthmover_server import ANSWER
from earthbeam.executor.earthmover.parts import PROGRESS
from earthbeam.executor.processes import running
from earthbeam.executor.processes.cores import cores
from earthbeam.executor.workspace.folders import Workspace

_QUIET_LINES = 20

# Started by path, in Python's isolated mode, so that it can import none of our code.
_SERVER = Path(__file__).with_name("earthmover_server.py")


@dataclass(frozen=True)
class Program:
    """One of the scripts in the server's folder, with its own environment."""

    label: str
    script: str
    arguments: tuple[str, ...]
    environment: dict[str, str]


class Earthmover(running.ServerProcess):
    """Starts importing earthmover at once. A context manager that ends its process."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(
            (sys.executable, "-I", "-u", "-X", "utf8", str(_SERVER)),
            label="earthmover",
            mark=ANSWER,
            env=workspace.child_environment(),
            cwd=workspace.root,
        )

    def run(
        self,
        *programs: Program,
        cwd: Path,
        on_rows: Callable[[int], None] = lambda rows: None,
        quiet: bool = False,
    ) -> running.Completed:
        """Run programs and return the worst result.

        They run concurrently, and share the cores, unless there is only one. Programs that work in
        parts report them: ``on_rows`` is called with how many more rows are done. What ``quiet``
        ones print is not logged, only kept for the result.

        Raises StepFailed if another process killed one, or if earthmover's process is gone.
        """

        printed: deque[str] = deque(maxlen=_QUIET_LINES)

        def heard(line: str) -> bool:
            count = line.removeprefix(PROGRESS)
            if count == line or not count.isdecimal():
                if quiet:
                    printed.append(line)
                return quiet
            on_rows(int(count))
            return True

        count = cores()
        together: Sequence[Sequence[Program]] = [programs]
        if count < len(programs):
            together = [(program,) for program in programs]
        codes: list[int] = []
        tails = []
        for some in together:
            request = {
                "cwd": str(cwd),
                "cores": count,
                "programs": [asdict(program) for program in some],
            }
            answer, tail = self.ask(json.dumps(request), heard)
            codes += json.loads(answer)
            tails.append("\n".join(printed) if quiet else tail)
        worst = next((code for code in codes if code), 0)
        return running.completed(worst, "earthmover", "\n".join(tails))
