"""The executor's program: handshake, one run, a report of how it ended, an exit status."""

import logging
from collections.abc import Callable
from typing import Any

import requests

from earthbeam.executor import job as jobs
from earthbeam.executor.environment import Environment
from earthbeam.executor.errors import (
    NO_SPACE,
    AppUnreachable,
    Interrupted,
    StepFailed,
    Terminated,
    TimedOut,
    is_no_space,
)
from earthbeam.executor.later_runs import LoadPreviewed, Resend, Withdraw
from earthbeam.executor.pipeline import Pipeline
from earthbeam.executor.processes import strays
from earthbeam.executor.processes.interruption import interruptible
from earthbeam.executor.reporting import log
from earthbeam.executor.reporting.app_client import AppClient, Refused
from earthbeam.executor.reporting.masking import mask_words_of
from earthbeam.executor.reporting.progress import Progress
from earthbeam.executor.steps import Steps
from earthbeam.executor.workspace.folders import Workspace

logger = logging.getLogger(__name__)

REPORTED, NOT_REPORTED = 0, 1


def main(environment: Environment) -> int:
    """Carry out the run that ``environment`` names.

    Returns 0 if the outcome, good or bad, was reported to the app; otherwise 1, or a status of
    unreachable.py.
    """
    redactor = log.Redactor()
    redactor.add_secrets(environment.init_token)
    log.set_up(redactor)
    strays.adopt()
    app = AppClient(roster_gzip=environment.roster_gzip)
    try:
        token, job_url = app.init(environment.init_job_url, environment.init_token)
        # By which the log is found where all executors' logs are, such as CloudWatch.
        logger.info("Run %s", job_url.rpartition("/")[2])
        redactor.add_secrets(token)
        payload = app.job(job_url)
        urls = jobs.app_urls(payload)
    except (Refused, AppUnreachable, StepFailed, requests.RequestException, KeyError) as error:
        # Without the app's URLs nothing can be reported, but the launcher sees the exit status.
        logger.error("The run cannot begin: %s", error)
        return _exit_status(error)
    try:
        return _run_and_report(payload, urls, environment, app, redactor)
    except (Refused, AppUnreachable) as error:
        logger.error("The outcome could not be reported: %s", error)
        return _exit_status(error)


def _exit_status(error: Exception) -> int:
    """Return the exit status that shows the launcher why the outcome could not be reported."""
    return error.cause.exit_status if isinstance(error, AppUnreachable) else NOT_REPORTED


def _run_and_report(
    payload: Any,
    urls: jobs.AppUrls,
    environment: Environment,
    app: AppClient,
    redactor: log.Redactor,
) -> int:
    try:
        workspace = Workspace()
    except OSError as error:
        Progress(app, urls, redactor.redact).fail(_as_failure(error, environment))
        return REPORTED
    failure: StepFailed | None = None
    steps: Steps | None = None
    with workspace:
        progress = Progress(app, urls, _redacting(redactor, workspace))
        try:
            with interruptible(environment.timeout_seconds):
                job = jobs.parse(payload)
                if job.ods:
                    redactor.add_secrets(
                        job.ods.client_secret, f"{job.ods.client_id}:{job.ods.client_secret}"
                    )
                kind = _kind_of_run(job)
                steps = kind(job, environment, app, progress, workspace, redactor)
                steps.run()
        except AppUnreachable:
            raise
        except (Exception, Interrupted) as error:  # noqa: BLE001  whatever it is, it is reported
            failure = _as_failure(error, environment)
        if failure is None:
            progress.succeed()
            return REPORTED
        if steps is not None:
            steps.artifacts.store_rest()
        progress.fail(failure)
        # An unusable job is a fault of the app, which somebody should look at.
        return NOT_REPORTED if steps is None else REPORTED


def _kind_of_run(job: jobs.Job) -> type[Steps]:
    if job.kind == jobs.RESEND:
        return Resend
    if job.kind == jobs.WITHDRAW:
        return Withdraw
    return LoadPreviewed if job.stored_sets else Pipeline


def _redacting(redactor: log.Redactor, workspace: Workspace) -> Callable[[str], str]:
    """Return a function that removes secrets and student data from a text to report."""

    def redact(text: str) -> str:
        inputs = [path for path in workspace.input.rglob("*") if path.is_file()]
        try:
            text = mask_words_of(inputs, workspace.bundle, text)
        except OSError:
            return "(left out, as the input could not be read to keep students out of it)"
        return redactor.redact(text)

    return redact


def _as_failure(error: BaseException, environment: Environment) -> StepFailed:
    """Return the failure to report for whatever ended a run."""
    if is_no_space(error):
        code, fields = (error.code, error.fields) if isinstance(error, StepFailed) else ("", {})
        failure = StepFailed(code or "unknown", NO_SPACE, **fields)
        failure.__cause__ = error
        return failure
    if isinstance(error, StepFailed):
        return error
    if isinstance(error, Refused):
        return StepFailed("unknown", f"The app did not take a report: {error}.")
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
