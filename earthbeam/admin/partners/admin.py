"""The partner's page, with what only this app knows: assessments, mappings, readiness.

It replaces the partners app's own page, which knows nothing about jobs.
"""

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

import partners.admin
from earthbeam.admin.partners.access_report import PartnerAccessReport, seen_lately
from earthbeam.admin.partners.bundles import PartnerBundles
from earthbeam.admin.partners.confirmed import PartnerConfirmed
from earthbeam.admin.partners.mappings import PartnerMappings
from earthbeam.admin.partners.page import url_of
from earthbeam.admin.partners.years import PartnerYears
from earthbeam.models import ConfirmedStudent, DescriptorMapping
from partners.models import OdsConnection, Partner, SchoolYearConfig, Tenant

admin.site.unregister(Partner)


@admin.register(Partner)
class PartnerAdmin(
    PartnerAccessReport,
    PartnerBundles,
    PartnerConfirmed,
    PartnerMappings,
    PartnerYears,
    partners.admin.PartnerAdmin,
):
    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if (partner := kwargs.get("obj")) and self.has_change_permission(request, partner):
            context["cards"] = _cards(partner)
        return super().render_change_form(request, context, *args, **kwargs)


def _cards(partner: Partner) -> list[dict[str, Any]]:
    """Return the page's links: title, figure, words, URL, and a class if it needs attention."""
    years = SchoolYearConfig.objects.filter(partner=partner, enabled=True)
    names = [str(each.school_year) for each in years.select_related("school_year")]
    connections = OdsConnection.objects.filter(tenant__partner=partner, retired_at=None).aggregate(
        active=Count("pk"),
        failed=Count("pk", filter=Q(check_ok=False)),
        untested=Count("pk", filter=Q(check_ok=None)),
    )
    mappings = DescriptorMapping.objects.filter(partner=partner).order_by()
    sets = mappings.values("bundle", "descriptor_type").distinct().count()
    tenants = reverse("admin:partners_tenant_changelist")
    odss = reverse("admin:partners_odsconnection_changelist")
    return [
        {
            "title": "School years",
            "figure": len(names),
            "words": f"enabled: {', '.join(names)}" if names else "enabled: no jobs are taken",
            "tone": "" if names else "rw-warn",
            "url": url_of("years", partner),
        },
        {
            "title": "ODS connections",
            "figure": connections["active"],
            "words": _connection_words(connections),
            "tone": "rw-bad" if connections["failed"] else "",
            "url": f"{odss}?partner={partner.pk}&retired_at__isempty=1",
        },
        {
            "title": "Assessments",
            "figure": (enabled := partner.bundles.count()),
            "words": "enabled",
            "tone": "" if enabled else "rw-warn",
            "url": url_of("bundles", partner),
        },
        {
            "title": "Descriptor mappings",
            "figure": sets,
            "words": _mapping_words(sets),
            "tone": "",
            "url": url_of("mappings", partner),
        },
        {
            "title": "Confirmed students",
            "figure": ConfirmedStudent.objects.filter(tenant__partner=partner).count(),
            "words": "remembered for later files",
            "tone": "",
            "url": url_of("confirmed", partner),
        },
        {
            "title": "Access",
            "figure": seen_lately(partner),
            "words": "times in 30 days that someone saw or took student data",
            "tone": "",
            "url": url_of("access", partner),
        },
        {
            "title": "Tenants",
            "figure": (districts := Tenant.objects.filter(partner=partner).count()),
            "words": "district" if districts == 1 else "districts",
            "tone": "",
            "url": f"{tenants}?partner={partner.pk}",
        },
    ]


def _mapping_words(sets: int) -> str:
    if not sets:
        return "the assessments' own are used"
    return "replaces an assessment's own" if sets == 1 else "replace assessments' own"


def _connection_words(counts: dict[str, int]) -> str:
    parts = [
        f"{counts[name]} {words}"
        for name, words in (("failed", "failed the last test"), ("untested", "not tested"))
        if counts[name]
    ]
    return f"active; {', '.join(parts)}" if parts else "active"
