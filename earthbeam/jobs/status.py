"""A job's status, with its label for people and clients, and the query for jobs that have it.

A job's status is its last run's, unless somebody marked the job as resolved.
"""

from django.db.models import Q, TextChoices

from earthbeam.models import Job, Run


class JobStatus(TextChoices):
    """In the order in which a job goes through them."""

    WAITING = "waiting", "Waiting for files"
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    ERROR = "error", "Error"
    COMPLETE_WITH_ERRORS = "complete_with_errors", "Complete with errors"
    COMPLETE_UNMATCHED = "complete_unmatched", "Complete, some unmatched"
    COMPLETE = "complete", "Complete"
    PREVIEWED = "previewed", "Previewed, not loaded"
    WITHDRAWN = "withdrawn", "Withdrawn"
    RESOLVED = "resolved", "Resolved"

    @property
    def tone(self) -> str:
        """The class of runway.css that colors it."""
        return _TONES[self]


_TONES = {
    JobStatus.WAITING: "rw-idle",
    JobStatus.QUEUED: "rw-busy",
    JobStatus.RUNNING: "rw-busy",
    JobStatus.ERROR: "rw-bad",
    JobStatus.COMPLETE_WITH_ERRORS: "rw-flawed",
    JobStatus.COMPLETE_UNMATCHED: "rw-warn",
    JobStatus.COMPLETE: "rw-good",
    JobStatus.PREVIEWED: "rw-idle",
    JobStatus.WITHDRAWN: "rw-idle",
    JobStatus.RESOLVED: "rw-idle",
}

_LOADED = Q(last_run__status=Run.Status.SUCCESS, last_run__kind__in=Run.SENDING)
_ENDED_SO = {
    JobStatus.ERROR: Q(last_run__status=Run.Status.ERROR),
    JobStatus.COMPLETE_WITH_ERRORS: _LOADED & Q(last_run__has_errors=True),
    JobStatus.COMPLETE_UNMATCHED: _LOADED
    & Q(last_run__has_errors=False, last_run__has_problems=True),
    JobStatus.COMPLETE: _LOADED & Q(last_run__has_errors=False, last_run__has_problems=False),
    JobStatus.PREVIEWED: Q(last_run__status=Run.Status.SUCCESS, last_run__kind=Run.Kind.PREVIEW),
    JobStatus.WITHDRAWN: Q(last_run__status=Run.Status.SUCCESS, last_run__kind=Run.Kind.WITHDRAW),
}

NEEDS_ATTENTION = (
    JobStatus.ERROR,
    JobStatus.COMPLETE_WITH_ERRORS,
    JobStatus.COMPLETE_UNMATCHED,
)
"""Until somebody runs such a job again, or calls it resolved."""


def status_of(job: Job) -> JobStatus:
    """Return the job's status. Load ``job`` with ``select_related("last_run")``."""
    if job.resolved_at is not None:
        return JobStatus.RESOLVED
    run = job.last_run
    if run is None:
        return JobStatus.WAITING
    if run.outcome is None:
        return JobStatus.QUEUED if run.status == Run.Status.NEW else JobStatus.RUNNING
    return JobStatus(run.outcome)


def label_of(job: Job) -> str:
    """The job's status in words, such as ``Complete, 17 unmatched``.

    Read ``job`` with ``select_related("last_run__matches", "last_run__unmatched_ids")``.
    """
    if job.resolved_at is None and job.last_run is not None:
        return job.last_run.label
    return status_of(job).label


def has_outcome(outcome: str) -> Q:
    """The condition on jobs whose last run ended so, resolved or not."""
    return _ENDED_SO[JobStatus(outcome)]


def has_status(*statuses: str) -> Q:
    """Return the condition for jobs whose ``status_of`` is one of ``statuses``."""
    condition = Q(pk__in=[])
    for status in map(JobStatus, statuses):
        condition |= _condition(status)
    return condition


def _condition(status: JobStatus) -> Q:
    if status == JobStatus.RESOLVED:
        return Q(resolved_at__isnull=False)
    unresolved = Q(resolved_at__isnull=True)
    if status == JobStatus.WAITING:
        return unresolved & Q(last_run__isnull=True)
    if status == JobStatus.QUEUED:
        return unresolved & Q(last_run__status=Run.Status.NEW)
    if status == JobStatus.RUNNING:
        return unresolved & Q(last_run__status=Run.Status.RUNNING)
    return unresolved & _ENDED_SO[status]
