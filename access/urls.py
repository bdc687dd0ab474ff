"""Sign-in by OIDC, second factors, and sessions. No other pages of django-allauth are used."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from access import factor_views, own_factors, set_up_views, views

urlpatterns = [
    # django-allauth requires these names.
    path("sign-in/<slug:provider_id>/", views.to_issuer, name="openid_connect_login"),
    path("sign-in/<slug:provider_id>/callback", views.from_issuer, name="openid_connect_callback"),
    # The admin's own view signs out members only.
    path("sign-out/", LogoutView.as_view(next_page="admin:login"), name="sign_out"),
    path("sign-out/everywhere/", own_factors.sign_out_everywhere, name="sign_out_everywhere"),
    path("session", own_factors.session, name="session"),
    path("second-factor/", factor_views.ask, name="second_factor"),
    path("second-factor/cancel/", factor_views.cancel, name="second_factor_cancel"),
    path("second-factor/set-up/", set_up_views.choose, name="second_factor_set_up"),
    path("second-factor/app/", set_up_views.app, name="second_factor_app"),
    path("second-factor/passkey/", set_up_views.passkey, name="second_factor_passkey"),
    path("security/", own_factors.overview, name="second_factors"),
    path("security/confirm/", own_factors.confirm, name="second_factor_confirm"),
    path("security/remove/<int:key>/", own_factors.remove, name="second_factor_remove"),
    path("security/recovery-codes/", own_factors.new_codes, name="recovery_codes"),
]
