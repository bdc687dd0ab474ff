"""Jobs: submit them, see their files and runs, run them again."""

from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import OuterRef, QuerySet, Subquery
from django.forms import ModelForm
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from earthbeam.admin import files
from earthbeam.admin.job_form import JobForm, bundles_of, job_form_class
from earthbeam.admin.job_unmatched import JobUnmatched
from earthbeam.admin.read_only import ReadOnlyInline
from earthbeam.errors import JobError
from earthbeam.jobs import start_run
from earthbeam.models import Bundle, Job, JobFile, Run
from partners.scoped_admin import ScopedAdmin


class JobFileInline(ReadOnlyInline):
    model = JobFile
    fields = ["template_key", "file", "size"]

    def file(self, obj: JobFile) -> SafeString | str:
        if obj.size is None:
            return obj.name
        return files.link(obj.job_id, f"input/{obj.stored_name}", obj.name)


class RunInline(ReadOnlyInline):
    model = Run
    fields = ["run", "status", "created_at", "started_at", "ended_at"]

    def run(self, obj: Run) -> SafeString:
        url = reverse("admin:earthbeam_run_change", args=[obj.pk])
        return format_html('<a href="{}">{}</a>', url, obj.pk)


@admin.register(Job)
class JobAdmin(JobUnmatched, ScopedAdmin):
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
    readonly_fields = [
        *("id", "tenant", "school_year", "bundle", "bundle_branch", "send_to_ods"),
        *("input_params", "created_by", "api_client", "created_at"),
    ]
    actions = ["run_again"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        runs = Run.objects.filter(job=OuterRef("pk")).order_by("-created_at")
        return super().get_queryset(request).annotate(_last_run=Subquery(runs.values("status")[:1]))

    @admin.display(ordering="_last_run")
    def last_run(self, obj: Any) -> str:
        return Run.Status(obj._last_run).label if obj._last_run else "-"

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False

    def get_inlines(self, request: HttpRequest, obj: Job | None) -> list[Any]:
        return [JobFileInline, RunInline] if obj else []

    # --- Submitting: choose the bundle, then fill in what it asks for --------------------------

    def get_form(
        self, request: HttpRequest, obj: Job | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is not None:
            return super().get_form(request, obj, change, **kwargs)
        return job_form_class(cast(User, request.user), self._chosen_bundle(request))

    def get_fields(self, request: HttpRequest, obj: Job | None = None) -> list[Any]:
        if obj is not None:
            return list(self.readonly_fields)
        return list(self.get_form(request).base_fields)

    def get_readonly_fields(self, request: HttpRequest, obj: Job | None = None) -> list[str]:
        return list(self.readonly_fields) if obj else []

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        bundle = self._chosen_bundle(request)
        if bundle is None and request.method == "POST" and self.has_add_permission(request):
            form = self.get_form(request)(request.POST)
            if form.is_valid():
                query = urlencode({"bundle": form.cleaned_data["bundle"].pk})
                return HttpResponseRedirect(f"{request.path}?{query}")
        title = f"Submit a job: {bundle}" if bundle else "Submit a job"
        context = {
            "title": title,
            "show_save_and_add_another": False,
            "show_save_and_continue": False,
            **(extra_context or {}),
        }
        # The full path: the bundle is part of it.
        return super().add_view(request, request.get_full_path(), context)

    def save_form(self, request: HttpRequest, form: ModelForm, change: bool) -> Any:
        assert isinstance(form, JobForm)
        form.instance = form.submit()
        return form.instance

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Submitting has done it."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Submitting has done it."""

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> list[Any]:
        return [{"added": {}}]

    def response_add(
        self, request: HttpRequest, obj: Job, post_url_continue: str | None = None
    ) -> HttpResponse:
        self.message_user(request, "The job was submitted; its run is queued.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:earthbeam_job_change", args=[obj.pk]))

    def _chosen_bundle(self, request: HttpRequest) -> Bundle | None:
        chosen = request.GET.get("bundle")
        user = cast(User, request.user)  # admin pages are for people who are logged in
        return bundles_of(user).filter(pk=chosen).first() if chosen else None

    # --- Running again, and files ---------------------------------------------------------------

    @admin.action(description="Run again", permissions=["add"])
    def run_again(self, request: HttpRequest, rows: QuerySet[Job]) -> None:
        for job in rows:
            try:
                start_run(job, started_by=cast(User, request.user))
            except JobError as error:
                self.message_user(request, f"{job}: {error}", messages.ERROR)
            else:
                self.message_user(request, f"{job}: a run is queued.", messages.SUCCESS)

    def get_urls(self) -> list[URLPattern]:
        own = path(
            "<uuid:job_id>/files/<path:key>",
            self.admin_site.admin_view(self.download),
            name=files.URL_NAME,
        )
        return [own, *super().get_urls()]

    def download(self, request: HttpRequest, job_id: UUID, key: str) -> FileResponse:
        """A file of a job that the person may see; of any other job there is none."""
        return files.response(
            request, get_object_or_404(self.get_queryset(request), pk=job_id), key
        )
