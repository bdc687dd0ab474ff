"""Calling jobs resolved: somebody says that nothing is left to do; and taking that back.

Whoever starts a run takes it back as well: see jobs.start_run.
"""

from collections.abc import Collection, Iterable
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from earthbeam.jobs.status import NEEDS_SOMEBODY, JobStatus, status_of
from earthbeam.models import Job

RESOLVABLE = (JobStatus.WAITING, *NEEDS_SOMEBODY)
"""What is complete, or still at work, leaves nothing to call resolved."""

Outcome = dict[Job, JobStatus]
"""The jobs, each with the status that it had when it was decided on."""


def resolve(jobs: Iterable[UUID], by: User) -> Outcome:
    """Call those of ``jobs`` resolved that had one of RESOLVABLE; the others stay as they were."""
    return _decide(jobs, RESOLVABLE, resolved_at=timezone.now(), resolved_by=by)


def unresolve(jobs: Iterable[UUID]) -> Outcome:
    """Give those of ``jobs`` that were RESOLVED the status of their last run again."""
    return _decide(jobs, [JobStatus.RESOLVED], resolved_at=None, resolved_by=None)


def _decide(jobs: Iterable[UUID], only_if: Collection[JobStatus], **changes: object) -> Outcome:
    with transaction.atomic():
        # First the locks, then what the rows say: a run that starts meanwhile waits, or is seen.
        locked = Job.objects.select_for_update(no_key=True).filter(pk__in=list(jobs))
        keys = list(locked.order_by("pk").values_list("pk", flat=True))
        rows = Job.objects.filter(pk__in=keys).select_related("last_run", "tenant")
        outcome = {job: status_of(job) for job in rows}
        changed = [job.pk for job, status in outcome.items() if status in only_if]
        Job.objects.filter(pk__in=changed).update(**changes)
    return outcome
