"""View a partner's own descriptor mappings, export them as CSV, and replace them from CSV."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core import signing
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern
from django.views.decorators.http import require_GET

from earthbeam.admin.partners.page import PartnerPage, to_page
from earthbeam.bundles import descriptor_mapping_csv, descriptor_mappings
from earthbeam.bundles.descriptor_mapping_csv import MAX_BYTES, BadMappings, MappingTable
from earthbeam.bundles.descriptor_mappings import (
    StaleMappings,
    compare,
    current,
    fingerprint,
    replace,
)
from earthbeam.bundles.template import BundleTemplate
from earthbeam.models import Bundle, DescriptorMapping
from partners.models import Partner

MAX_SHOWN = 200
_SALT = "earthbeam.descriptor-mappings"


@dataclass(frozen=True)
class MappingSet:
    """One partner's mappings of one descriptor type for one bundle."""

    partner: Partner
    bundle: Bundle
    kind: str

    @property
    def query(self) -> str:
        return "?" + urlencode({"bundle": self.bundle.pk, "type": self.kind})

    def __str__(self) -> str:
        return f"{self.bundle}, {self.kind}"


class PartnerMappings(PartnerPage):
    def get_urls(self) -> list[URLPattern]:
        return [
            self.page_url("mappings/", require_GET(self._mappings), "mappings"),
            self.page_url("mappings/set/", self._mapping, "mapping"),
            self.page_url("mappings/export/", require_GET(self._export), "mapping_export"),
            *super().get_urls(),
        ]

    def _mappings(self, request: HttpRequest, object_id: str) -> HttpResponse:
        partner = self.partner_or_404(request, object_id)
        return self.show(
            request,
            partner,
            "mappings",
            f"Descriptor mappings of {partner}",
            bundles=_overview(partner),
        )

    def _export(self, request: HttpRequest, object_id: str) -> HttpResponse:
        chosen = _chosen(request, self.partner_or_404(request, object_id))
        if not descriptor_mappings.is_kind(chosen.kind):
            raise Http404
        table = current(chosen.partner, chosen.bundle, chosen.kind)
        name = f"{chosen.partner.pk}_{chosen.bundle.pk.rpartition('/')[2]}_{chosen.kind}.csv"
        # Spreadsheet programs recognize UTF-8 only with a byte order mark.
        content = descriptor_mapping_csv.write(table).encode("utf-8-sig")
        answer = HttpResponse(content, content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer

    def _mapping(self, request: HttpRequest, object_id: str) -> HttpResponse:
        chosen = _chosen(request, self.partner_or_404(request, object_id))
        if request.method != "POST":
            return self._set_page(request, chosen)
        if "confirmed" in request.POST:
            return self._replace(request, chosen)
        try:
            return self._preview(request, chosen, _posted(request, chosen))
        except BadMappings as error:
            return self._set_page(
                request,
                chosen,
                problems=error.problems,
                text=request.POST.get("text", ""),
            )

    def _set_page(self, request: HttpRequest, chosen: MappingSet, **context: Any) -> HttpResponse:
        table = current(chosen.partner, chosen.bundle, chosen.kind)
        return self.show(
            request,
            chosen.partner,
            "mapping",
            str(chosen),
            chosen=chosen,
            table=table,
            rows=table.rows[:MAX_SHOWN],
            refused=descriptor_mappings.problem(chosen.partner, chosen.bundle, chosen.kind),
            **{"text": descriptor_mapping_csv.write(table) if table.rows else "", **context},
        )

    def _preview(
        self, request: HttpRequest, chosen: MappingSet, table: MappingTable
    ) -> HttpResponse:
        old = current(chosen.partner, chosen.bundle, chosen.kind)
        changes = compare(old, table)
        if not changes:
            self.message_user(request, "These mappings are already in use. Nothing changed.")
            return to_page("mapping", chosen.partner, chosen.query)
        payload = {
            "set": [chosen.partner.pk, chosen.bundle.pk, chosen.kind],
            "columns": table.columns,
            "rows": table.rows,
            "seen": fingerprint(old),
        }
        return self.show(
            request,
            chosen.partner,
            "mapping_confirm",
            f"Replace the mappings for {chosen}?",
            chosen=chosen,
            old=old,
            table=table,
            changes=changes,
            head=old.columns or table.columns,
            payload=signing.dumps(payload, salt=_SALT, compress=True),
        )

    def _replace(self, request: HttpRequest, chosen: MappingSet) -> HttpResponse:
        try:
            payload = signing.loads(request.POST["confirmed"], salt=_SALT, max_age=24 * 3600)
            if payload["set"] != [chosen.partner.pk, chosen.bundle.pk, chosen.kind]:
                raise signing.BadSignature
            table = MappingTable(tuple(payload["columns"]), tuple(map(tuple, payload["rows"])))
            changes = replace(
                chosen.partner, chosen.bundle, chosen.kind, table, seen=payload["seen"]
            )
        except signing.BadSignature:
            self.message_user(request, "Nothing was saved. Choose the file again.", messages.ERROR)
        except StaleMappings:
            text = (
                "Nothing was saved: someone else changed these mappings. The current ones are "
                "below. If your file is still correct, choose it again."
            )
            self.message_user(request, text, messages.ERROR)
        except BadMappings as error:
            self.message_user(request, f"Nothing was saved. {error}", messages.ERROR)
        else:
            words = f"Mappings for {chosen}: {changes}."
            self.log_change(request, chosen.partner, words)
            self.message_user(request, f"Saved. {words}", messages.SUCCESS)
        return to_page("mapping", chosen.partner, chosen.query)


def _chosen(request: HttpRequest, partner: Partner) -> MappingSet:
    bundle = get_object_or_404(Bundle, pk=request.GET.get("bundle"))
    return MappingSet(partner, bundle, request.GET.get("type", "").strip())


def _posted(request: HttpRequest, chosen: MappingSet) -> MappingTable:
    """Return the mappings to store. Raises BadMappings."""
    if "remove" in request.POST:
        return MappingTable()
    if refused := descriptor_mappings.problem(chosen.partner, chosen.bundle, chosen.kind):
        raise BadMappings([refused])
    file = request.FILES.get("file")
    if file is None:
        return descriptor_mapping_csv.read(request.POST.get("text", ""))
    return descriptor_mapping_csv.read(file.read(MAX_BYTES + 1))


def _overview(partner: Partner) -> list[dict[str, Any]]:
    """Return bundles with their descriptor types, and how many mappings the partner has of each."""
    counts: dict[str, dict[str, int]] = {}
    found = DescriptorMapping.objects.filter(partner=partner).order_by()
    for bundle, kind, rows in found.values_list("bundle", "descriptor_type").annotate(Count("pk")):
        counts.setdefault(bundle, {})[kind] = rows
    enabled = set(partner.bundles.values_list("pk", flat=True))
    overview = []
    for bundle in Bundle.objects.filter(pk__in=enabled | set(counts)):
        declared = BundleTemplate.read(bundle.template).descriptor_types
        own = counts.get(bundle.pk, {})
        kinds = sorted({*declared, *own} if bundle.pk in enabled else own)
        overview.append(
            {
                "bundle": bundle,
                "enabled": bundle.pk in enabled,
                "any": bundle.pk in enabled and not declared,
                "sets": [(MappingSet(partner, bundle, kind), own.get(kind, 0)) for kind in kinds],
            }
        )
    return overview
