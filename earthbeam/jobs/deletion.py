"""Delete jobs with their reports and files, and delete files that have no job."""

import logging
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from earthbeam import paths
from earthbeam.files import fault, open_store
from earthbeam.models import Job, Run, Submission
from partners import audit

logger = logging.getLogger(__name__)

TASK = "delete_job_files"
ABANDONED_AFTER = timedelta(days=1)
"""No upload takes this long."""
LATE_SECONDS = 2 * 60 * 60
"""Longer than an upload link is valid."""


class CannotDelete(Exception):
    """Some of the jobs have a run in progress or are on legal hold, so nothing was deleted."""

    def __init__(self, jobs: list[Job]) -> None:
        super().__init__(f"{len(jobs)} of the jobs have a run in progress or are on legal hold.")
        self.jobs = jobs


def on_hold(jobs: Iterable[Job]) -> list[Job]:
    """Return the jobs that are on legal hold."""
    return [job for job in jobs if job.legal_hold]


def in_progress(jobs: Iterable[Job]) -> list[Job]:
    """Return the jobs whose run has not ended."""
    runs = Run.objects.filter(job__in=[job.pk for job in jobs], status__in=Run.UNFINISHED)
    busy = set(runs.values_list("job", flat=True))
    return [job for job in jobs if job.pk in busy]


def delete_jobs(ids: Iterable[UUID]) -> int:
    """Delete the jobs, and queue the deletion of their files in the same transaction.

    Locks each job. Starting a run takes the same lock, so either the run or the deletion comes
    first. If any run is in progress, or a job is on legal hold, raises CannotDelete and deletes
    nothing.
    """
    from earthbeam.tasks import delete_job_files  # imports the code that starts runs

    with transaction.atomic():
        locked = Job.objects.select_for_update(of=("self",)).filter(pk__in=list(ids))
        jobs = list(locked.select_related("tenant").order_by("pk"))
        if kept := [*in_progress(jobs), *on_hold(jobs)]:
            raise CannotDelete(kept)
        for job in jobs:
            audit.record(job, "job deleted", tenant=str(job.tenant), input_files=job.files.count())
            work = {
                "job_id": str(job.pk),
                "name": str(job),
                "location": paths.app_data_base_path(job),
            }
            delete_job_files.defer(**work)
            # Again later, for files that an open link or executor may still store.
            delete_job_files.configure(schedule_in={"seconds": LATE_SECONDS}).defer(**work)
        Job.objects.filter(pk__in=[job.pk for job in jobs]).delete()
    return len(jobs)


def delete_abandoned_submissions() -> int:
    """Delete the files of jobs that were never created because the process was killed.

    Returns the number of such jobs. Files that the storage fails to delete are retried later.
    """
    count = 0
    for submission in Submission.objects.filter(at__lt=timezone.now() - ABANDONED_AFTER):
        try:
            open_store(submission.location).clear()
        except OSError as error:
            logger.warning("files of %s are left: %s", submission, fault(error))
            continue
        submission.delete()
        count += 1
    return count


def delete_files(job_id: str, name: str, location: str) -> int:
    """Delete all files of a deleted job, and return how many. Raises OSError."""
    count = open_store(location).clear()
    gone = Job(pk=UUID(job_id), bundle_template={"display_name": name.rpartition(" ")[0]})
    if count:
        audit.record(gone, "files of a deleted job deleted", files=count)
    return count
