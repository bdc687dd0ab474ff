"""Output sets: what runs produced, sent to an ODS or left for sideloading."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from earthbeam import paths
from earthbeam.admin.jobs import files
from earthbeam.admin.lists.filters import BundleFilter
from earthbeam.admin.lists.search import WordSearch
from earthbeam.models import Job, OutputSet, Run
from partners.list_filters import PartnerFilter, TenantFilter
from partners.scoped_admin import ScopedAdmin

_FIELDS = ("uid", "run_page", "tenant", "sent_to_ods", "path", "links", "created_at")


def file_links(obj: OutputSet) -> SafeString:
    """Return links to the files of a set."""
    job = obj.run.job
    folder = paths.set_folder(obj)
    links = [files.link(job.pk, f"{folder}/{name}", name) for name in obj.files]
    return format_html_join("", "{}<br>", ((link,) for link in links))


@admin.register(OutputSet)
class OutputSetAdmin(WordSearch, ScopedAdmin):
    partner_lookup = "run__job__tenant__partner"
    tenant_lookup = "run__job__tenant"
    job_lookup = "run__job__"
    id_lookups = {"pk": OutputSet, "run": Run, "run__job": Job}
    list_display = ["uid", "run", "tenant", "sent_to_ods", "created_at"]
    list_filter = [
        "sent_to_ods",
        "run__status",
        PartnerFilter.at("partner"),
        TenantFilter.at("run__job__tenant"),
        "run__job__school_year",
        BundleFilter.at("run__job__bundle"),
        "created_at",
    ]
    search_fields = ["uid"]  # enables the search; lists/search.py decides what it finds
    search_help_text = (
        "Search by output set, run, or job ID (from its start), or by any part of an assessment "
        "or tenant name."
    )
    ordering = ["-created_at"]
    fields = _FIELDS
    readonly_fields = _FIELDS

    def get_queryset(self, request: HttpRequest) -> QuerySet[OutputSet]:
        return super().get_queryset(request).select_related("run__job__tenant")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: OutputSet | None = None) -> bool:
        return False  # only with its job, or its files would stay

    def has_change_permission(self, request: HttpRequest, obj: OutputSet | None = None) -> bool:
        return False

    def tenant(self, obj: OutputSet) -> str:
        return str(obj.run.job.tenant)

    @admin.display(description="run")
    def run_page(self, obj: OutputSet) -> SafeString:
        url = reverse("admin:earthbeam_run_change", args=[obj.run_id])
        return format_html('<a href="{}">{}</a>', url, obj.run)

    @admin.display(description="files")
    def links(self, obj: OutputSet) -> SafeString:
        return file_links(obj)
