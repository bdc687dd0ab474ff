"""Executors of the local launcher whose worker was killed: nobody waits for them any more.

One that lives may finish its run. Of one that is gone the run is ended, and the files of a run
that has ended are removed, which hold students' data. Both are seen on the executor's own machine
alone; where no worker runs there any more, the reaper ends the run by its time limit.
"""

import logging
import os
import re
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

from django.db.models import Exists
from django.utils import timezone

from earthbeam.executor.workspace.folders import remove
from earthbeam.models import Run
from earthbeam.runs import states
from earthbeam.runs.reaper import live_launches

logger = logging.getLogger(__name__)

SCRATCH_PREFIX = "runway-run-"

GONE = "The executor and the worker that watched it were killed. Run the job again."

_REFERENCE = re.compile(r"process (\d+) on (\S+) in (.+)")


def reference(pid: int, scratch: str) -> str:
    """A run's launch_reference: its executor's process and the folder of its files."""
    return f"process {pid} on {socket.gethostname()} in {scratch}"


def watch() -> None:
    """End the runs of such executors that are gone, and remove what they have left."""
    without_worker = Run.objects.exclude(Exists(live_launches(timezone.now())))
    here = f" on {socket.gethostname()} in "
    running = without_worker.filter(status=Run.Status.RUNNING, launch_reference__contains=here)
    for run in running:
        if _is_gone(run) and states.fail(run.pk, "unknown", {"message": GONE}):
            logger.warning("run %s: its executor and its worker are gone", run.pk)
    for folder in Path(tempfile.gettempdir()).glob(f"{SCRATCH_PREFIX}*"):
        run_of_it = without_worker.filter(launch_reference__endswith=f"{here}{folder}").first()
        if run_of_it and run_of_it.status not in Run.UNFINISHED and _is_gone(run_of_it):
            remove(folder)


def _is_gone(run: Run) -> bool:
    """Whether the process has ended; another one may have its number by now, and is left to end."""
    parts = _REFERENCE.fullmatch(run.launch_reference)
    if parts is None:
        return False
    pid = int(parts[1])
    try:
        os.killpg(pid, 0)  # an executor's group is its own, with its sandbox's process
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    with suppress(OSError):  # where there is no /proc
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        return state == "Z"
    return False
