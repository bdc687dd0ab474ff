"""The worker's tasks: launch runs, reap lost ones, send notices of ended ones, and clean up.

Four kinds of tasks have separate queues, so that they do not delay the rest: launches, since with
the local launcher each takes as long as its run; notices, which wait for other servers; bundle
syncs, since git may take minutes to give up; and retention, which may have many files to delete.
`manage.py worker` serves all queues at once.
"""

import logging
from datetime import timedelta

from django.conf import settings
from django.core.management import call_command
from django.utils import timezone
from procrastinate import RetryStrategy, builtin_tasks
from procrastinate.contrib.django import app
from procrastinate.job_context import JobContext
from procrastinate.jobs import Status
from structlog.contextvars import bound_contextvars

from earthbeam.bundles import revisions
from earthbeam.errors import LauncherMisconfigured, LaunchFailed, RegistryError
from earthbeam.jobs import confirmed_students, deletion, retention, withdrawal
from earthbeam.launchers import get_launcher
from earthbeam.models import IdempotencyKey, RequestCount, Run
from earthbeam.notify import mails, notices
from earthbeam.runs import cross_year, reaper, states

logger = logging.getLogger(__name__)

LAUNCH_QUEUE, HOUSEKEEPING_QUEUE = "launch", "housekeeping"
BUNDLES_QUEUE, RETENTION_QUEUE = "bundles", "retention"
LAUNCH_RETRIES = 3
"""Retries after a first failure, with pauses of 5, 25, and 125 seconds."""
KEEP_QUEUE_JOBS_HOURS = 72
KEEP_IDEMPOTENCY_KEYS = timedelta(hours=24)


@app.task(
    name=reaper.LAUNCH_TASK,
    queue=LAUNCH_QUEUE,
    pass_context=True,
    retry=RetryStrategy(
        max_attempts=LAUNCH_RETRIES, exponential_wait=5, retry_exceptions=[LaunchFailed]
    ),
)
def launch_run(context: JobContext, run_id: str) -> None:
    """Start the run's executor. After the last try that failed the run ends as not started."""
    run = (
        Run.objects.select_related("job__tenant__partner", "job__school_year", "continues")
        .filter(pk=run_id)
        .first()
    )
    if run is None or run.status != Run.Status.NEW:
        logger.info("run %s is not waiting for its launch any more", run_id)
        return
    with bound_contextvars(
        run=run_id, job=str(run.job_id), partner=run.job.tenant.partner_id, task=context.job.id
    ):
        _launch(context, run)


def _launch(context: JobContext, run: Run) -> None:
    try:
        if run.continues_id is None:
            if reason := cross_year.must_wait(run):
                _wait_for_edu(run, reason)
                return
            confirmed_students.store_for(run)
        if run.kind == Run.Kind.WITHDRAW:
            withdrawal.store_for(run)
        get_launcher().launch(run, context.should_abort)
    except LaunchFailed as error:
        if context.job.attempts < LAUNCH_RETRIES:
            raise
        states.fail_to_start(run.id, {"message": str(error)})
    except Exception as error:
        # A fault of ours or of the configuration, which a retry does not fix. A run that has begun
        # is left to its executor and the reaper.
        message = f"The launcher failed ({type(error).__name__}); the worker's log says why."
        if isinstance(error, LauncherMisconfigured):
            message = str(error)
        states.fail_to_start(run.id, {"message": message})
        raise


def _wait_for_edu(run: Run, reason: str) -> None:
    """Have the launch tried again in a minute, or end the run that has waited long enough.

    A queue job of its own, so that a launch that fails later still has all of its retries.
    """
    if cross_year.has_waited_enough(run):
        states.fail_to_start(run.pk, {"message": cross_year.gave_up(reason)})
        return
    logger.warning("run %s waits for EDU: %s", run.pk, reason)
    seconds = int(cross_year.RETRY.total_seconds())
    launch_run.configure(schedule_in={"seconds": seconds}).defer(run_id=str(run.pk))


@app.periodic(cron="* * * * *")
@app.task(name="reap_runs", queue=HOUSEKEEPING_QUEUE, queueing_lock="reap_runs")
def reap_runs(timestamp: int) -> None:
    """Each minute: end the runs that nothing else will end."""
    reaper.reap()


