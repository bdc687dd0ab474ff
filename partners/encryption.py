"""Encrypted secrets: Fernet with key rotation, as a model field, and how to find them again."""

import hashlib
import hmac
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


class UndecryptableSecret(Exception):
    """No key of ENCRYPTION_KEYS opens a stored secret; put the old key back, or enter it anew."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def _fernet() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.ENCRYPTION_KEYS])


def encrypt(text: str) -> str:
    """Encrypt ``text`` for storage, with the first of ``ENCRYPTION_KEYS``."""
    return _fernet().encrypt(text.encode()).decode()


def decrypt(stored: str) -> str:
    """Decrypt stored text. Raises UndecryptableSecret if no key fits."""
    try:
        return _fernet().decrypt(stored.encode()).decode()
    except InvalidToken:
        raise UndecryptableSecret from None


def is_current(stored: str) -> bool:
    """Whether the first of ``ENCRYPTION_KEYS`` has encrypted the stored text."""
    try:
        Fernet(settings.ENCRYPTION_KEYS[0]).decrypt(stored.encode())
    except InvalidToken:
        return False
    return True


def renewed(stored: str) -> str:
    """Encrypt stored text anew with the first key. Raises UndecryptableSecret if no key fits."""
    try:
        return _fernet().rotate(stored.encode()).decode()
    except InvalidToken:
        raise UndecryptableSecret from None


def search_keys(text: str, purpose: str) -> list[str]:
    """Return keyed hashes by which to find a row whose ``text`` is stored encrypted, in hex.

    One for each of ``ENCRYPTION_KEYS``: store the first, and look for all of them. The same text
    has other hashes for another ``purpose``.
    """
    message = f"{purpose}\0{text}".encode()
    return [
        hmac.new(key.encode(), message, hashlib.sha256).hexdigest()
        for key in settings.ENCRYPTION_KEYS
    ]


def seal(text: str, purpose: str) -> str:
    """Encrypt ``text`` for a page to return unread within some minutes: see ``unseal``."""
    return _fernet().encrypt(f"{purpose}:{text}".encode()).decode()


def unseal(sealed: str, purpose: str, *, seconds: int) -> str | None:
    """Return what was sealed for ``purpose`` at most ``seconds`` ago, or None for anything else."""
    try:
        text = _fernet().decrypt(sealed.encode(), ttl=seconds).decode()
    except InvalidToken:
        return None
    return text.removeprefix(f"{purpose}:") if text.startswith(f"{purpose}:") else None


class EncryptedTextField(models.TextField):
    """Text that is encrypted in the database.

    The first of ``ENCRYPTION_KEYS`` encrypts, all of them decrypt. Reading raises
    UndecryptableSecret if no key fits. It cannot be used in filters, since the same text encrypts
    differently each time.
    """

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return value if value is None else encrypt(value)

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        return value if value is None else decrypt(value)
