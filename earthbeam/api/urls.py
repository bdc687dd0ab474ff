"""The executor-facing API, base /api/earthbeam."""

from django.urls import path

from earthbeam.api import roster, views

urlpatterns = [
    path("auth/<str:run_id>/init", views.InitView.as_view()),
    path("jobs/<str:run_id>", views.JobView.as_view()),
    path("jobs/<str:run_id>/roster", roster.RosterView.as_view()),
    path("jobs/<str:run_id>/status", views.StatusView.as_view()),
    path("jobs/<str:run_id>/error", views.ErrorView.as_view()),
    path("jobs/<str:run_id>/summary", views.SummaryView.as_view()),
    path("jobs/<str:run_id>/unmatched-ids", views.UnmatchedIdsView.as_view()),
    path("jobs/<str:run_id>/output-files", views.OutputFilesView.as_view()),
    path("jobs/<str:run_id>/matches", views.MatchesView.as_view()),
    path("jobs/<str:run_id>/progress", views.ProgressView.as_view()),
]
