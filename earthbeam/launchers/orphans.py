"""Executors of the local launcher whose worker was killed, so nothing waits for them.

One that is still running may finish its run. If it is gone, its run is ended. Once a run has ended,
its files, which hold students' data, are removed. This works only on the executor's own machine. If
no worker runs there any more, the reaper ends the run at its time limit.
"""

import logging
import os
import re
import socket
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from django.db.models import Exists

from earthbeam.executor.workspace.folders import remove
from earthbeam.models import Run
from earthbeam.runs import states
from earthbeam.runs.reaper import live_launches
from runway.database_time import database_now

logger = logging.getLogger(__name__)

SCRATCH_PREFIX = "runway-run-"

GONE = "The executor and the worker that watched it were killed. Run the job again."

_YOUNG_SECONDS = 60
_NO_PROCESS = "no process yet"
_REFERENCE = re.compile(r"process (\d+) on (\S+) in (.+)")


def reference(pid: int | None, scratch: str) -> str:
    """Return a run's launch_reference: its executor's process, if any yet, and its folder."""
    process = _NO_PROCESS if pid is None else f"process {pid}"
    return f"{process} on {socket.gethostname()} in {scratch}"


def watch() -> None:
    """End the runs of orphaned executors that are gone, and remove the files they left."""
    without_worker = Run.objects.exclude(Exists(live_launches(database_now())))
    here = f" on {socket.gethostname()} in "
    launched = without_worker.filter(status__in=Run.UNFINISHED, launch_reference__contains=here)
    for run in launched:
        if _is_gone(run) and _end(run):
            logger.warning("run %s: its executor and its worker are gone", run.pk)
    for folder in Path(tempfile.gettempdir()).glob(f"{SCRATCH_PREFIX}*"):
        run_of_it = without_worker.filter(launch_reference__endswith=f"{here}{folder}").first()
        if run_of_it and run_of_it.status not in Run.UNFINISHED and _is_gone(run_of_it):
            remove(folder)
        elif run_of_it is None:
            _remove_if_abandoned(folder)


def _remove_if_abandoned(folder: Path) -> None:
    """Remove an empty folder that is old: its worker was killed before it told of it."""
    with suppress(OSError):  # it is not empty, so a run has it
        if time.time() - folder.stat().st_mtime > _YOUNG_SECONDS:
            folder.rmdir()


def _end(run: Run) -> bool:
    if run.status == Run.Status.NEW:
        return states.fail_to_start(run.pk, {"message": GONE})
    return states.fail(run.pk, "unknown", {"message": GONE})


def _is_gone(run: Run) -> bool:
    """Whether the process has ended. If another process has its number now, wait for that.

    If there was none yet when its worker was killed, there will be none: the run has not begun.
    """
    if run.launch_reference.startswith(_NO_PROCESS):
        return True
    parts = _REFERENCE.fullmatch(run.launch_reference)
    if parts is None:
        return False
    pid = int(parts[1])
    try:
        os.killpg(pid, 0)  # an executor has its own group, which includes the sandbox's process
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    with suppress(OSError):  # systems without /proc
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        return state == "Z"
    return False
