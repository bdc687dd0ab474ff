"""The external API, base /api/v1: contract section 9."""

from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from earthbeam.external import (
    files_views,
    jobs_views,
    open_rows_views,
    output_sets_views,
    runs_views,
    views,
)

app_name = "external"

urlpatterns = [
    path("jobs", jobs_views.JobsView.as_view()),
    path("jobs/<uuid:uid>", jobs_views.JobView.as_view()),
    path("jobs/<uuid:uid>/start", jobs_views.StartView.as_view()),
    path("jobs/<uuid:uid>/cancel", jobs_views.CancelView.as_view()),
    path("jobs/<uuid:uid>/open-rows", open_rows_views.OpenRowsView.as_view()),
    path("jobs/<uuid:uid>/open-rows.csv", open_rows_views.OpenRowsFileView.as_view()),
    path("jobs/<uuid:uid>/decisions", open_rows_views.DecisionsView.as_view()),
    path("output-sets", output_sets_views.OutputSetsView.as_view()),
    path("output-sets/<uuid:uid>/download-links", output_sets_views.DownloadLinksView.as_view()),
    path("runs", runs_views.RunsView.as_view()),
    path("token/verify", views.TokenView.as_view()),
    path("schema", SpectacularAPIView.as_view(), name="schema"),
    path("docs", SpectacularSwaggerView.as_view(url_name="external:schema"), name="docs"),
    path("files/<str:token>", files_views.FileView.as_view(), name="file"),
]
