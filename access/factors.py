"""Second factors: which ones people have and need, and codes that work once.

django-allauth stores them (its model Authenticator), calculates codes, and implements WebAuthn. The
database here ensures that a code works only once, since django-allauth uses a cache, which is
separate in each process.
"""

import hmac
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.webauthn.internal.auth import WebAuthn
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from partners import audit, encryption, scoping
from partners.renewal import Renewed

logger = logging.getLogger(__name__)

APP, PASSKEY = Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN
RECOVERY_CODES = Authenticator.Type.RECOVERY_CODES
_SECRETS = ("secret", "seed")
"""What is encrypted in a factor's data."""

WORDS = {APP: "authenticator app", PASSKEY: "passkey", RECOVERY_CODES: "recovery code"}


class CannotAdd(Exception):
    """The account got a factor meanwhile, so a set-up that began without one is invalid."""


class IsNeeded(Exception):
    """The last factor of a person who needs one cannot be removed."""


def main_factors() -> "QuerySet[Authenticator]":
    """Return all factors but recovery codes, which only replace another factor."""
    return Authenticator.objects.exclude(type=RECOVERY_CODES)


def of(user: User) -> list[Authenticator]:
    """Return the factors of ``user`` without recovery codes, in the order they were added."""
    return list(main_factors().filter(user=user).order_by("pk"))


def required(user: User) -> bool:
    """Whether ``user`` may not sign in with a password alone."""
    return settings.REQUIRE_SECOND_FACTOR and scoping.is_member(user, admins_only=True)


def check_code(user: User, code: str) -> Authenticator | None:
    """Return the factor of ``code``: the app, or the recovery codes. A code works once."""
    code = "".join(code.split()).replace("-", "")
    with transaction.atomic():
        rows = Authenticator.objects.select_for_update().filter(user=user).exclude(type=PASSKEY)
        for row in rows.order_by("-type"):
            try:
                if _is_right(row, code):
                    row.last_used_at = timezone.now()
                    row.save()
                    return row
            except encryption.UndecryptableSecret:
                logger.error("second factor %s: no key of ENCRYPTION_KEYS opens its secret", row.pk)
    return None


def _is_right(row: Authenticator, code: str) -> bool:
    if row.type == APP:
        step = right_step(encryption.decrypt(row.data["secret"]), code)
        # RFC 6238, 5.2: a code is not accepted twice, nor one older than an accepted one.
        if step is None or step <= row.data["last_step"]:
            return False
        row.data["last_step"] = step
        return True
    codes = RecoveryCodes(row)
    for place, each in enumerate(codes.generate_codes()):
        if not codes._is_code_used(place) and _same(each, code):
            row.data["used_mask"] |= 1 << place
            return True
    return False


def renew_encryption() -> Renewed:
    """Encrypt the factors' secrets anew: see partners/renewal.py."""
    total = Renewed()
    for pk in (
        Authenticator.objects.exclude(type=PASSKEY).order_by("pk").values_list("pk", flat=True)
    ):
        with transaction.atomic():
            row = Authenticator.objects.select_for_update().filter(pk=pk).first()
            total += _renew(row) if row is not None else Renewed()
    return total


def _renew(row: Authenticator) -> Renewed:
    names = [name for name in _SECRETS if name in row.data]
    old = [name for name in names if not encryption.is_current(row.data[name])]
    try:
        for name in old:
            row.data[name] = encryption.renewed(row.data[name])
    except encryption.UndecryptableSecret:
        return Renewed(unreadable=1)
    if old:
        row.save(update_fields=["data"])
    return Renewed(renewed=len(old))


def right_step(secret: str, code: str) -> int | None:
    """Return the time step that ``code`` is valid for: the present one or a neighbor."""
    for step in totp.yield_hotp_counters_from_time():
        if _same(totp.format_hotp_value(totp.hotp_value(secret, step)), code):
            return int(step)
    return None


def _same(right: str, given: str) -> bool:
    return hmac.compare_digest(right.encode(), given.encode())


def add_app(user: User, secret: str, step: int, *, first: bool) -> list[str] | None:
    """Store the authenticator app that showed the code of ``step``; see ``_add``."""
    data = {"secret": encryption.encrypt(secret), "last_step": step}
    return _add(Authenticator(user=user, type=APP, data=data), first=first)


def add_passkey(user: User, name: str, credential: dict, *, first: bool) -> list[str] | None:
    """Store a passkey; see ``_add``."""
    data = {"name": name, "credential": credential}
    return _add(Authenticator(user=user, type=PASSKEY, data=data), first=first)


def _add(row: Authenticator, *, first: bool) -> list[str] | None:
    """Store a factor. Returns new recovery codes, or None if there already are some.

    Raises CannotAdd if it should be the ``first`` and is not, or if there is another app.
    """
    with _locked(row.user):
        there = of(row.user)
        if (first and there) or (row.type == APP and any(each.type == APP for each in there)):
            raise CannotAdd
        row.last_used_at = timezone.now()
        row.save()
        audit.record(row.user, "second factor added", actor=row.user, kind=WORDS[row.type])
        if Authenticator.objects.filter(user=row.user, type=RECOVERY_CODES).exists():
            return None
        return _new_recovery_codes(row.user)


def new_recovery_codes(user: User) -> list[str] | None:
    """Replace the recovery codes, and return the new ones. None if there is no other factor."""
    with _locked(user):
        return _new_recovery_codes(user) if of(user) else None


def _new_recovery_codes(user: User) -> list[str]:
    Authenticator.objects.filter(user=user, type=RECOVERY_CODES).delete()
    codes: list[str] = RecoveryCodes.activate(user).generate_codes()
    audit.record(user, "recovery codes made", actor=user)
    return codes


def recovery_codes_left(user: User) -> int:
    """Return how many recovery codes are unused."""
    row = Authenticator.objects.filter(user=user, type=RECOVERY_CODES).first()
    if row is None:
        return 0
    return settings.MFA_RECOVERY_CODE_COUNT - int(row.data["used_mask"]).bit_count()


def remove(user: User, key: int) -> bool:
    """Remove a factor of ``user``, and recovery codes with the last. False if it does not exist.

    Raises IsNeeded for the last factor of a person who needs one.
    """
    with _locked(user):
        there = of(user)
        row = next((each for each in there if each.pk == key), None)
        if row is None:
            return False
        if len(there) == 1:
            if required(user):
                raise IsNeeded
            Authenticator.objects.filter(user=user).delete()
        else:
            row.delete()
        audit.record(user, "second factor removed", actor=user, kind=WORDS[row.type])
        return True


def reset(user: User) -> int:
    """Remove all second factors of ``user``, and return how many there were.

    The caller must end the person's sessions.
    """
    with _locked(user):
        count = len(of(user))
        Authenticator.objects.filter(user=user).delete()
        audit.record(user, "second factor reset")
        return count


@contextmanager
def _locked(user: User) -> Iterator[None]:
    """Serialize changes to a person's factors."""
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        yield


def name_of(row: Authenticator) -> str:
    """Return a factor's name. A passkey has its own."""
    return str(WebAuthn(row).name) if row.type == PASSKEY else "Authenticator app"
