"""What is answered where no view did: pages for people, JSON for programs."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults


def page_not_found(request: HttpRequest, exception: Exception, **kwargs: Any) -> HttpResponse:
    """404."""
    if request.path.startswith("/api/"):
        hint = " Paths have no / at their end." if request.path.endswith("/") else ""
        return JsonResponse({"detail": f"There is no such call.{hint}"}, status=404)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    """500."""
    if request.path.startswith("/api/"):
        return JsonResponse({"detail": "Something went wrong on our side."}, status=500)
    return defaults.server_error(request)
