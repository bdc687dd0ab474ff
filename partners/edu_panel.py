"""The EDU panel on a partner's admin page: credentials, all processes' connections, two buttons.

The partner's page loads the panel separately, since AWS may take long to look up credentials.
Nobody waits for AWS or EDU longer than ``edu.waiting.PATIENCE``.
"""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from edu.diagnosis import check_connection, check_credentials
from edu.waiting import in_time
from partners import audit, edu_processes
from partners.models import Partner

KEEP_ROSTERS = timedelta(days=1)


class EduPanel(admin.ModelAdmin):
    """A mixin for the admin of partners. Anyone who may change the partner may use it."""

    actions = ["reset_edu_connections"]

    @admin.action(description="Reset EDU connections", permissions=["change"])
    def reset_edu_connections(self, request: HttpRequest, rows: QuerySet[Partner]) -> None:
        for partner in rows:
            self._add_one(request, partner)
        self.message_user(request, "Every process will replace its EDU connections within seconds.")

    def get_urls(self) -> list[URLPattern]:
        views = {
            "": ("panel", require_GET(self._panel)),
            "test/": ("test", require_POST(self._test)),
            "reset/": ("reset", require_POST(self._reset)),
            "keep-rosters/": ("keep_rosters", require_POST(self._keep_rosters)),
        }
        return [
            path(
                f"<path:object_id>/edu/{tail}",
                self.admin_site.admin_view(view),
                name=f"partners_partner_edu_{name}",
            )
            for tail, (name, view) in views.items()
        ] + super().get_urls()

    def _panel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        partner = self._partner(request, object_id)
        processes = list(edu_processes.alive().filter(partner=partner))
        context = {
            "partner": partner,
            "steps": list(in_time(check_credentials(partner.pk))),
            "processes": processes,
            "keeps_rosters": (partner.keep_edu_rosters_until or timezone.now()) > timezone.now(),
            "behind": [each for each in processes if each.generation < partner.edu_generation],
        }
        return render(request, "admin/partners/partner/edu_panel.html", context)

    def _test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        partner = self._partner(request, object_id)
        steps = list(in_time(check_connection(partner.pk)))
        if any(step.title == "Connection" and step.ok for step in steps):
            edu_processes.note_connection(partner.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": f"EDU connection of {partner}",
            "opts": self.opts,
            "partner": partner,
            "steps": steps,
            "works": all(step.ok for step in steps),
        }
        return render(request, "admin/partners/partner/edu_test.html", context)

    def _reset(self, request: HttpRequest, object_id: str) -> HttpResponse:
        partner = self._partner(request, object_id)
        self._add_one(request, partner)
        self.message_user(
            request, "EDU connections are being replaced. The panel below shows when that is done."
        )
        url = reverse("admin:partners_partner_change", args=(partner.pk,))
        return HttpResponseRedirect(f"{url}#edu-panel")

    def _keep_rosters(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Turn the keeping of EDU's rosters on for a day, or off."""
        partner = self._partner(request, object_id)
        until = timezone.now() + KEEP_ROSTERS if request.POST.get("keep") == "on" else None
        Partner.objects.filter(pk=partner.pk).update(keep_edu_rosters_until=until)
        self.log_change(
            request, partner, f"Keep EDU rosters {'for a day' if until else 'no more'}."
        )
        audit.record_change(partner, keep_edu_rosters_until=(partner.keep_edu_rosters_until, until))
        self.message_user(
            request,
            "For one day, jobs keep the EDU roster with their files."
            if until
            else "Jobs do not keep rosters from EDU.",
        )
        url = reverse("admin:partners_partner_change", args=(partner.pk,))
        return HttpResponseRedirect(f"{url}#edu-panel")

    def _add_one(self, request: HttpRequest, partner: Partner) -> None:
        Partner.objects.filter(pk=partner.pk).update(edu_generation=F("edu_generation") + 1)
        self.log_change(request, partner, "Reset EDU connections.")
        audit.record(partner, "EDU connections reset")

    def _partner(self, request: HttpRequest, object_id: str) -> Any:
        partner = self.get_object(request, unquote(object_id))
        if partner is None:
            raise Http404
        if not self.has_change_permission(request, partner):
            raise PermissionDenied
        return partner
