"""URLs: admin and sign-in for people, /api/earthbeam for executors, /api/v1 for other systems."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from earthbeam.admin.people.notifications import notifications


def favicon(request: HttpRequest) -> HttpResponse:
    """Redirect to the icon, for responses that cannot name it, such as downloads."""
    return redirect(static("runway/icon.svg"))


urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("favicon.ico", favicon),
    path("admin/", admin.site.urls),
    path("notifications/", admin.site.admin_view(notifications), name="notifications"),
    path("", include("access.urls")),
    path("api/earthbeam/", include("earthbeam.api.urls")),
    path("api/v1/", include("earthbeam.external.urls")),
]

handler404 = "runway.error_pages.page_not_found"
handler500 = "runway.error_pages.server_error"

admin.site.site_header = admin.site.site_title = "Runway"
admin.site.index_title = "What would you like to do?"
