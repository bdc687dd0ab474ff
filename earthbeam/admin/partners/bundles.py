"""The page that sets which assessments a partner may load."""

from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern

from earthbeam.admin.partners.page import PartnerPage, to_page
from earthbeam.models import Bundle


class PartnerBundles(PartnerPage):
    def get_urls(self) -> list[URLPattern]:
        return [self.page_url("bundles/", self._bundles, "bundles"), *super().get_urls()]

    def _bundles(self, request: HttpRequest, object_id: str) -> HttpResponse:
        partner = self.partner_or_404(request, object_id)
        if request.method == "POST":
            # Only what the person changed, to keep what somebody else has changed since.
            was, wanted = (set(request.POST.getlist(name)) for name in ("was", "enabled"))
            with transaction.atomic():
                known = list(Bundle.objects.defer("template"))
                on = [each for each in known if each.pk in wanted - was and each.in_registry]
                off = [each for each in known if each.pk in was - wanted]
                partner.bundles.add(*on)
                partner.bundles.remove(*off)
                words = _words(on, off)
                if words:
                    self.log_change(request, partner, words)
            self.message_user(request, words or "Nothing was changed.")
            return to_page("bundles", partner)
        enabled = set(partner.bundles.values_list("pk", flat=True))
        offered = Bundle.objects.filter(Q(in_registry=True) | Q(pk__in=enabled)).defer("template")
        return self.show(
            request,
            partner,
            "bundles",
            f"Assessments of {partner}",
            bundles=offered,
            enabled=enabled,
        )


def _words(on: list[Bundle], off: list[Bundle]) -> str:
    parts = [
        f"{verb} {', '.join(map(str, bundles))}."
        for verb, bundles in (("Enabled", on), ("Disabled", off))
        if bundles
    ]
    return " ".join(parts)
