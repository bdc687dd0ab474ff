"""Who has seen or taken student data of a partner's jobs, as a page and as CSV."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from auditlog.models import LogEntry
from django.core.paginator import Paginator
from django.db.models import CharField, Model, Q, QuerySet
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern
from django.utils import timezone
from django.views.decorators.http import require_GET

from earthbeam.admin.partners.page import PartnerPage
from earthbeam.bundles.descriptor_mapping_csv import harmless_lines
from earthbeam.models import Job
from partners.audit import STUDENT_DATA, person_of
from partners.models import Partner

DAYS = (30, 90, 365)
_ON_A_PAGE = 100
_HEADER = ("time (UTC)", "who", "what", "details", "job", "address")


class PartnerAccessReport(PartnerPage):
    def get_urls(self) -> list[URLPattern]:
        return [
            self.page_url("access/", require_GET(self._access), "access"),
            self.page_url("access/export/", require_GET(self._export_access), "access_export"),
            *super().get_urls(),
        ]

    def _access(self, request: HttpRequest, object_id: str) -> HttpResponse:
        partner = self.partner_or_404(request, object_id)
        asked = _asked(request)
        page = Paginator(_entries(partner, asked), _ON_A_PAGE).get_page(request.GET.get("page"))
        return self.show(
            request,
            partner,
            "access",
            f"Access to student data of {partner}",
            page=page,
            rows=[(entry, *_words(entry)) for entry in page],
            asked=asked,
            query=urlencode(asked),
            days=DAYS,
        )

    def _export_access(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        partner = self.partner_or_404(request, object_id)
        name = f"{partner.pk}_access_to_student_data.csv"
        return StreamingHttpResponse(
            harmless_lines(_rows(_entries(partner, _asked(request)))),
            content_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="{name}"',
                "Cache-Control": "private, no-store",
            },
        )


def seen_lately(partner: Partner) -> int:
    """Return how often student data was seen or taken in the last 30 days."""
    return _entries(partner, {"days": "30"}).count()


def _asked(request: HttpRequest) -> dict[str, str]:
    """Return the filters of the URL that make sense."""
    asked = {}
    if (days := request.GET.get("days", "")) in map(str, DAYS):
        asked["days"] = days
    with suppress(ValueError):
        asked["job"] = str(UUID(request.GET.get("job", "").strip()))
    return asked


def _entries(partner: Partner, asked: dict[str, str]) -> QuerySet[LogEntry]:
    jobs = Job.objects.filter(tenant__partner=partner)
    if "job" in asked:
        jobs = jobs.filter(pk=asked["job"])
    ids = jobs.annotate(text=Cast("pk", CharField())).values("text")
    about = _of(Job) & Q(object_pk__in=ids)
    if "job" not in asked:
        about |= _of(Partner) & Q(object_pk=partner.pk)
    found = LogEntry.objects.filter(
        about, action=LogEntry.Action.ACCESS, additional_data__event__in=STUDENT_DATA
    )
    if "days" in asked:
        found = found.filter(timestamp__gt=timezone.now() - timedelta(days=int(asked["days"])))
    return found.select_related("content_type").order_by("-timestamp", "-pk")


def _of(model: type[Model]) -> Q:
    """The condition on entries that they are about a ``model``, without a query for its type."""
    meta = model._meta
    return Q(content_type__app_label=meta.app_label, content_type__model=meta.model_name)


def _words(entry: LogEntry) -> tuple[str, str, str, str]:
    """Return who, what, the details, and the job's ID if it is about one."""
    facts: dict[str, Any] = dict(entry.additional_data or {})
    what = str(facts.pop("event", ""))
    who = f"API client {facts.pop('client')}" if facts.get("client") else person_of(entry)
    facts.pop("actor", None)
    details = ", ".join(f"{name}: {value}" for name, value in sorted(facts.items()))
    about_job = entry.content_type.model == Job._meta.model_name
    return who, what, details, entry.object_pk if about_job else ""


def _rows(entries: QuerySet[LogEntry]) -> Iterator[tuple[str, ...]]:
    yield _HEADER
    for entry in entries.iterator(1000):
        time = f"{entry.timestamp:%Y-%m-%d %H:%M:%S}"
        yield (time, *_words(entry), entry.remote_addr or "")
