"""Find the account here of a person sent by an issuer, or the reason why there is none.

Superusers create accounts; signing in never does. An issuer's account is linked to an account here
by a superuser, or at the first sign-in by an e-mail address that the issuer has verified and is
trusted to vouch for.
"""

from collections.abc import Mapping
from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User

from access.issuers import Issuer


class NotAdmitted(Exception):
    """Why a person is not let in, and what to do. ``reason`` is for the audit trail."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason)
        self.reason, self.advice = reason, advice


def admit(issuer: Issuer, account: SocialAccount, claims: Mapping[str, Any]) -> SocialAccount:
    """Return the stored, linked account of the person ``issuer`` sent. Raises NotAdmitted.

    ``account`` has the issuer's ID and the subject; ``claims`` are what it says about the person.
    """
    linked = SocialAccount.objects.filter(provider=issuer.id, uid=account.uid).first()
    if linked is None:
        user = _user_of(issuer, account.uid, claims)
        # Two concurrent first sign-ins create one link.
        linked, _ = SocialAccount.objects.get_or_create(
            provider=issuer.id, uid=account.uid, defaults={"user": user}
        )
    if not linked.user.is_active:
        raise NotAdmitted(
            "account is not active",
            "Your Runway account was turned off. A Runway superuser can turn it on.",
        )
    return linked


def _user_of(issuer: Issuer, subject: str, claims: Mapping[str, Any]) -> User:
    email = str(claims.get("email") or "")
    if not email:
        raise NotAdmitted(
            "no e-mail address",
            f"{issuer.name} did not tell your e-mail address, by which Runway would know you. Ask "
            f"the people who run {issuer.name} to send it.",
        )
    if not _is_true(claims.get("email_verified")):
        raise NotAdmitted(
            "e-mail address is not verified",
            f"{issuer.name} has not verified your e-mail address {email}. Verify it there, then "
            "sign in again.",
        )
    if not issuer.vouches_for(email):
        raise NotAdmitted(
            "issuer is not trusted with this e-mail domain",
            f"Runway does not know people by the address {email} when they come from "
            f"{issuer.name}. A Runway superuser can link your account by hand.",
        )
    # The database treats more letters as equal than mail servers do.
    users = [
        each
        for each in User.objects.filter(email__iexact=email)
        if each.email.lower() == email.lower()
    ]
    if not users:
        raise NotAdmitted(
            "nobody has this e-mail address",
            f"Runway has no account with the e-mail address {email}. Ask a Runway superuser to "
            "make one and to give it a membership.",
        )
    if len(users) > 1:
        raise NotAdmitted(
            "several accounts have this e-mail address",
            f"Several accounts of Runway have the e-mail address {email}. A Runway superuser "
            "can link the right one by hand.",
        )
    [user] = users
    others = SocialAccount.objects.filter(provider=issuer.id, user=user).exclude(uid=subject)
    if others.exists():
        # An address that was reassigned to another person must not give them the account.
        raise NotAdmitted(
            "account is linked to somebody else at this issuer",
            f"The account of Runway with the e-mail address {email} belongs to another account at "
            f"{issuer.name}. A Runway superuser can remove that link.",
        )
    return user


def _is_true(value: Any) -> bool:
    """Whether a claim is true. Some issuers send words, and "false" must not count as true."""
    return value is True or (isinstance(value, str) and value.lower() == "true")