@app.periodic(cron="* * * * *")
@app.task(name="watch_executors", queue=HOUSEKEEPING_QUEUE, queueing_lock="watch_executors")
def watch_executors(timestamp: int) -> None:
    """Each minute: check on the executors that no worker waits for."""
    get_launcher().watch()


@app.periodic(cron="* * * * *")
@app.task(name=notices.TASK, queue=notices.QUEUE, queueing_lock=notices.TASK)
def deliver_notices(timestamp: int) -> None:
    """Each minute, and when a run has ended: send the notices that are due."""
    notices.deliver_due()


@app.periodic(cron="* * * * *")
@app.task(name=mails.TASK, queue=notices.QUEUE, queueing_lock=mails.TASK)
def send_mails(timestamp: int) -> None:
    """Each minute: send people the emails that are due."""
    mails.send_due()


@app.task(
    name=deletion.TASK,
    queue=HOUSEKEEPING_QUEUE,
    retry=RetryStrategy(max_attempts=20, exponential_wait=2, retry_exceptions=[OSError]),
)
def delete_job_files(job_id: str, name: str, location: str) -> None:
    """Delete the files of a deleted job. While the storage fails, retry for days."""
    deletion.delete_files(job_id, name, location)


@app.periodic(cron="37 * * * *")
@app.task(name="tidy_up", queue=HOUSEKEEPING_QUEUE, queueing_lock="tidy_up")
def tidy_up(timestamp: int) -> None:
    """Each hour: remove abandoned submissions' files, and what has expired: confirmations, notices,
    and sessions."""
    if count := deletion.delete_abandoned_submissions():
        logger.warning("Removed the files of %d submissions that were never finished", count)
    if count := confirmed_students.forget_expired():
        logger.info("Forgot %d confirmed students, which were kept long enough", count)
    notices.forget_old()
    call_command("clearsessions")


@app.periodic(cron="7 2 * * *")
@app.task(name="apply_retention", queue=RETENTION_QUEUE, queueing_lock="apply_retention")
def apply_retention(timestamp: int) -> None:
    """Each night: destroy what was kept long enough."""
    retention.apply()
    if count := retention.forget_audit():
        logger.info("Removed %d entries of the audit trail, which were kept long enough", count)


@app.periodic(cron="47 * * * *")
@app.task(name="forget_requests", queue=HOUSEKEEPING_QUEUE, queueing_lock="forget_requests")
def forget_requests(timestamp: int) -> None:
    """Each hour: delete the external API's expired records of requests."""
    now = timezone.now()
    IdempotencyKey.objects.filter(created_at__lt=now - KEEP_IDEMPOTENCY_KEYS).delete()
    RequestCount.objects.filter(minute__lt=now.timestamp() // 60 - 1).delete()


@app.periodic(cron="23 * * * *")
@app.task(name="sync_bundles", queue=BUNDLES_QUEUE, queueing_lock="sync_bundles")
def sync_bundles(timestamp: int) -> None:
    """Each hour: update the bundles. If that fails, they stay as they are."""
    try:
        report = revisions.sync(
            settings.BUNDLE_REPO, settings.BUNDLE_BRANCH, settings.BUNDLE_APPROVAL
        )
    except RegistryError as error:
        logger.error("Bundles stay as they are: %s", error)
        return
    if report.refused:
        logger.warning("Bundles: %s", report.in_words())
    elif report.added or report.changed or report.retired or report.available:
        logger.info("Bundles: %s", report.in_words())


@app.periodic(cron="17 3 * * *")
@app.task(
    name="purge_queue", queue=HOUSEKEEPING_QUEUE, queueing_lock="purge_queue", pass_context=True
)
async def purge_queue(context: JobContext, timestamp: int) -> None:
    """Each night: delete queue jobs that ended, or whose worker died, days ago. Runs stay.

    What deletes files is done again if its worker died: no one else would.
    """
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs():
        if job.task_name == deletion.TASK:
            await manager.retry_job(job)
        else:
            await manager.finish_job(job, status=Status.FAILED, delete_job=False)
    await builtin_tasks.remove_old_jobs(
        context,
        max_hours=KEEP_QUEUE_JOBS_HOURS,
        remove_failed=True,
        remove_cancelled=True,
        remove_aborted=True,
    )
