"""The page after sign-in, which must be on this site."""

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme


def is_ours(request: HttpRequest, url: str) -> bool:
    """Whether ``url`` leads to this site, and uses https if the request did."""
    return bool(url) and url_has_allowed_host_and_scheme(
        url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )


def wanted(request: HttpRequest) -> str:
    """Return the page requested before signing in, or the start page."""
    for values in (request.POST, request.GET):
        url = values.get(REDIRECT_FIELD_NAME, "")
        if is_ours(request, url):
            return url
    return reverse("admin:index")
