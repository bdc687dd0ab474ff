"""Executors as child processes of the queue worker, whose concurrency limits how many run.

The child gets only the contract's variables, in a sandbox if there is one: see sandbox.py, and
docs/executor.md for what a bundle can do in it. It has its time limit and a little more to report.
It is asked to end when that is over, when the worker is shutting down, or when somebody has ended
the run. It then reports its own end; if it does not end, it is killed. In every case the run has
ended when ``launch`` returns.
"""

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import Error as DatabaseFault
from django.db import connection
from django.db.models.functions import Now

from earthbeam import paths
from earthbeam.errors import LaunchFailed
from earthbeam.executor.environment import certificate_authorities
from earthbeam.executor.unreachable import words_for
from earthbeam.executor.workspace.folders import remove
from earthbeam.files import directory_of, is_s3
from earthbeam.launchers import bundle_mirror, children, orphans, passed_on, sandbox
from earthbeam.launchers.output import Masker, Output
from earthbeam.models import Run, RunLog
from earthbeam.runs import payload, states, tokens
from partners.encryption import UndecryptableSecret
from partners.models import OdsConnection

logger = logging.getLogger(__name__)

OVERTIME_SECONDS = 60.0
"""Extra time after the run's time limit, which the executor itself enforces."""
STOP_SECONDS = 20.0
"""How long an executor that was asked to end has to end its children and report."""
EXECUTOR_CODE = (
    *("manage.py", "runway/__init__.py", "runway/aws.py", "runway/executor_settings.py"),
    *("earthbeam/__init__.py", "earthbeam/invisible.py"),
    *("earthbeam/plain_text.py", "earthbeam/privacy.py", "earthbeam/stored_files.py"),
    *("earthbeam/delimited", "earthbeam/files", "earthbeam/identity", "earthbeam/matching"),
    "earthbeam/executor",
)
"""All project code that an executor sees. Dockerfile.executor copies the same files."""

_SAVE_SECONDS = 2.0
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class _End:
    """How the wait for a child ended."""

    exit_code: int
    overdue: bool = False
    stopped: bool = False


