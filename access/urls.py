"""Sign-in by OIDC. The names are those by which django-allauth finds its way."""

from django.urls import path

from access import views

urlpatterns = [
    path("<slug:provider_id>/", views.to_issuer, name="openid_connect_login"),
    path("<slug:provider_id>/callback", views.from_issuer, name="openid_connect_callback"),
]
