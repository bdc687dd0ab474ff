"""Mark jobs as resolved (nothing is left to do), and undo it.

Starting a run undoes it as well: see lifecycle.start_run.
"""

from collections.abc import Collection, Iterable
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from earthbeam.jobs.status import NEEDS_ATTENTION, JobStatus, status_of
from earthbeam.models import Job

RESOLVABLE = (JobStatus.WAITING, *NEEDS_ATTENTION)
"""Jobs that are complete, queued, or running have nothing to resolve."""

Outcome = dict[Job, JobStatus]
"""Jobs, each with the status it had when it was decided on."""


def resolve(jobs: Iterable[UUID], by: User) -> Outcome:
    """Mark those of ``jobs`` as resolved that had one of RESOLVABLE. Leaves the others alone."""
    return _decide(jobs, RESOLVABLE, resolved_at=timezone.now(), resolved_by=by)


def unresolve(jobs: Iterable[UUID]) -> Outcome:
    """Restore the last run's status of those of ``jobs`` that were RESOLVED."""
    return _decide(jobs, [JobStatus.RESOLVED], resolved_at=None, resolved_by=None)


def _decide(jobs: Iterable[UUID], only_if: Collection[JobStatus], **changes: object) -> Outcome:
    with transaction.atomic():
        # Lock first, then read: a run that starts meanwhile either waits or is seen.
        locked = Job.objects.select_for_update(no_key=True).filter(pk__in=list(jobs))
        keys = list(locked.order_by("pk").values_list("pk", flat=True))
        rows = Job.objects.filter(pk__in=keys).select_related("last_run", "tenant")
        outcome = {job: status_of(job) for job in rows}
        changed = [job.pk for job, status in outcome.items() if status in only_if]
        Job.objects.filter(pk__in=changed).update(**changes)
    return outcome
