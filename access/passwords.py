"""Rules for new passwords."""

import unicodedata
from typing import Any

from django.core.exceptions import ValidationError

_SHORT = 3  # shorter names occur in any text


class NotTheNameValidator:
    """Refuses passwords that contain the person's user name or e-mail address.

    Django's own validator compares the two as a whole, and so accepts a long password with the name
    in it.
    """

    def validate(self, password: str, user: Any = None) -> None:
        if user is None:
            return
        given = _plain(password)
        email = _plain(user.email or "")
        for name in (_plain(user.get_username()), email, email.partition("@")[0]):
            if name and (not given.replace(name, "") or (len(name) >= _SHORT and name in given)):
                raise ValidationError(
                    "The password contains your user name or e-mail address. Choose one without.",
                    code="password_contains_name",
                )

    def get_help_text(self) -> str:
        return "Your password can't contain your user name or your e-mail address."


def _plain(text: str) -> str:
    """Normalize case, surrounding blanks, and Unicode's forms of a letter."""
    return unicodedata.normalize("NFKC", text).casefold().strip()
