"""Record sign-ins and sign-outs in the audit trail, from Django's signals. Never passwords."""

from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from access import sessions
from partners import audit

BY_PASSWORD = "password"  # noqa: S105 -- a word, not one


@receiver(user_logged_in, dispatch_uid="access.signed_in")
def signed_in(sender: Any, request: HttpRequest | None, user: User, **kwargs: Any) -> None:
    """Record a sign-in. Every way to sign in calls this, and every session begins here."""
    issuer: str | None = getattr(request, "signed_in_by", None)
    factor: str | None = getattr(request, "second_factor", None)
    if request is not None:
        # Issuers ask for a second factor themselves.
        sessions.begin(
            request,
            user,
            factor="issuer" if issuer else factor,
            generation=getattr(request, "generation", None),
        )
    details = {"second_factor": factor} if factor else {}
    audit.record(user, "signed in", actor=user, by=issuer or BY_PASSWORD, **details)


@receiver(user_logged_out, dispatch_uid="access.signed_out")
def signed_out(sender: Any, user: User | None, **kwargs: Any) -> None:
    if user is not None:  # the session may have ended before
        audit.record(user, "signed out", actor=user)


@receiver(user_login_failed, dispatch_uid="access.sign_in_failed")
def sign_in_failed(sender: Any, credentials: dict[str, Any], **kwargs: Any) -> None:
    """Record a failed sign-in without an unknown user name, which may be a mistyped password."""
    known = User.objects.filter(username=credentials.get("username") or "").first()
    audit.record(known, "sign-in failed", by=BY_PASSWORD)
