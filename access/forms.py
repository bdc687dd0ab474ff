"""The form of the sign-in page."""

import math
from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils import timezone

from access import limits
from partners import audit
from partners.client_address import client_address


class SignInForm(AdminAuthenticationForm):
    """Signs in by password, not more often than limits.py allows.

    ``wait`` is the number of seconds to wait where it was tried too often, else None.
    """

    wait: int | None = None
    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "Name and password do not fit together. Both are case-sensitive.",
    }

    def clean(self) -> dict[str, Any]:
        account, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if not account or not password:
            return super().clean()
        address = client_address(self.request) if self.request else None
        try:
            limits.count_attempt(account, address)
        except limits.TooManyAttempts as error:
            raise self._too_many(account, error) from None
        values = super().clean()
        limits.forgive(account, address)
        return values

    def confirm_login_allowed(self, user: Any) -> None:
        """Members and others alike: what they have no access to, the next page says."""
        AuthenticationForm.confirm_login_allowed(self, user)

    def _too_many(self, account: str, error: limits.TooManyAttempts) -> ValidationError:
        if error.first:
            known = User.objects.filter(username=account).first()
            audit.record(known, "sign-in stopped", reason="too many failed attempts")
        seconds = (error.until - timezone.now()).total_seconds()
        self.wait = max(1, math.ceil(seconds))
        minutes = math.ceil(self.wait / 60)
        return ValidationError(
            f"Too many failed attempts to sign in. Try again in {minutes} "
            f"{'minute' if minutes == 1 else 'minutes'}, at {error.until:%H:%M} UTC. "
            "If you do not remember your password, ask a superuser of Runway for a new one.",
            code="too_many",
        )
