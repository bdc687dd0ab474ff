"""Find each request's user, and keep their session going."""

from urllib.parse import urlencode, urlsplit

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from access import sessions
from access.next_page import is_ours


class PersonMiddleware(AuthenticationMiddleware):
    """Django's, with the rules of sessions.py. Loads the user on first access, once."""

    def process_request(self, request: HttpRequest) -> None:
        def look_up() -> User | AnonymousUser:
            user = sessions.user_of(request)
            request._session_user = user  # type: ignore[attr-defined]
            return user

        request.user = SimpleLazyObject(look_up)  # type: ignore[assignment]

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        user = getattr(request, "_session_user", None)
        if user is not None and user.is_authenticated:
            if sessions.is_use(request) and not request.session.is_empty():
                request.session.extend()  # type: ignore[attr-defined]
        elif request.method == "POST" and response.status_code == 302:
            _back_to_the_form(request, response)
        return response


def _back_to_the_form(request: HttpRequest, response: HttpResponse) -> None:
    """Return to the page with the form after sign-in, since its target may not be a page."""
    to = urlsplit(response["Location"])
    came_from = request.headers.get("Referer", "")
    if to.path == reverse("admin:login") and to.query and is_ours(request, came_from):
        page = urlsplit(came_from)._replace(scheme="", netloc="", fragment="").geturl()
        response["Location"] = f"{to.path}?{urlencode({REDIRECT_FIELD_NAME: page})}"
