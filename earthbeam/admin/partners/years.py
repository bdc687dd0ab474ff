"""A partner's school years, all on one page, with a preview of what a change does."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.http.request import QueryDict
from django.shortcuts import get_object_or_404
from django.urls import URLPattern

from earthbeam.admin.partners.page import PartnerPage, to_page
from earthbeam.jobs.rules import roster_file_exists
from earthbeam.jobs.year_settings import (
    StaleYears,
    YearSetting,
    changes,
    fingerprint,
    save,
    settings_of,
)
from earthbeam.runs import cross_year
from partners.models import OdsConnection, Partner, SchoolYear, Tenant
from partners.readiness import readiness, some_without_connection, without_connection

TENANTS_A_PAGE = 50
"""Each of them may take a request to the file storage."""
_NAMED = 5


class PartnerYears(PartnerPage):
    def get_urls(self) -> list[URLPattern]:
        return [
            self.page_url("years/", self._years, "years"),
            # The year is in the query, since a page's URL has only the partner.
            self.page_url("years/tenants/", self._tenants, "year_tenants"),
            *super().get_urls(),
        ]

    def _years(self, request: HttpRequest, object_id: str) -> HttpResponse:
        partner = self.partner_or_404(request, object_id)
        if request.method != "POST":
            return self._matrix(request, partner, settings_of(partner))
        wanted, seen = _wanted(request.POST), request.POST.get("seen", "")
        if seen != fingerprint(settings_of(partner)):
            return self._stale(request, partner)
        if "edit" in request.POST:
            return self._matrix(request, partner, settings_of(partner) | wanted)
        changed = changes(partner, wanted)
        if not changed:
            self.message_user(request, "Nothing was changed.")
            return to_page("years", partner)
        if "confirmed" not in request.POST:
            return self.show(
                request,
                partner,
                "years_confirm",
                f"Change the school years of {partner}?",
                changes=changed,
                wanted=wanted,
                seen=seen,
            )
        try:
            save(partner, wanted, seen=seen)
        except StaleYears:
            return self._stale(request, partner)
        words = "; ".join(f"{each.year}: {each.before} → {each.after}" for each in changed)
        self.log_change(request, partner, f"Changed school years. {words}.")
        self.message_user(request, f"Saved. {words}.", messages.SUCCESS)
        return to_page("years", partner)

    def _stale(self, request: HttpRequest, partner: Partner) -> HttpResponse:
        text = (
            "Nothing was saved: someone else changed the school years. The current "
            "settings are below. If you still need your changes, make them again."
        )
        self.message_user(request, text, messages.ERROR)
        return to_page("years", partner)

    def _matrix(
        self, request: HttpRequest, partner: Partner, shown: dict[str, YearSetting]
    ) -> HttpResponse:
        return self.show(
            request,
            partner,
            "years",
            f"School years of {partner}",
            rows=_rows(partner, shown),
            seen=fingerprint(settings_of(partner)),
        )

    def _tenants(self, request: HttpRequest, object_id: str) -> HttpResponse:
        partner = self.partner_or_404(request, object_id)
        year = get_object_or_404(SchoolYear, pk=request.GET.get("year"))
        setting = settings_of(partner).get(year.pk, YearSetting())
        tenants = Tenant.objects.filter(partner=partner)
        if "missing" in request.GET and setting.sends_to_ods:
            tenants = without_connection(tenants, year)
        connections = OdsConnection.objects.filter(school_year=year, retired_at=None)
        page = Paginator(
            tenants.order_by("code").prefetch_related(
                Prefetch("ods_connections", connections.defer("client_secret"), "of_the_year")
            ),
            TENANTS_A_PAGE,
        ).get_page(request.GET.get("page"))
        from_edu = not setting.sends_to_ods and cross_year.is_available(partner)
        return self.show(
            request,
            partner,
            "year_tenants",
            f"{year}: tenants of {partner}",
            year=year,
            setting=setting,
            page=page,
            cross_year=from_edu,
            missing_only="missing" in request.GET,
            rows=[
                (tenant, roster_words(tenant, year))
                if not setting.sends_to_ods and not from_edu
                else (tenant, None)
                for tenant in page
            ],
        )


def roster_words(tenant: Tenant, year: SchoolYear) -> tuple[str, str]:
    """Check the file storage for the tenant's roster file, and return class and words."""
    try:
        there = roster_file_exists(tenant, year)
    except OSError:
        return "rw-warn", "The file storage does not respond"
    return ("rw-good", "Roster file found") if there else ("rw-bad", "No roster file")


def _rows(partner: Partner, shown: dict[str, YearSetting]) -> list[dict[str, Any]]:
    """Return all years, and how ready the enabled ones are."""
    enabled = {year: each.sends_to_ods for year, each in shown.items() if each.enabled}
    ready = readiness(partner, enabled)
    lacking = [year for year, to_ods in enabled.items() if to_ods and ready[year].missing]
    missing = some_without_connection(partner, lacking, _NAMED)
    return [
        {
            "year": year,
            "setting": shown.get(year.pk, YearSetting()),
            "ready": (of_year := ready.get(year.pk)),
            "missing": missing.get(year.pk, []),
            "more": max(0, of_year.missing - _NAMED) if of_year else 0,
        }
        for year in SchoolYear.objects.all()
    ]


def _wanted(posted: QueryDict) -> dict[str, YearSetting]:
    """Return the form's settings for the years that it showed."""
    shown = set(posted.getlist("year"))
    return {
        year.pk: YearSetting(
            enabled=f"enabled-{year.pk}" in posted,
            sends_to_ods=posted.get(f"to-{year.pk}") != "edu",
        )
        for year in SchoolYear.objects.all()
        if year.pk in shown
    }
