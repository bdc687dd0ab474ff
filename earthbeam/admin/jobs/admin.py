"""Jobs in the admin. Each screen has its own module."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from earthbeam.admin.jobs.list import JobList
from earthbeam.admin.jobs.new import NewJob
from earthbeam.admin.jobs.page import JobPage
from earthbeam.admin.jobs.previewed import JobPreviewed
from earthbeam.admin.jobs.refused import JobRefused
from earthbeam.admin.jobs.unmatched import JobUnmatched
from earthbeam.admin.jobs.withdraw import JobWithdraw
from earthbeam.jobs import deletion
from earthbeam.models import Job


@admin.register(Job)
class JobAdmin(JobList, NewJob, JobUnmatched, JobRefused, JobPreviewed, JobWithdraw, JobPage):
    partner_lookup = "tenant__partner"
    tenant_lookup = "tenant"

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        """Protect jobs with a run in progress or on legal hold, which the page then reports."""
        # Permission to delete a job covers what belongs to it, which cannot be deleted separately.
        listed, counts, _, protected = super().get_deleted_objects(objs, request)
        busy = [f"{job} (its run is in progress)" for job in deletion.in_progress(list(objs))]
        held = [f"{job} (it is on legal hold)" for job in deletion.on_hold(list(objs))]
        return listed, counts, set(), [*protected, *busy, *held]

    def delete_model(self, request: HttpRequest, obj: Job) -> None:
        deletion.delete_jobs([obj.pk])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        deletion.delete_jobs(queryset.values_list("pk", flat=True))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except deletion.CannotDelete:
            return self._begun_meanwhile(request)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().changelist_view(request, extra_context)
        except deletion.CannotDelete:
            return self._begun_meanwhile(request)

    def _begun_meanwhile(self, request: HttpRequest) -> HttpResponse:
        self.message_user(
            request,
            "Nothing was deleted: in the meantime, a run of one of these jobs has started, or one "
            "was put on legal hold. Try again later.",
            messages.ERROR,
        )
        return HttpResponseRedirect(reverse("admin:earthbeam_job_changelist"))

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False
