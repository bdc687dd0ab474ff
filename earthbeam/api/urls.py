"""The executor-facing API, base /api/earthbeam."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
