"""The list of jobs: the request, its status, where the rows went, and who submitted it."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import localtime

from earthbeam.admin.jobs.bulk_actions import JobBulkActions
from earthbeam.admin.lists.filters import (
    ApiClientFilter,
    BundleFilter,
    EduFilter,
    JobStatusFilter,
    PersonFilter,
)
from earthbeam.admin.lists.search import JobSearch
from earthbeam.jobs.status import label_of, status_of
from earthbeam.models import Job, Run, RunMatches
from partners.list_filters import PartnerFilter, TenantFilter

RELATED = (
    *("tenant", "school_year", "created_by"),
    *("last_run__matches", "last_run__unmatched_ids"),
)
"""What a job's line needs, for ``select_related``."""


class JobList(JobBulkActions, JobSearch):
    """A mixin for the admin of jobs."""

    list_display = ["assessment", "shown_status", "district", "rows", "created"]
    list_filter = [
        JobStatusFilter,
        PartnerFilter.at("tenant__partner"),
        TenantFilter.at("tenant"),
        "school_year",
        BundleFilter.at("bundle"),
        EduFilter,
        "created_at",
        PersonFilter.at("created_by"),
        ApiClientFilter.at("api_client"),
    ]
    list_select_related = RELATED
    search_fields = ["id"]  # enables the search; lists/search.py decides what it finds
    search_help_text = (
        "Search by job or run ID (from its start), or by any part of a file name, assessment, "
        "tenant, or note."
    )
    ordering = ["-created_at"]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        rows: QuerySet[Job] = changelist.result_list
        changelist.result_list = rows.prefetch_related("files")
        return changelist

    @admin.display(ordering="bundle__display_name")
    def assessment(self, obj: Job) -> SafeString:
        name = obj.bundle_template.get("display_name", obj.bundle_id)
        files = ", ".join(file.name for file in obj.files.all())
        return format_html('{}<br><span class="rw-quiet">{}</span>', name, files)

    @admin.display(description="status")
    def shown_status(self, obj: Job) -> SafeString:
        return pill(obj)

    @admin.display(description="tenant", ordering="tenant__code")
    def district(self, obj: Job) -> SafeString:
        return _lines(str(obj.tenant), str(obj.school_year))

    def rows(self, obj: Job) -> SafeString | str:
        """Where the rows of the last run went."""
        return _lines(*row_counts(obj)) or "-"

    @admin.display(ordering="created_at")
    def created(self, obj: Job) -> SafeString:
        at = date_format(localtime(obj.created_at), "DATETIME_FORMAT")
        return _lines(at, _who(obj))


def pill(job: Job) -> SafeString:
    """The job's status in its color."""
    return format_html('<span class="rw-pill {}">{}</span>', status_of(job).tone, label_of(job))


def matches_of(job: Job) -> RunMatches | None:
    """Return where the rows of the job's last run went, if it reported that."""
    return getattr(job.last_run, "matches", None)


def row_counts(job: Job) -> list[str]:
    """In a few words each, where the rows of the job's last run went, or would go."""
    matches = matches_of(job)
    unmatched = job.last_run.unmatched_rows if job.last_run else None
    parts = []
    if matches and not job.send_to_ods:
        parts.append(f"{matches.cross_year_matched:,} matched")
    elif matches:
        previewed = job.last_run is not None and job.last_run.kind == Run.Kind.PREVIEW
        parts.append(f"{matches.ods_matched:,} {'for' if previewed else 'to'} the ODS")
        if matches.refused_rows:
            parts.append(f"{matches.refused_rows:,} refused")
        if matches.cross_year_matched:
            parts.append(f"{matches.cross_year_matched:,} matched to a prior year")
    if unmatched:
        parts.append(f"{unmatched:,} unmatched")
    return parts


def _who(job: Job) -> str:
    if job.created_by:
        return job.created_by.get_full_name() or job.created_by.get_username()
    return f"{job.api_client} (API)" if job.api_client else ""


def _lines(*parts: str) -> SafeString:
    return format_html_join(mark_safe("<br>"), "{}", ((part,) for part in parts if part))
