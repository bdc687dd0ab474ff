"""Refuse URLs with a null character, which PostgreSQL cannot store, so nothing has such a name."""

from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse

_OF_PROGRAMS = "/api/"  # APIs report the problem themselves


def null_characters(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware that responds 400 to such URLs, since a look-up would fail."""

    def middleware(request: HttpRequest) -> HttpResponse:
        in_query = "%00" in request.META.get("QUERY_STRING", "")
        if (in_query or "\0" in request.path) and not request.path.startswith(_OF_PROGRAMS):
            raise BadRequest("An address has no null characters.")
        return get_response(request)

    return middleware
