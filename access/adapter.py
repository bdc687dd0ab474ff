"""How django-allauth signs people in: only those whom people.py admits, and with our own pages."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.base import AuthError
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from django.http import HttpRequest

from access import issuers, people
from access.pages import not_signed_in
from partners import audit, encryption


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_login_stages(self) -> list[str]:
        """Return no further stages: asking for a second factor is up to the issuer."""
        return []

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Add no messages. The next page shows that signing in worked."""


class FactorAdapter(DefaultMFAAdapter):
    """Second factors. Their secrets are encrypted before they are stored."""

    def encrypt(self, text: str) -> str:
        return encryption.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return encryption.decrypt(encrypted_text)

    def get_totp_issuer(self) -> str:
        return "Runway"

    def _get_site_name(self) -> str:
        return "Runway"


class IssuerAdapter(DefaultSocialAccountAdapter):
    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """Return the configured issuers. None comes from the database."""
        return [
            SocialApp(
                provider=OpenIDConnectProvider.id,
                provider_id=each.id,
                name=each.name,
                client_id=each.client_id,
                secret=each.client_secret,
                settings={"server_url": each.issuer, "oauth_pkce_enabled": True},
            )
            for each in issuers.configured()
            if provider in (None, OpenIDConnectProvider.id, each.id)
            and client_id in (None, each.client_id)
        ]

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False

    def authenticate_by_email(self, sociallogin: SocialLogin) -> None:
        """Do nothing: people.py does this, by its own rules."""

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        issuer = issuers.find(sociallogin.account.provider)
        assert issuer is not None  # the provider was found by this ID
        try:
            account = people.admit(issuer, sociallogin.account, _claims(sociallogin))
        except people.NotAdmitted as error:
            audit.record(
                sociallogin.user if sociallogin.is_existing else None,
                "sign-in failed",
                by=issuer.name,
                reason=error.reason,
            )
            raise ImmediateHttpResponse(
                not_signed_in(request, issuer, error.advice, status=403)
            ) from None
        sociallogin.account, sociallogin.user = account, account.user
        request.signed_in_by = issuer.name  # type: ignore[attr-defined]

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        issuer = issuers.find(provider.app.provider_id)
        assert issuer is not None
        if error == AuthError.CANCELLED:
            advice = "The sign-in was cancelled. Nothing has changed."
        elif exception is None:
            advice = (
                "This sign-in was begun too long ago, in another window, or it was used already. "
                "Begin anew."
            )
        else:
            audit.record(None, "sign-in failed", by=issuer.name, reason=type(exception).__name__)
            advice = (
                f"{issuer.name} could not confirm who you are. Try again in a minute. If that "
                "does not help, contact Runway support."
            )
        raise ImmediateHttpResponse(not_signed_in(request, issuer, advice, status=401))


def _claims(sociallogin: SocialLogin) -> dict[str, Any]:
    """Return the issuer's claims, from ID token and userinfo, which must be about the same person.

    OpenID Connect Core 1.0, 5.3.2: userinfo must not be used if its sub differs from the ID
    token's.
    """
    said = sociallogin.account.extra_data
    id_token, userinfo = said.get("id_token") or {}, said.get("userinfo") or {}
    if id_token and userinfo and id_token.get("sub") != userinfo.get("sub"):
        raise people.NotAdmitted(
            "userinfo is about somebody else",
            "The sign-in service sent conflicting information about who you are. Contact the "
            "people who run it.",
        )
    return {**id_token, **userinfo}
