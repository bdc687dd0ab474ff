"""Runs and everything they reported, read-only."""

import json
from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from earthbeam.admin.jobs import files
from earthbeam.admin.lists.filters import BundleFilter
from earthbeam.admin.lists.read_only import ReadOnlyInline
from earthbeam.admin.lists.search import MOST, WordSearch
from earthbeam.admin.runs.output_sets import file_links
from earthbeam.models import (
    Job,
    OutputFile,
    OutputSet,
    ResourceSummary,
    Run,
    RunError,
    RunLog,
    RunMatches,
    RunUpdate,
    UnmatchedIds,
)
from partners import audit, scoping
from partners.list_filters import PartnerFilter, TenantFilter
from partners.scoped_admin import ScopedAdmin

_PRE = '<pre class="rw-log">{}</pre>'

_FOLDED = "<details><summary>{}</summary>" + _PRE + "</details>"


def _folded(title: str, text: str) -> SafeString | str:
    return format_html(_FOLDED, title, text) if text else ""


_FIELDS = (
    *("id", "job_page", "status", "created_at", "launched_at", "started_at", "ended_at"),
    *("timeout_seconds", "launch_reference", "bundle_commit"),
)


class UpdateInline(ReadOnlyInline):
    model = RunUpdate
    fields = ["action", "status", "at"]


class ErrorInline(ReadOnlyInline):
    model = RunError
    fields = ["code", "details", "at"]

    def details(self, obj: RunError) -> SafeString:
        """The payload, with the stack trace on separate lines."""
        fields = dict(obj.payload)
        trace = fields.pop("stacktrace", None)
        text = json.dumps(fields, indent=1, ensure_ascii=False) if fields else ""
        return format_html(
            "{}{}", format_html(_PRE, text), _folded("Stack trace", str(trace or ""))
        )


class PlainErrorInline(ErrorInline):
    """For users, who have no use for a stack trace."""

    fields = ["code", "at"]


class MatchesInline(ReadOnlyInline):
    model = RunMatches


class UnmatchedIdsInline(ReadOnlyInline):
    model = UnmatchedIds


class SummaryInline(ReadOnlyInline):
    model = ResourceSummary


class OutputSetInline(ReadOnlyInline):
    model = OutputSet
    fields = ["sent_to_ods", "links", "created_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OutputSet]:
        return super().get_queryset(request).select_related("run__job__tenant")

    @admin.display(description="files")
    def links(self, obj: OutputSet) -> SafeString:
        return file_links(obj)


class OutputFileInline(ReadOnlyInline):
    model = OutputFile
    fields = ["file", "size"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OutputFile]:
        return super().get_queryset(request).select_related("run")

    def file(self, obj: OutputFile) -> SafeString:
        return files.link(obj.run.job_id, f"output/{obj.path}", obj.path)


class LogInline(ReadOnlyInline):
    model = RunLog
    fields = ["output"]

    def output(self, obj: RunLog) -> SafeString | str:
        return _folded("Run log", obj.text)


@admin.register(Run)
class RunAdmin(WordSearch, ScopedAdmin):
    partner_lookup = "job__tenant__partner"
    tenant_lookup = "job__tenant"
    job_lookup = "job__"
    id_lookups = {"pk": Run, "job": Job}
    list_display = ["id", "bundle", "tenant", "school_year", "status", "created_at", "duration"]
    list_filter = [
        "status",
        PartnerFilter.at("job__tenant__partner"),
        TenantFilter.at("job__tenant"),
        "job__school_year",
        BundleFilter.at("job__bundle"),
        "created_at",
    ]
    search_fields = ["id"]  # enables the search; lists/search.py decides what it finds
    search_help_text = (
        "Search by run or job ID (from its start), by error code, or by any part of an assessment "
        "or tenant name."
    )
    fields = _FIELDS
    readonly_fields = _FIELDS

    def get_inlines(self, request: HttpRequest, obj: Run | None) -> list[Any]:
        """Show stack traces and the log only to superusers and the partner's admins."""
        admin = obj is not None and scoping.administers(request.user, obj.job.tenant.partner_id)
        inlines = [
            *(ErrorInline if admin else PlainErrorInline, UpdateInline, MatchesInline),
            *(UnmatchedIdsInline, SummaryInline, OutputSetInline, OutputFileInline),
        ]
        return [*inlines, LogInline] if admin else inlines

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        answer = super().change_view(request, object_id, form_url, extra_context)
        run = self.get_object(request, object_id) if answer.status_code == 200 else None
        if run is not None and LogInline in self.get_inlines(request, run):
            audit.record(run.job, "run log viewed", run=str(run.pk))
        return answer

    def has_delete_permission(self, request: HttpRequest, obj: Run | None = None) -> bool:
        return False  # only with its job, or its files would stay

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        return super().get_queryset(request).select_related("job__tenant", "job__school_year")

    def keys_called(self, words: Sequence[str]) -> list[dict[str, Sequence[Any]]]:
        """Find runs also by the codes of their errors."""
        found = super().keys_called(words)
        failed = RunError.objects.filter(code__in=words).order_by("-at")
        for run, code in failed.values_list("run", "code")[:MOST]:
            for word, keys in zip(words, found, strict=True):
                if word == code:
                    keys["pk"] = [*keys["pk"], run]
        return found

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Run | None = None) -> bool:
        return False

    @admin.display(description="job")
    def job_page(self, obj: Run) -> SafeString:
        url = reverse("admin:earthbeam_job_change", args=[obj.job_id])
        return format_html('<a href="{}">{}</a>', url, obj.job)

    def bundle(self, obj: Run) -> str:
        return str(obj.job.bundle_template.get("display_name", obj.job.bundle_id))

    @admin.display(ordering="job__tenant")
    def tenant(self, obj: Run) -> str:
        return str(obj.job.tenant)

    @admin.display(ordering="job__school_year")
    def school_year(self, obj: Run) -> str:
        return str(obj.job.school_year)

    def duration(self, obj: Run) -> str:
        """From the executor's first report to the end, or to now."""
        if obj.started_at is None:
            return "-"
        taken = (obj.ended_at or timezone.now()) - obj.started_at
        return str(taken).partition(".")[0]
