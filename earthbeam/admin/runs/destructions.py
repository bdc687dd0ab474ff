"""Records of what retention has destroyed, to read."""

from django.contrib import admin
from django.http import HttpRequest

from earthbeam.models import Destruction
from partners.list_filters import PartnerFilter
from partners.scoped_admin import ScopedAdmin

_FIELDS = ("at", "what", "files", "rule", "job", "tenant", "partner")


@admin.register(Destruction)
class DestructionAdmin(ScopedAdmin):
    partner_lookup = "partner"
    list_display = _FIELDS
    list_filter = ["what", PartnerFilter.at("partner"), "at"]
    list_select_related = ["partner"]
    search_fields = ["=job", "=tenant"]
    search_help_text = "Search by a whole job ID or tenant code."
    fields = _FIELDS
    readonly_fields = _FIELDS

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Destruction | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Destruction | None = None) -> bool:
        return False
