"""What the pages below a partner's admin page share."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse

from partners.models import Partner


class PartnerPage(admin.ModelAdmin):
    """A mixin for the admin of partners. Anyone who may change the partner may use the page."""

    def page_url(self, tail: str, view: Any, name: str) -> URLPattern:
        """Return the URL pattern of a page at ``partners/partner/ID/tail``."""
        return path(
            f"<path:object_id>/{tail}",
            self.admin_site.admin_view(view),
            name=f"partners_partner_{name}",
        )

    def partner_or_404(self, request: HttpRequest, object_id: str) -> Partner:
        """Return the partner if the person may change it. Raises Http404 and PermissionDenied."""
        partner: Partner | None = self.get_object(request, unquote(object_id))
        if partner is None:
            raise Http404
        if not self.has_change_permission(request, partner):
            raise PermissionDenied
        return partner

    def show(
        self, request: HttpRequest, partner: Partner, template: str, title: str, **context: Any
    ) -> HttpResponse:
        """Return a page of the admin, from ``templates/admin/earthbeam/partner``."""
        everything = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "partner": partner,
            **context,
        }
        return render(request, f"admin/earthbeam/partner/{template}.html", everything)


def to_page(name: str, partner: Partner, query: str = "") -> HttpResponseRedirect:
    """Redirect to a page of the partner, such as ``school_years``."""
    return HttpResponseRedirect(url_of(name, partner) + query)


def url_of(name: str, partner: Partner) -> str:
    """Return the URL of a page of the partner."""
    return reverse(f"admin:partners_partner_{name}", args=(partner.pk,))
