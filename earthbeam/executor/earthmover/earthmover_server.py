"""Child process: imports earthmover once per run, and forks for each task.

    python -I earthmover_server.py

Importing earthmover takes most of a second, several times what a small file needs. So it is
imported once, while the bundle and the roster are still being fetched. Then each line on standard
input starts one or more programs at once, as JSON:

    {"cwd": FOLDER, "cores": NUMBER, "programs": [
        {"label": …, "script": NAME, "arguments": […], "environment": {…}}, …]}

Each runs in its own fork, with that environment only, and they share the cores. When all have
ended, a line on standard output has their exit codes. All other output is the programs'.
"""

import gc
import importlib.util
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

ANSWER = "\x1eanswer "
"""The beginning of a line with an answer."""

_PACKAGE = "earthbeam.executor.earthmover"
_MODULES = (
    "parts.py",
    "rendering.py",
    "by_partition.py",
    "row_by_row.py",
    "prepare_bundle.py",
    "fast_earthmover.py",
)
"""The scripts, and before them what they import."""


def main() -> None:
    here = Path(__file__).resolve().parent
    # Keeps the programs, which run bundles' code, from changing the process that forked them.
    _load(here.parents[1] / "privacy.py").keep_private()
    modules = _load_all(here)
    for line in sys.stdin:
        request = json.loads(line)
        cores = modules["parts.py"].Cores(request["cores"])
        modules["fast_earthmover.py"].FastEarthmover.cores = cores
        children = [_start(program, request["cwd"], modules) for program in request["programs"]]
        codes = _exit_codes(children)
        cores.close()
        # On its own line, even if a program's output did not end with one.
        sys.stdout.write(f"\n{ANSWER}{json.dumps(codes)}\n")
        sys.stdout.flush()


def _load_all(here: Path) -> dict[str, Any]:
    """Import the scripts and earthmover.

    What is imported stays, so looking for garbage in it would only cost time, here and in forks.
    """
    # dask imports it where it is installed, for arrays, which earthmover does not have.
    sys.modules["scipy"] = None  # type: ignore[assignment]
    gc.disable()
    try:
        return {name: _load(here / name) for name in _MODULES}
    finally:
        gc.freeze()
        gc.enable()


def _exit_codes(children: list[int]) -> list[int]:
    """Wait for all children, and return their exit codes.

    When one fails, the others are ended, and count as failed like it: their results are of no use,
    and one may wait for cores that the failed one has taken along.
    """
    codes: dict[int, int] = {}
    failed = 0
    while len(codes) < len(children):
        pid, status = os.wait()
        codes[pid] = failed or os.waitstatus_to_exitcode(status)
        if codes[pid] and not failed:
            failed = codes[pid]
            for other in set(children) - codes.keys():
                os.kill(other, signal.SIGKILL)
    return [codes[pid] for pid in children]


def _load(script: Path) -> Any:
    """Import a script by its path, so that nothing else of ours can be imported here."""
    spec = importlib.util.spec_from_file_location(f"{_PACKAGE}.{script.stem}", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


def _start(program: dict[str, Any], cwd: str, modules: dict[str, Any]) -> int:
    """Fork a child that runs the program, and return its process ID."""

    def run() -> None:
        os.environ.clear()
        os.environ.update(program["environment"])
        os.chdir(cwd)
        os.close(0)
        os.open(os.devnull, os.O_RDONLY)
        _label_log(program["label"])
        sys.argv = [modules[program["script"]].__file__, *program["arguments"]]
        modules[program["script"]].main()

    fork: Any = modules["parts.py"].fork
    return int(fork(run))


def _label_log(label: str) -> None:
    """Label what earthmover logs, so that concurrent programs can be told apart."""
    for handler in logging.getLogger("earthmover").handlers:
        handler.setFormatter(logging.Formatter(f"{label} | %(levelname)s %(message)s"))


if __name__ == "__main__":
    main()
