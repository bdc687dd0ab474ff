"""Sign in by an OIDC issuer: to it, and back."""

import logging
from collections.abc import Callable

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.base import AuthProcess
from allauth.socialaccount.providers.openid_connect import views as allauth_views
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from requests import RequestException

from access import issuers, next_page
from access.issuers import Issuer
from access.pages import not_signed_in

logger = logging.getLogger(__name__)


@never_cache
@require_POST
def to_issuer(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Redirect to the issuer, only to sign in, not to link an account."""
    issuer = _issuer(provider_id)

    def go() -> HttpResponse:
        provider = get_adapter(request).get_provider(request, provider_id)
        answer: HttpResponse = provider.redirect(
            request, process=AuthProcess.LOGIN, next_url=next_page.wanted(request)
        )
        return answer

    return _or_say_so(request, issuer, go)


@never_cache
@require_GET
def from_issuer(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Handle the browser's return from the issuer."""
    issuer = _issuer(provider_id)
    return _or_say_so(request, issuer, lambda: allauth_views.callback(request, provider_id))


def _issuer(provider_id: str) -> Issuer:
    issuer = issuers.find(provider_id)
    if issuer is None:
        raise Http404
    return issuer


def _or_say_so(
    request: HttpRequest, issuer: Issuer, action: Callable[[], HttpResponse]
) -> HttpResponse:
    """Return the action's response, or an error page if the issuer does not respond properly."""
    try:
        return action()
    except (RequestException, KeyError, TypeError, ValueError) as error:
        # Only the type, since an error's text may contain tokens.
        logger.warning("sign-in by %s failed: %s", issuer.id, type(error).__name__)
        advice = (
            f"{issuer.name} does not answer as it should. Try again in a minute, or sign in with "
            "a password if you have one. If that does not help, contact Runway support."
        )
        return not_signed_in(request, issuer, advice, status=502)
