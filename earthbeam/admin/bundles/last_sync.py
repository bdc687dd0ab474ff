"""The result of the latest bundle sync, shown above the lists that it fills."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from earthbeam.models import BundleSync


class LastSync(admin.ModelAdmin):
    """A mixin for the admin of synced models."""

    change_list_template = "admin/earthbeam/bundle/change_list.html"

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        sync = BundleSync.objects.filter(branch=settings.BUNDLE_BRANCH).first()
        return super().changelist_view(request, {"sync": sync, **(extra_context or {})})

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # only syncs add them: bundles/revisions.py
