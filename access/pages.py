"""The page for people who could not sign in."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from access.issuers import Issuer


def not_signed_in(
    request: HttpRequest, issuer: Issuer, advice: str, *, status: int
) -> HttpResponse:
    """Return a page that says why ``issuer`` did not sign the person in, and what to do."""
    context = {
        **admin.site.each_context(request),
        "title": "Not signed in",
        "has_permission": False,
        "issuer": issuer,
        "advice": advice,
    }
    return render(request, "access/not_signed_in.html", context, status=status)
