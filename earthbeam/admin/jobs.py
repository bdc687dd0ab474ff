"""Jobs in the admin: each screen is a module of its own."""

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest

from earthbeam.admin.job_new import NewJob
from earthbeam.admin.job_page import JobPage
from earthbeam.errors import JobError
from earthbeam.jobs import start_run
from earthbeam.models import Job, Run


@admin.register(Job)
class JobAdmin(NewJob, JobPage):
    partner_lookup = "tenant__partner"
    tenant_lookup = "tenant"
    list_display = ["__str__", "tenant", "school_year", "last_run", "created_by", "created_at"]
    list_filter = [
        "created_at",
        "send_to_ods",
        ("school_year", admin.RelatedOnlyFieldListFilter),
        ("bundle", admin.RelatedOnlyFieldListFilter),
        ("tenant__partner", admin.RelatedOnlyFieldListFilter),
        ("tenant", admin.RelatedOnlyFieldListFilter),
    ]
    list_select_related = ["tenant", "school_year", "created_by"]
    search_fields = ["id", "bundle__display_name", "tenant__code", "tenant__name", "files__name"]
    actions = ["run_again"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        runs = Run.objects.filter(job=OuterRef("pk")).order_by("-created_at")
        return super().get_queryset(request).annotate(_last_run=Subquery(runs.values("status")[:1]))

    @admin.display(ordering="_last_run")
    def last_run(self, obj: Any) -> str:
        return Run.Status(obj._last_run).label if obj._last_run else "-"

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False

    @admin.action(description="Run again", permissions=["add"])
    def run_again(self, request: HttpRequest, rows: QuerySet[Job]) -> None:
        for job in rows:
            try:
                start_run(job, started_by=cast(User, request.user))
            except JobError as error:
                self.message_user(request, f"{job}: {error}", messages.ERROR)
            else:
                self.message_user(request, f"{job}: a run is queued.", messages.SUCCESS)
