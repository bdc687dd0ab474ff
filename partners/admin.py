"""Partners and what belongs to them, for superusers and partner admins."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone

from partners import audit, edu_panel
from partners.forms import CROSS_YEAR, MembershipForm, OdsConnectionForm, PartnerForm
from partners.list_filters import PartnerFilter, TenantFilter
from partners.models import (
    Membership,
    OdsConnection,
    Partner,
    SchoolYear,
    SchoolYearConfig,
    Tenant,
)
from partners.scoped_admin import ScopedAdmin, SuperuserAdmin

_by_partner = PartnerFilter.at("partner")


@admin.register(Partner)
class PartnerAdmin(edu_panel.EduPanel, ScopedAdmin):
    form = PartnerForm
    fields = ["id", "name", CROSS_YEAR, "descriptor_namespace"]
    partner_lookup = "pk"
    list_display = ["name", "id", "cross_year_match_enabled"]
    list_filter = ["cross_year_match_enabled"]
    search_fields = ["id", "name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Partner | None = None) -> list[str]:
        # The code is part of where files lie.
        return ["id"] if obj else []

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def save_model(self, request: HttpRequest, obj: Partner, form: ModelForm, change: bool) -> None:
        fields = set(form.changed_data)
        if CROSS_YEAR in fields:
            obj.cross_year_changed_at = timezone.now()
            obj.cross_year_changed_by = request.user.get_username()
            fields |= {"cross_year_changed_at", "cross_year_changed_by"}
        # Only these: saving a generation of before a reset would undo the reset.
        obj.save(update_fields=fields if change else None)

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        """What the history says: also which way cross-year matching was turned."""
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
    search_fields = ["code", "name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Tenant | None = None) -> list[str]:
        # They are part of where files lie.
        return ["partner", "code"] if obj else []


@admin.register(SchoolYear)
class SchoolYearAdmin(SuperuserAdmin):
    list_display = ["id", "start_year", "end_year"]
    search_fields = ["id"]


@admin.register(SchoolYearConfig)
class SchoolYearConfigAdmin(ScopedAdmin):
    list_display = ["school_year", "partner", "enabled", "sends_to_ods"]
    list_filter = [_by_partner, "school_year", "enabled", "sends_to_ods"]
    list_select_related = ["partner", "school_year"]
    search_fields = ["partner__name", "school_year__id"]

    def has_delete_permission(
        self, request: HttpRequest, obj: SchoolYearConfig | None = None
    ) -> bool:
        return self.has_change_permission(request, obj)


@admin.register(OdsConnection)
class OdsConnectionAdmin(ScopedAdmin):
    """Connections are never changed: a change retires one and makes the next."""

    form = OdsConnectionForm
    partner_lookup = "tenant__partner"
    list_display = ["tenant", "school_year", "url", "client_id", "created_at", "active"]
    list_filter = [
        ("retired_at", admin.EmptyFieldListFilter),
        PartnerFilter.at("tenant__partner"),
        TenantFilter.at("tenant"),
        "school_year",
    ]
    list_select_related = ["tenant", "school_year"]
    search_fields = ["tenant__code", "tenant__name", "url", "client_id"]
    actions = ["retire"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OdsConnection]:
        # Nobody reads secrets here, and one that no key opens must not break the list.
        return super().get_queryset(request).defer("client_secret")

    def get_fields(self, request: HttpRequest, obj: OdsConnection | None = None) -> list[Any]:
        fields = ["tenant", "school_year", "url", "client_id"]
        if obj is None:
            return [*fields, "secret"]
        if not self.has_change_permission(request, obj):
            return [*fields, "created_at", "retired_at"]
        return [*fields, "secret", "created_at"]

    def get_readonly_fields(
        self, request: HttpRequest, obj: OdsConnection | None = None
    ) -> list[str]:
        return ["tenant", "school_year", "created_at", "retired_at"] if obj else []

    def has_change_permission(self, request: HttpRequest, obj: OdsConnection | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.is_active)

    def save_model(
        self, request: HttpRequest, obj: OdsConnection, form: ModelForm, change: bool
    ) -> None:
        assert isinstance(form, OdsConnectionForm)
        obj.client_secret = form.effective_secret()
        if change and form.has_changed():
            if not _retire(OdsConnection.objects.filter(pk=obj.pk)):
                raise PermissionDenied("Somebody else changed this connection meanwhile.")
            obj.pk, obj._state.adding = None, True
        obj.save()

    @admin.display(boolean=True)
    def active(self, obj: OdsConnection) -> bool:
        return obj.is_active

    @admin.action(description="Retire selected connections", permissions=["change"])
    def retire(self, request: HttpRequest, rows: QuerySet[OdsConnection]) -> None:
        self.message_user(request, f"{_retire(rows)} connection(s) retired.")


def _retire(rows: QuerySet[OdsConnection]) -> int:
    """How many of them this call retired: each connection is retired once, whoever else tries."""
    retired = 0
    for connection in rows.filter(retired_at=None).defer("client_secret"):
        now = timezone.now()
        active = OdsConnection.objects.filter(pk=connection.pk, retired_at=None)
        if active.update(retired_at=now):
            audit.record_change(connection, retired_at=(None, now))
            retired += 1
    return retired


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
        # The admin is where members work, and it lets staff in only.
        if not obj.user.is_staff:
            obj.user.is_staff = True
            obj.user.save(update_fields=["is_staff"])
