"""Take back what a job has loaded: what would be deleted, and a number to be typed."""

from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_http_methods

from earthbeam.admin.jobs.actions import JobActions
from earthbeam.errors import JobError, NothingToWithdraw
from earthbeam.jobs import later_runs, withdrawal
from earthbeam.models import Job
from partners import audit, scoping

_MOST_STUDENTS = 200
"""Students whose IDs the page lists."""


def may_withdraw(user: User | AnonymousUser, job: Job) -> bool:
    """Whether the person may withdraw the jobs that they see of this partner."""
    partner = job.tenant.partner
    return partner.users_may_withdraw or scoping.administers(user, partner.pk)


class JobWithdraw(JobActions):
    """A mixin for the admin of jobs."""

    def get_urls(self) -> list[URLPattern]:
        view = require_http_methods(["GET", "POST"])(self._withdraw)
        own = path(
            "<uuid:job_id>/withdraw/",
            self.admin_site.admin_view(view),
            name="earthbeam_job_withdraw",
        )
        return [own, *super().get_urls()]

    def _withdraw(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        job = self.job_or_404(request, job_id)
        if not self.has_add_permission(request) or not may_withdraw(request.user, job):
            raise PermissionDenied
        try:
            plan = withdrawal.plan(job)
        except NothingToWithdraw as reason:
            return self._show_withdrawal(request, job, {"why_not": str(reason)})
        except OSError:
            why_not = "The job's files cannot be read right now. Try again later."
            return self._show_withdrawal(request, job, {"why_not": why_not})
        problem = ""
        if request.method == "POST":
            if request.POST.get("typed", "").replace(",", "").strip() == str(plan.total):
                return self._start_withdrawal(request, job, plan)
            problem = f"Nothing was withdrawn. Type the number of records to delete: {plan.total}."
        audit.record(job, "withdrawal viewed", run=str(job.last_run_id))
        students = sorted(plan.students)
        context = {
            "plan": plan,
            "students": students[:_MOST_STUDENTS],
            "more_students": max(0, len(students) - _MOST_STUDENTS),
            "left": sorted(plan.left.items(), key=lambda each: each[0].created_at),
            "problem": problem,
            "typed": request.POST.get("typed", ""),
        }
        return self._show_withdrawal(request, job, context, status=422 if problem else 200)

    def _start_withdrawal(
        self, request: HttpRequest, job: Job, plan: withdrawal.Withdrawal
    ) -> HttpResponse:
        try:
            later_runs.start_withdrawal(job, started_by=cast(User, request.user))
        except JobError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            did = f"Started to withdraw {plan.total} records."
            self.log_change(request, job, did)
            audit.record(job, "withdrawal started", records=plan.total)
            self.message_user(request, did, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:earthbeam_job_change", args=[job.pk]))

    def _show_withdrawal(
        self, request: HttpRequest, job: Job, context: dict[str, Any], status: int = 200
    ) -> HttpResponse:
        return self.show_subpage(
            request, job, "withdraw", "Withdraw this job", context, status=status
        )
