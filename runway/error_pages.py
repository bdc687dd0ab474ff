"""Error responses outside views: pages for people, JSON for programs."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults


def page_not_found(request: HttpRequest, exception: Exception, **kwargs: Any) -> HttpResponse:
    """Respond 404."""
    if request.path.startswith("/api/"):
        hint = " Paths have no / at their end." if request.path.endswith("/") else ""
        return _refusal(404, f"There is no such call.{hint}")
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    """Respond 500."""
    if request.path.startswith("/api/"):
        return _refusal(500, "Something went wrong on our side.")
    return defaults.server_error(request)


def _refusal(status: int, detail: str) -> JsonResponse:
    """Return JSON like the external API's: existing clients read ``statusCode`` and ``message``."""
    body = {"detail": detail, "statusCode": status, "message": detail}
    return JsonResponse(body, status=status)
