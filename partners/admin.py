"""Admin pages of partners and what belongs to them, for superusers and partner admins."""

from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import localize

from partners import edu_panel
from partners.forms import (
    CROSS_YEAR,
    IDENTITY_CHECKS,
    KEEP_CONFIRMED,
    KEEP_FILES,
    USERS_MAY_WITHDRAW,
    MembershipForm,
    PartnerForm,
)
from partners.list_filters import PartnerFilter
from partners.models import (
    Membership,
    Partner,
    SchoolYear,
    SchoolYearConfig,
    Tenant,
)
from partners.ods.admin import OdsConnectionAdmin
from partners.scoped_admin import ScopedAdmin, SuperuserAdmin

__all__ = [
    "MembershipAdmin",
    "OdsConnectionAdmin",
    "PartnerAdmin",
    "SchoolYearAdmin",
    "SchoolYearConfigAdmin",
    "TenantAdmin",
]

_by_partner = PartnerFilter.at("partner")


@admin.register(Partner)
class PartnerAdmin(edu_panel.EduPanel, ScopedAdmin):
    form = PartnerForm
    fields = [
        *("id", "name", CROSS_YEAR, IDENTITY_CHECKS, "identity_checks_set", KEEP_CONFIRMED),
        *KEEP_FILES,
        *(USERS_MAY_WITHDRAW, "descriptor_namespace"),
    ]
    partner_lookup = "pk"
    list_display = ["name", "id", "cross_year_match_enabled", "identity_checks"]
    list_filter = ["cross_year_match_enabled", "identity_checks"]
    search_fields = ["id", "name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Partner | None = None) -> list[str]:
        # The code is part of files' paths.
        return ["id", "identity_checks_set"] if obj else ["identity_checks_set"]

    @admin.display(description="Identity checks set")
    def identity_checks_set(self, partner: Partner) -> str:
        at, by = partner.identity_checks_changed_at, partner.identity_checks_changed_by
        return f"by {by}, {localize(timezone.localtime(at))}" if at else "never: they are off"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def save_model(self, request: HttpRequest, obj: Partner, form: ModelForm, change: bool) -> None:
        fields = set(form.changed_data)
        if CROSS_YEAR in fields:
            obj.cross_year_changed_at = timezone.now()
            obj.cross_year_changed_by = request.user.get_username()
            fields |= {"cross_year_changed_at", "cross_year_changed_by"}
        if IDENTITY_CHECKS in fields:
            obj.identity_checks_changed_at = timezone.now()
            obj.identity_checks_changed_by = request.user.get_username()
            fields |= {"identity_checks_changed_at", "identity_checks_changed_by"}
        # Only these: saving a generation from before a reset would undo the reset.
        obj.save(update_fields=fields if change else None)

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        """Return the history's message, with whether cross-year matching was turned on or off."""
        if CROSS_YEAR not in form.changed_data:
            return super().construct_change_message(request, form, formsets, add)
        turned = "on" if form.cleaned_data[CROSS_YEAR] else "off"
        others = [str(form.fields[name].label) for name in form.changed_data if name != CROSS_YEAR]
        also = f" {'Added' if add else 'Changed'} {', '.join(others)}." if others else ""
        return f"Turned cross-year matching {turned}.{also}"


@admin.register(Tenant)
class TenantAdmin(ScopedAdmin):
    list_display = ["code", "name", "partner"]
    list_filter = [_by_partner]
    list_select_related = ["partner"]
    search_fields = ["code", "name", "partner__id", "partner__name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Tenant | None = None) -> list[str]:
        # They are part of files' paths.
        return ["partner", "code"] if obj else []


@admin.register(SchoolYear)
class SchoolYearAdmin(SuperuserAdmin):
    list_display = ["id", "start_year", "end_year"]
    search_fields = ["id"]


@admin.register(SchoolYearConfig)
class SchoolYearConfigAdmin(ScopedAdmin):
    """Read-only. The partner's page of school years changes them, and says what a change does."""

    list_display = ["school_year", "partner", "enabled", "sends_to_ods"]
    list_filter = [_by_partner, "school_year", "enabled", "sends_to_ods"]
    list_select_related = ["partner", "school_year"]
    search_fields = ["partner__name", "school_year__id"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: SchoolYearConfig | None = None
    ) -> bool:
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: SchoolYearConfig | None = None
    ) -> bool:
        return False


@admin.register(Membership)
class MembershipAdmin(SuperuserAdmin):
    form = MembershipForm
    list_display = ["user", "partner", "role"]
    list_filter = [_by_partner, "role"]
    list_select_related = ["user", "partner"]
    search_fields = ["user__username", "user__email", "partner__name"]
    autocomplete_fields = ["user", "tenants"]

    def save_model(
        self, request: HttpRequest, obj: Membership, form: ModelForm, change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        # Members work in the admin, which only admits staff.
        if not obj.user.is_staff:
            obj.user.is_staff = True
            obj.user.save(update_fields=["is_staff"])
