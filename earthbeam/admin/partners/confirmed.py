"""The students whom people have confirmed for IDs: find them, revoke them, and CSV in and out."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.urls import URLPattern
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from earthbeam.admin.partners.page import PartnerPage, url_of
from earthbeam.jobs import confirmed_csv, confirmed_students
from earthbeam.jobs.confirmed_csv import MAX_BYTES, BadCrosswalk
from earthbeam.jobs.confirmed_students import MOST, TooMany, opened, search
from earthbeam.models import ConfirmedStudent
from partners import audit
from partners.encryption import UndecryptableSecret
from partners.models import Partner, Tenant

_ON_A_PAGE = 50


class PartnerConfirmed(PartnerPage):
    def get_urls(self) -> list[URLPattern]:
        return [
            self.page_url("confirmed/", self._confirmed, "confirmed"),
            self.page_url(
                "confirmed/revoke/", require_POST(self._revoke_confirmed), "confirmed_revoke"
            ),
            self.page_url(
                "confirmed/import/", require_POST(self._import_confirmed), "confirmed_import"
            ),
            self.page_url(
                "confirmed/export/", require_GET(self._export_confirmed), "confirmed_export"
            ),
            *super().get_urls(),
        ]

    def _confirmed(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._confirmed_page(request, self.partner_or_404(request, object_id))

    def _confirmed_page(
        self, request: HttpRequest, partner: Partner, **context: Any
    ) -> HttpResponse:
        # By POST, since URLs are logged.
        sought = request.POST.get("q", "").strip()
        found = _found(request, partner, sought).select_related("tenant", "job")
        page = Paginator(found, _ON_A_PAGE).get_page(request.GET.get("page"))
        if page.object_list:
            audit.record(partner, "confirmed students viewed")
        return self.show(
            request,
            partner,
            "confirmed",
            f"Confirmed students of {partner}",
            page=page,
            rows=[(row, *_shown(row)) for row in page],
            asked=_asked(request),
            sought=sought,
            query=urlencode(_asked(request)),
            any=bool(page.paginator.count)
            or ConfirmedStudent.objects.filter(tenant__partner=partner).exists(),
            tenants=Tenant.objects.filter(partner=partner),
            **context,
        )

    def _revoke_confirmed(self, request: HttpRequest, object_id: str) -> HttpResponse:
        partner = self.partner_or_404(request, object_id)
        rows = _found(request, partner)
        if "all" not in request.POST:
            chosen = [int(each) for each in request.POST.getlist("row") if each.isdecimal()]
            rows = rows.filter(pk__in=chosen)
        count, _ = ConfirmedStudent.objects.filter(pk__in=rows.values("pk")).delete()
        if count:
            words = f"Revoked {count} confirmed student{'' if count == 1 else 's'}."
            self.log_change(request, partner, words)
            later = "Later files match these IDs by the rosters alone."
            self.message_user(request, f"{words} {later}", messages.SUCCESS)
        else:
            self.message_user(
                request, "Nothing was revoked: select at least one row first.", messages.WARNING
            )
        return self._to_confirmed(request, partner)

    def _import_confirmed(self, request: HttpRequest, object_id: str) -> HttpResponse:
        partner = self.partner_or_404(request, object_id)
        chosen = request.POST.get("tenant", "")
        tenant = None
        if chosen.isdecimal():
            tenant = Tenant.objects.filter(partner=partner, pk=int(chosen)).first()
        file = request.FILES.get("file")
        if tenant is None or file is None:
            return self._confirmed_page(request, partner, problems=["Choose a tenant and a file."])
        try:
            given = confirmed_csv.read(file.read(MAX_BYTES + 1))
            changes = confirmed_students.remember(tenant, given, by=request.user.get_username())
        except BadCrosswalk as error:
            return self._confirmed_page(request, partner, problems=error.problems, tenant=tenant)
        except TooMany:
            problem = (
                f"{tenant} would have more than {MOST:,} confirmed students. Revoke some first."
            )
            return self._confirmed_page(request, partner, problems=[problem], tenant=tenant)
        words = f"{changes.added} added, {changes.changed} changed, {changes.same} unchanged"
        self.log_change(request, partner, f"Imported confirmed students of {tenant}: {words}.")
        self.message_user(request, f"Saved for {tenant}: {words}.", messages.SUCCESS)
        return self._to_confirmed(request, partner)

    def _export_confirmed(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        partner = self.partner_or_404(request, object_id)
        audit.record(partner, "confirmed students downloaded")
        name = f"{partner.pk}_confirmed_students.csv"
        return StreamingHttpResponse(
            confirmed_csv.write(_exported(_found(request, partner).select_related("tenant"))),
            content_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="{name}"',
                "Cache-Control": "private, no-store",
            },
        )

    def _to_confirmed(self, request: HttpRequest, partner: Partner) -> HttpResponseRedirect:
        return HttpResponseRedirect(f"{url_of('confirmed', partner)}?{urlencode(_asked(request))}")


def _asked(request: HttpRequest) -> dict[str, str]:
    """Return the parameters of the URL that say which rows are meant."""
    return {
        name: value for name in ("tenant", "job") if (value := request.GET.get(name, "").strip())
    }


def _found(request: HttpRequest, partner: Partner, sought: str = "") -> QuerySet[ConfirmedStudent]:
    asked = _asked(request)
    rows = search(partner, sought)
    if (tenant := asked.get("tenant", "")).isdecimal():
        rows = rows.filter(tenant=int(tenant))
    if job := asked.get("job"):
        rows = rows.filter(job=_uuid(job))
    return rows


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)


def _shown(row: ConfirmedStudent) -> tuple[str, str]:
    try:
        each = opened(row)
    except UndecryptableSecret:
        return "(cannot be decrypted)", "(cannot be decrypted)"
    return each.id, each.student


def _exported(rows: QuerySet[ConfirmedStudent]) -> Iterator[tuple[str, ...]]:
    for row in rows.iterator(2000):
        try:
            each = opened(row)
        except UndecryptableSecret:
            continue
        at = timezone.localtime(row.confirmed_at).isoformat(timespec="seconds")
        yield (each.column, each.id, each.student, row.tenant.code, row.confirmed_by, at)
