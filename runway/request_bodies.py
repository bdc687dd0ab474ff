"""Limit the size of a request's body before any of it is parsed.

Django parses a form, including files, to find its CSRF token before a view can check who sends it.
So bodies too large for their sender are refused first: strangers may send little, people as much as
a page's form needs, and those who may submit jobs, their files.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from earthbeam.models import Job

STRANGERS_BYTES = 64 * 1024
PAGE_BYTES = 12 * 1024 * 1024
"""For people who are signed in. The table of unmatched rows is the largest form of a page."""
UPLOADS = "admin:earthbeam_job_add"
_FILES_OF_A_JOB = 4

_BY_TOKEN = "/api/"  # noqa: S105  APIs, which look at the token before they read the body


class RequestBodies:
    """Middleware, placed before CsrfViewMiddleware, whose ``process_view`` parses the body."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: Any) -> HttpResponse | None:
        """Respond 413 to a body that is too large, without reading any of it."""
        # Without a length, Django reads nothing.
        length = int(request.META.get("CONTENT_LENGTH") or 0)
        if request.path.startswith(_BY_TOKEN) or length <= STRANGERS_BYTES:
            return None
        return None if length <= _limit(request) else _too_large(request)


def _limit(request: HttpRequest) -> int:
    if not request.user.is_authenticated:
        return STRANGERS_BYTES
    match = request.resolver_match
    jobs = admin.site.get_model_admin(Job)
    if match and match.view_name == UPLOADS and jobs.has_add_permission(request):
        return int(settings.MAX_UPLOAD_BYTES) * _FILES_OF_A_JOB
    return PAGE_BYTES


def _too_large(request: HttpRequest) -> HttpResponse:
    text = "This is larger than Runway accepts here."
    if not request.user.is_authenticated:
        text += " If you were signed in, sign in again, and send it once more."
    return HttpResponse(text, status=413, content_type="text/plain; charset=utf-8")
