"""Actions on many jobs at once, with messages about how many succeeded and why others did not."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest

from earthbeam.errors import JobError
from earthbeam.jobs import resolution
from earthbeam.jobs.lifecycle import cancel_run, start_run
from earthbeam.jobs.status import JobStatus
from earthbeam.models import Job, Run

MAX_AT_ONCE = 500
"""The most jobs per action. Each takes some milliseconds while the person waits."""

_SHOWN = 3


class JobBulkActions(admin.ModelAdmin):
    """A mixin for the admin of jobs. Anyone who may submit jobs may use it on those they see.

    Django gives an action only the rows of ``get_queryset``, so each is scoped.
    """

    actions = ["run_again", "cancel", "resolve", "unresolve"]

    @admin.action(description="Run again", permissions=["add"])
    def run_again(self, request: HttpRequest, rows: QuerySet[Job]) -> None:
        def run(job: Job) -> str | None:
            try:
                start_run(job, started_by=cast(User, request.user))
            except JobError as error:
                return str(error)
            return None

        self._each(request, rows, run, done="A run is queued for {}.", note="Ran the job again.")

    @admin.action(description="Cancel the run in progress", permissions=["add"])
    def cancel(self, request: HttpRequest, rows: QuerySet[Job]) -> None:
        def end(job: Job) -> str | None:
            run = job.last_run
            if run is None or run.status not in Run.UNFINISHED:
                return "No run was in progress."
            if not cancel_run(run, by=request.user.get_username()):
                return "The run ended before it could be cancelled."
            return None

        self._each(request, rows, end, done="{} cancelled.", note="Cancelled the run.")

    @admin.action(description="Mark as resolved", permissions=["add"])
    def resolve(self, request: HttpRequest, rows: QuerySet[Job]) -> None:
        jobs = self._taken(request, rows)
        outcome = resolution.resolve(jobs, by=cast(User, request.user))
        reasons = {
            JobStatus.RESOLVED: "It was already marked as resolved.",
            JobStatus.COMPLETE: "It is complete, so there was nothing to resolve.",
            JobStatus.PREVIEWED: "It is not loaded yet, so there was nothing to resolve.",
            JobStatus.WITHDRAWN: "It was withdrawn, so there was nothing to resolve.",
            JobStatus.QUEUED: "Its run is queued. Cancel it, or wait until it ends.",
            JobStatus.RUNNING: "Its run is in progress. Cancel it, or wait until it ends.",
        }
        self._tell_of_many(
            request,
            {job: reasons.get(status) for job, status in outcome.items()},
            done="{} marked as resolved.",
            note="Marked the job as resolved.",
        )

    @admin.action(description="Reopen", permissions=["add"])
    def unresolve(self, request: HttpRequest, rows: QuerySet[Job]) -> None:
        outcome = resolution.unresolve(self._taken(request, rows))
        self._tell_of_many(
            request,
            {
                job: None if status == JobStatus.RESOLVED else "It was not marked as resolved."
                for job, status in outcome.items()
            },
            done="{} reopened.",
            note="Reopened the job.",
        )

    def _each(
        self,
        request: HttpRequest,
        rows: QuerySet[Job],
        do: Callable[[Job], str | None],
        *,
        done: str,
        note: str,
    ) -> None:
        jobs = self._taken(request, rows)
        found = Job.objects.filter(pk__in=jobs).select_related("last_run", "tenant", "school_year")
        self._tell_of_many(request, {job: do(job) for job in found}, done=done, note=note)

    def _taken(self, request: HttpRequest, rows: QuerySet[Job]) -> list[Any]:
        """Return the keys of the newest MAX_AT_ONCE of ``rows``. Reports if there are more."""
        keys = list(rows.order_by("-created_at").values_list("pk", flat=True)[: MAX_AT_ONCE + 1])
        if len(keys) > MAX_AT_ONCE:
            self.message_user(
                request,
                f"This was done for the newest {MAX_AT_ONCE} of the jobs you selected. Repeat the "
                "action for the others.",
                messages.WARNING,
            )
        return keys[:MAX_AT_ONCE]

    def _tell_of_many(
        self, request: HttpRequest, outcome: dict[Job, str | None], *, done: str, note: str
    ) -> None:
        """Record the action in the history of each changed job, and report why others were not."""
        jobs = [job for job, reason in outcome.items() if reason is None]
        if jobs:
            by = cast(User, request.user).pk
            LogEntry.objects.log_actions(by, jobs, CHANGE, note, single_object=False)
            self.message_user(request, done.format(_count(len(jobs))), messages.SUCCESS)
        refused = defaultdict(list)
        for job, reason in outcome.items():
            if reason is not None:
                refused[reason].append(job)
        for reason, others in refused.items():
            self.message_user(request, f"Skipped {_named(others)}: {reason}", messages.ERROR)


def _count(number: int) -> str:
    return "1 job" if number == 1 else f"{number} jobs"


def _named(jobs: Iterable[Job]) -> str:
    """Return the names of some jobs, and how many more there are."""
    names = [f"{_assessment(job)} of {job.tenant.name or job.tenant.code}" for job in jobs]
    shown = "; ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _assessment(job: Job) -> str:
    return str(job.bundle_template.get("display_name", job.bundle_id))
