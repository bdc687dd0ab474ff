"""Bundles, which partners may use them, and partners' own descriptor mappings."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse

from earthbeam.admin.bundles.last_sync import LastSync
from earthbeam.admin.lists.filters import BundleFilter
from earthbeam.models import Bundle, DescriptorMapping
from partners.list_filters import PartnerFilter
from partners.scoped_admin import ScopedAdmin


@admin.register(Bundle)
class BundleAdmin(LastSync, ScopedAdmin):
    """All admins see all bundles, and enable them for the partners that they administer."""

    list_display = ["display_name", "path", "in_registry"]
    list_filter = ["in_registry"]
    search_fields = ["display_name", "path"]
    fields = ["display_name", "path", "in_registry", "enabled_for", "template"]
    readonly_fields = ["display_name", "path", "in_registry", "template"]
    filter_horizontal = ["enabled_for"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Bundle]:
        return Bundle.objects.all()

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # Bundles are shared, so their history names people of all partners.
        if not request.user.is_superuser:
            raise PermissionDenied
        return super().history_view(request, object_id, extra_context)

    def save_related(
        self, request: HttpRequest, form: ModelForm, formsets: Any, change: bool
    ) -> None:
        """Keep it enabled for partners that the form did not offer."""
        offered = form.fields["enabled_for"].queryset  # type: ignore[attr-defined]
        others = list(form.instance.enabled_for.exclude(pk__in=offered))
        super().save_related(request, form, formsets, change)
        form.instance.enabled_for.add(*others)


@admin.register(DescriptorMapping)
class DescriptorMappingAdmin(ScopedAdmin):
    """Searches all mappings. They can only be replaced as a whole: partners/mappings.py."""

    list_display = ["descriptor_type", "edfi_descriptor", "local_descriptor", "bundle", "partner"]
    list_filter = [
        PartnerFilter.at("partner"),
        BundleFilter.at("bundle"),
        "descriptor_type",
    ]
    list_select_related = ["bundle", "partner"]
    search_fields = ["descriptor_type", "edfi_descriptor", "local_descriptor"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: DescriptorMapping | None = None
    ) -> bool:
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: DescriptorMapping | None = None
    ) -> bool:
        return False
