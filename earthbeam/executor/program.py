"""The executor's life: handshake, one run, a report of how it ended, an exit status."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import requests

from earthbeam.executor import job as jobs
from earthbeam.executor import log
from earthbeam.executor.app_client import AppClient, Refused
from earthbeam.executor.environment import Environment
from earthbeam.executor.errors import (
    AppUnreachable,
    Interrupted,
    StepFailed,
    Terminated,
    TimedOut,
)
from earthbeam.executor.pipeline import Pipeline
from earthbeam.executor.progress import Progress
from earthbeam.executor.workspace import Workspace

logger = logging.getLogger(__name__)

REPORTED, NOT_REPORTED = 0, 1


def main(environment: Environment) -> int:
    """Carry out the run that ``environment`` names.

    Returns 0 when the outcome, good or bad, was reported to the app; otherwise 1.
    """
    redactor = log.Redactor()
    redactor.add_secrets(environment.init_token)
    log.set_up(redactor)
    app = AppClient()
    try:
        token, job_url = app.init(environment.init_job_url, environment.init_token)
        redactor.add_secrets(token)
        payload = app.job(job_url)
        progress = Progress(app, jobs.app_urls(payload), redactor)
    except (Refused, AppUnreachable, StepFailed, requests.RequestException, KeyError) as error:
        # Without the app's URLs there is nobody to report to; the launcher sees the exit status.
        logger.error("The run cannot begin: %s", error)
        return NOT_REPORTED
    try:
        return _run_and_report(payload, environment, app, progress, redactor)
    except (Refused, AppUnreachable) as error:
        logger.error("The outcome could not be reported: %s", error)
        return NOT_REPORTED


def _run_and_report(
    payload: Any,
    environment: Environment,
    app: AppClient,
    progress: Progress,
    redactor: log.Redactor,
) -> int:
    failure: StepFailed | None = None
    pipeline: Pipeline | None = None
    with Workspace() as workspace:
        try:
            with _interruptible(environment.timeout_seconds):
                job = jobs.parse(payload)
                if job.ods:
                    redactor.add_secrets(job.ods.client_secret)
                pipeline = Pipeline(job, environment, app, progress, workspace, redactor)
                pipeline.run()
        except AppUnreachable:
            raise
        except (Exception, Interrupted) as error:  # noqa: BLE001  whatever it is, it is reported
            failure = _as_failure(error, environment)
        if failure is None:
            progress.succeed()
            return REPORTED
        if pipeline is not None:
            pipeline.artifacts.store_rest()
        progress.fail(failure)
        # An unusable job is a fault of the app's, which somebody should look at.
        return NOT_REPORTED if pipeline is None else REPORTED


def _as_failure(error: BaseException, environment: Environment) -> StepFailed:
    """The failure to report for whatever ended a run."""
    if isinstance(error, StepFailed):
        return error
    if isinstance(error, TimedOut):
        return StepFailed(
            "executor_timeout",
            f"The run took longer than its limit of {environment.timeout_seconds} s.",
            timeout_seconds=environment.timeout_seconds,
        )
    if isinstance(error, Terminated):
        return StepFailed("unknown", "The executor was told to stop before the run was done.")
    failure = StepFailed("unknown", f"Something unexpected went wrong ({type(error).__name__}).")
    failure.__cause__ = error
    return failure


@contextmanager
def _interruptible(timeout_seconds: int) -> Iterator[None]:
    """Raise TimedOut or Terminated, wherever the program is, until the block is left.

    Afterwards neither interrupts any more, so that the outcome can be reported in peace.
    """

    def time_out(number: int, frame: FrameType | None) -> None:
        raise TimedOut

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    assert threading.current_thread() is threading.main_thread()
    signal.signal(signal.SIGALRM, time_out)
    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGINT, terminate)
    signal.alarm(timeout_seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
