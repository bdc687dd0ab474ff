"""Where requests go: the admin for people, /api/earthbeam for executors, /api/v1 for systems."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.generic import RedirectView


def healthz(request: HttpRequest) -> HttpResponse:
    """Answers that the process serves requests; asks nothing of the database."""
    return HttpResponse("ok", content_type="text/plain")


urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("healthz", healthz),
    path("admin/", admin.site.urls),
    path("api/earthbeam/", include("earthbeam.api.urls")),
    path("api/v1/", include("earthbeam.external.urls")),
]

handler404 = "runway.error_pages.page_not_found"
handler500 = "runway.error_pages.server_error"

admin.site.site_header = admin.site.site_title = "Runway"
admin.site.index_title = "What would you like to do?"
