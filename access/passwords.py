"""What a new password must not be."""

import unicodedata
from typing import Any

from django.core.exceptions import ValidationError

_SHORT = 3  # shorter names are found in any text


class NotTheNameValidator:
    """Refuses passwords with the person's user name or e-mail address in them.

    Django's own check is of how similar the two are as a whole, which a long password with the
    name in it is not.
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
    """Without differences of capitals, blanks around, and Unicode's ways to write a letter."""
    return unicodedata.normalize("NFKC", text).casefold().strip()
