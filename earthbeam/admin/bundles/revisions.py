"""Revisions of the bundle repository: which is in use, which are available, and what differs."""

from typing import Any, ClassVar, cast

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from earthbeam.admin.bundles.last_sync import LastSync
from earthbeam.bundles import revisions
from earthbeam.models import BundleRevision
from partners.scoped_admin import SuperuserAdmin

_CHANGES = {"A": "added", "M": "changed", "D": "deleted"}


@admin.register(BundleRevision)
class BundleRevisionAdmin(LastSync, SuperuserAdmin):
    """For superusers only, since a bundle is code that runs with students' data."""

    list_display = ["short_commit", "branch", "state", "files", "synced_at"]
    list_filter = ["branch", "is_current"]
    fields: ClassVar[Any] = [
        "commit",
        "branch",
        "state",
        "synced_at",
        "current_since",
        "approved_by",
        "changed_files",
        "difference",
    ]
    readonly_fields = fields
    change_form_template = "admin/earthbeam/bundlerevision/change_form.html"
    actions = None

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self._make_current))
        name = "earthbeam_bundlerevision_make_current"
        return [path("<int:revision_id>/make-current/", view, name=name), *super().get_urls()]

    def _make_current(self, request: HttpRequest, revision_id: int) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        revision = get_object_or_404(BundleRevision, pk=revision_id)
        revisions.make_current(revision, by=cast(User, request.user))
        self.log_change(request, revision, "Made current.")
        self.message_user(
            request,
            f"Runs that start from now on use commit {revision.commit[:12]}.",
            messages.SUCCESS,
        )
        return HttpResponseRedirect(reverse("admin:earthbeam_bundlerevision_changelist"))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        context = {
            "title": "Bundle revision",
            "show_save": False,
            "show_save_and_continue": False,
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # only which one is current can change

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="commit", ordering="pk")
    def short_commit(self, obj: BundleRevision) -> str:
        return obj.commit[:12]

    def state(self, obj: BundleRevision) -> str:
        if obj.is_current:
            return "Current"
        if obj.declined_at:
            return "Declined"
        if obj.current_since:
            return "Earlier"
        return "Available" if obj.branch == settings.BUNDLE_BRANCH else "Other branch"

    def files(self, obj: BundleRevision) -> str:
        return f"{len(obj.changes):,} changed" if obj.changes else "-"

    def changed_files(self, obj: BundleRevision) -> SafeString:
        """The changes by file, against the revision that was current at the sync."""
        lines = (line.partition("\t") for line in obj.changes)
        rows = ((_CHANGES.get(kind, kind), name) for kind, _, name in lines)
        return format_html_join("", "<div>{}: {}</div>", rows) or SafeString("-")

    def difference(self, obj: BundleRevision) -> SafeString:
        return (
            format_html('<pre class="rw-log">{}</pre>', obj.diff) if obj.diff else SafeString("-")
        )
