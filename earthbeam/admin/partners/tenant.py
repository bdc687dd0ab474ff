"""The tenant's page, with whether the tenant could load files in each year."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

import partners.admin
from earthbeam.admin.partners.years import roster_words
from earthbeam.runs import cross_year
from partners.models import OdsConnection, SchoolYear, SchoolYearConfig, Tenant
from partners.ods.admin import state

admin.site.unregister(Tenant)


@admin.register(Tenant)
class TenantAdmin(partners.admin.TenantAdmin):
    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if (tenant := kwargs.get("obj")) and self.has_view_permission(request, tenant):
            context["years"] = _years(tenant, request.GET.get("roster"))
        return super().render_change_form(request, context, *args, **kwargs)


def _years(tenant: Tenant, asked: str | None) -> list[dict[str, Any]]:
    """Return the partner's enabled years. For the year ``asked``, checks for the roster file."""
    configs = SchoolYearConfig.objects.filter(partner=tenant.partner_id, enabled=True)
    connections = {
        each.school_year_id: each
        for each in OdsConnection.objects.filter(tenant=tenant, retired_at=None).defer(
            "client_secret"
        )
    }
    rows: list[dict[str, Any]] = []
    for config in configs.select_related("school_year"):
        row = {"year": config.school_year, "to_ods": config.sends_to_ods}
        if config.sends_to_ods and (connection := connections.get(config.school_year_id)):
            row |= {"connection": connection, "state": state(connection)}
        elif not config.sends_to_ods and asked == config.school_year_id:
            row["state"] = _roster(tenant, config.school_year)
        rows.append(row)
    return rows


def _roster(tenant: Tenant, year: SchoolYear) -> tuple[str, str]:
    if cross_year.is_available(tenant.partner):
        return "rw-good", "Uses EDU's roster of all years"
    return roster_words(tenant, year)
