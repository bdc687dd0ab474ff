"""Addresses with a null character: nothing has such a name, as PostgreSQL can hold none."""

from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse

_OF_PROGRAMS = "/api/"  # which say what is wrong by themselves


def null_characters(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware that answers 400 to them, where a look-up would fail."""

    def middleware(request: HttpRequest) -> HttpResponse:
        in_query = "%00" in request.META.get("QUERY_STRING", "")
        if (in_query or "\0" in request.path) and not request.path.startswith(_OF_PROGRAMS):
            raise BadRequest("An address has no null characters.")
        return get_response(request)

    return middleware
