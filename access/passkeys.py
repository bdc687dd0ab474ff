"""Passkeys: browsers' answers, verified by django-allauth and its library fido2."""

from typing import Any

from allauth.mfa.webauthn.internal import auth as webauthn
from django.contrib.auth.models import User

from access import factors


def new(user: User) -> dict[str, Any]:
    """Return the options for creating a passkey. The challenge is kept in the session."""
    options: dict[str, Any] = webauthn.begin_registration(user, passwordless=False)
    return options


def is_new(credential: Any) -> bool:
    """Whether ``credential`` is a passkey created for the session's challenge."""
    try:
        webauthn.parse_registration_response(credential)
        webauthn.complete_registration(credential)
    # A made-up answer breaks the library in many ways (KeyError, TypeError, struct.error …).
    except Exception:  # noqa: BLE001
        return False
    return True


def ask(user: User) -> dict[str, Any] | None:
    """What the browser is asked to sign, or None for somebody without passkeys."""
    if not any(each.type == factors.PASSKEY for each in factors.of(user)):
        return None
    options: dict[str, Any] = webauthn.begin_authentication(user)
    return options


def is_right(user: User, credential: Any) -> bool:
    """Whether a passkey of ``user`` signed what the session's page asked."""
    try:
        webauthn.parse_authentication_response(credential)
        webauthn.complete_authentication(user, credential).record_usage()
    except Exception:  # noqa: BLE001 -- as above
        return False
    return True