class LocalLauncher:
    """Runs ``argv`` for each run and waits for it to end.

    Tests pass their own program, and as ``code`` the part of the project that it sees.
    """

    def __init__(
        self,
        argv: tuple[str, ...] | None = None,
        *,
        code: tuple[str, ...] = EXECUTOR_CODE,
        overtime_seconds: float = OVERTIME_SECONDS,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self._argv = argv or (sys.executable, str(settings.BASE_DIR / "manage.py"), "executor")
        self._code = tuple(settings.BASE_DIR / path for path in code)
        self._overtime_seconds = overtime_seconds
        self._stop_seconds = stop_seconds

    def launch(self, run: Run, should_stop: Callable[[], bool]) -> None:
        """See Launcher. Holds no database connection while waiting."""
        sandboxed = sandbox.is_used()
        # Lower-case: bundles parse capital letters in their files' paths.
        scratch = Path(tempfile.mkdtemp(prefix=orphans.SCRATCH_PREFIX))
        try:
            # Before anything is in the folder, so that it is found if this worker is killed.
            early = orphans.reference(None, str(scratch))
            Run.objects.filter(pk=run.pk).update(launch_reference=early)
            environment = _surroundings(scratch)
            commit = payload.bundle_commit(run)
            connection.close()
            mirror = bundle_mirror.refresh(environment, run.job.bundle_branch, commit, should_stop)
            if should_stop():
                raise LaunchFailed("The worker was stopped before it started an executor.")
            token = tokens.init_token(run)
            mask = Masker([token, *_ods_secrets(run)])
            environment |= _variables(run, token, mirror)
            view = self._view(run, scratch, mirror) if sandboxed else None
            child = self._start(environment, scratch, view)
            try:
                assert child.stdout is not None
                output = Output(child.stdout, mask)
                Run.objects.filter(pk=run.pk).update(
                    launched_at=Now(),
                    launch_reference=orphans.reference(child.pid, str(scratch)),
                )
                end = self._wait(run, child, output, should_stop)
            finally:
                children.kill(child)
        finally:
            remove(scratch)
        output.close()
        _save(run, output)
        _conclude(run, end)

    def watch(self) -> None:
        """See Launcher. Handles only executors whose worker was killed, since ``launch`` waits."""
        orphans.watch()

    def _view(self, run: Run, scratch: Path, mirror: Path | None) -> sandbox.View:
        """Return the files of this machine that the run's executor needs, and no other job's."""
        job = run.job
        read_only, read_write = list(self._code), [scratch]
        read_only += (Path(path).absolute() for path in certificate_authorities().values())
        hidden = [settings.BASE_DIR, scratch.parent]
        if mirror is not None:
            read_only.append(mirror)
        if not is_s3(job.files_base):
            base = directory_of(job.files_base)
            folder = directory_of(paths.app_data_base_path(job))
            try:
                (folder / "output").mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise LaunchFailed(
                    f"The folder for the job's results cannot be created: {error.strerror}."
                ) from error
            read_only.append(folder / "input")
            read_write.append(folder / "output")
            hidden.append(base)
            if not job.send_to_ods:
                read_only.append(base / paths.roster_key(job.tenant, job.school_year))
        return sandbox.View(tuple(read_only), tuple(read_write), tuple(hidden))

    def _start(
        self, environment: dict[str, str], scratch: Path, view: sandbox.View | None
    ) -> "subprocess.Popen[bytes]":
        try:
            if view is not None:
                return sandbox.start(
                    self._argv, environment, view, cwd=scratch, stdout=subprocess.PIPE
                )
            return subprocess.Popen(
                self._argv,
                env=environment,
                cwd=scratch,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise LaunchFailed(
                f"The worker could not start a process for the executor: {error.strerror}."
            ) from error

    def _wait(
        self,
        run: Run,
        child: "subprocess.Popen[bytes]",
        output: Output,
        should_stop: Callable[[], bool],
    ) -> _End:
        deadline = time.monotonic() + run.timeout_seconds + self._overtime_seconds
        while True:
            _save(run, output)
            save_at = time.monotonic() + _SAVE_SECONDS
            while time.monotonic() < save_at:
                if (code := child.poll()) is not None:
                    return _End(code)
                stopped, overdue = should_stop(), time.monotonic() > deadline
                if stopped or overdue:
                    return _End(self._end(child), overdue, stopped)
                time.sleep(_POLL_SECONDS)
            if _was_ended(run):
                return _End(self._end(child))

    def _end(self, child: "subprocess.Popen[bytes]") -> int:
        children.terminate(child)
        try:
            return child.wait(timeout=self._stop_seconds)
        except subprocess.TimeoutExpired:
            return children.kill(child)


def _variables(run: Run, token: str, mirror: Path | None) -> dict[str, str]:
    """Return the executor's variables: contract section 7, plus our optional ones."""
    return {
        "INIT_TOKEN": token,
        "INIT_JOB_URL": payload.init_url(run.id),
        "TIMEOUT_SECONDS": str(run.timeout_seconds),
        "BUNDLE_REPO": settings.BUNDLE_REPO,
        **passed_on(),
        **({"BUNDLE_MIRROR": str(mirror)} if mirror else {}),
        **_access_to_files(run),
    }


def _surroundings(scratch: Path) -> dict[str, str]:
    """Return the variables that programs need to work at all."""
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
        **certificate_authorities(),
    }


def _access_to_files(run: Run) -> dict[str, str]:
    """In development, return the worker's own S3 credentials if the job's files are there.

    Otherwise such executors run on ECS, with credentials for their own job only.
    """
    if not (settings.IN_DEVELOPMENT and is_s3(run.job.files_base)):
        return {}
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


def _was_ended(run: Run) -> bool:
    """Whether the run has failed (by its own report or cancelled) or was deleted with its job."""
    try:
        return not Run.objects.filter(pk=run.pk).exclude(status=Run.Status.ERROR).exists()
    except DatabaseFault:
        return False
    finally:
        connection.close()


def _ods_secrets(run: Run) -> list[str]:
    """Return the job's ODS secret for masking. If it is unreadable, the payload reports that."""
    try:
        connections = OdsConnection.objects.filter(
            tenant=run.job.tenant_id, school_year=run.job.school_year_id, retired_at=None
        )
        return [ods.client_secret for ods in connections]
    except UndecryptableSecret:
        return []


def _save(run: Run, output: Output) -> None:
    """Save the log so far, and release the database connection."""
    text = output.news()
    try:
        if text is not None:
            RunLog.objects.update_or_create(run_id=run.pk, defaults={"text": text})
    except DatabaseFault as fault:
        logger.warning("run %s: its log could not be saved: %s", run.pk, type(fault).__name__)
    finally:
        connection.close()


def _conclude(run: Run, end: _End) -> None:
    """Ensure that the run has ended, and report what its executor did not."""
    try:
        run.refresh_from_db(fields=["status"])
    except Run.DoesNotExist:
        return  # deleted with its job
    how = children.exit_text(end.exit_code)
    unreachable = words_for(end.exit_code)
    if run.status == Run.Status.NEW:
        if end.stopped:
            Run.objects.filter(pk=run.pk, status=Run.Status.NEW).update(launched_at=None)
            raise LaunchFailed("The worker was stopped before the executor reported for work.")
        states.fail_to_start(
            run.pk,
            {
                "message": unreachable
                or f"The executor ended with {how} before it reported for work. "
                "The run's log shows what it printed."
            },
        )
    elif end.overdue:
        states.fail(run.pk, "executor_timeout", {"timeout_seconds": run.timeout_seconds})
    elif end.stopped:
        message = f"The worker was stopped, and the executor with it ({how}). Run the job again."
        states.fail(run.pk, "unknown", {"message": message})
    else:
        message = unreachable or f"The executor ended with {how} before it reported the outcome."
        states.fail(run.pk, "unknown", {"message": message})
