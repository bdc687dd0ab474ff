"""Forms that accept a password or a code, limited in their attempts by limits.py."""

import math
from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm, AdminPasswordChangeForm
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils import timezone

from access import factors, limits
from partners import audit
from partners.client_address import client_address

_AUTOFOCUS = {"autofocus": True}


class Limited(forms.BaseForm):
    """``wait`` is the number of seconds until the next try if there were too many, else None."""

    wait: int | None = None

    def too_many(
        self, error: limits.TooManyAttempts, user: User | None, what: str, help_text: str
    ) -> ValidationError:
        """Return the error for too many tries at ``what``. Records the first one in the trail."""
        if error.first:
            audit.record(user, "sign-in stopped", reason=f"too many failed attempts{what}")
        seconds = (error.until - timezone.now()).total_seconds()
        self.wait = max(1, math.ceil(seconds))
        minutes = math.ceil(self.wait / 60)
        text = (
            f"Too many failed attempts{what or ' to sign in'}. Try again in {minutes} "
            f"{'minute' if minutes == 1 else 'minutes'}, at {error.until:%H:%M} UTC. {help_text}"
        )
        return ValidationError(text.strip(), code="too_many")

    def check_password_of(self, user: User, password: str, address: str | None) -> bool:
        """Whether the password is right. Counts as a sign-in attempt, like any guess."""
        name = user.get_username()
        try:
            limits.count_attempt(name, address)
        except limits.TooManyAttempts as error:
            raise self.too_many(error, user, " at your password", "") from None
        if not user.check_password(password):
            audit.record(user, "password refused", actor=user)
            return False
        limits.forgive(name, address)
        return True


class SignInForm(Limited, AdminAuthenticationForm):
    """User name and password."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "The user name and password do not match. Both are case-sensitive.",
    }

    def clean(self) -> dict[str, Any]:
        account, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if not account or not password:
            return super().clean()
        address = client_address(self.request) if self.request else None
        try:
            limits.count_attempt(account, address)
        except limits.TooManyAttempts as error:
            known = User.objects.filter(username=account).first()
            raise self.too_many(
                error,
                known,
                "",
                "If you do not remember your password, ask a Runway superuser for a new one.",
            ) from None
        values = super().clean()
        limits.forgive(account, address)
        return values

    def confirm_login_allowed(self, user: Any) -> None:
        """Allow non-members too. The next page says what they cannot access."""
        AuthenticationForm.confirm_login_allowed(self, user)


class OwnPasswordForm(Limited, AdminPasswordChangeForm):
    """A new password of one's own, after entering the old one."""

    def __init__(self, *args: Any, address: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.address = address

    def clean_old_password(self) -> str:
        old: str = self.cleaned_data["old_password"]
        if not self.check_password_of(self.user, old, self.address):
            raise ValidationError(
                self.error_messages["password_incorrect"], code="password_incorrect"
            )
        return old


class ConfirmForm(Limited, forms.Form):
    """The password again, before a change of how one signs in."""

    password = forms.CharField(
        label="Your password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", **_AUTOFOCUS}),
    )

    def __init__(self, *args: Any, user: User, address: str | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user, self.address = user, address

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        if not self.check_password_of(self.user, password, self.address):
            raise ValidationError("This is not your password. It is case-sensitive.")
        return password


class CodeInput(forms.PasswordInput):
    """A visible input that is cleared after a wrong code."""

    input_type = "text"


class CodeForm(Limited, forms.Form):
    """A code of one of the factors of ``user``. ``factor`` is the one it belongs to."""

    code = forms.CharField(
        label="Code",
        max_length=32,
        widget=CodeInput(
            attrs={
                "autocomplete": "one-time-code",
                "autocapitalize": "off",
                "spellcheck": "false",
                **_AUTOFOCUS,
            }
        ),
    )
    factor: Any = None

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        self.count()
        if not self.is_right(code):
            audit.record(self.user, "second factor refused")
            raise ValidationError(self.wrong)
        limits.forgive_codes(self.user.pk)
        return code

    wrong = (
        "This code is not right, or it was used already. Wait for the next one, and check that the "
        "clock of your phone is right."
    )

    def count(self) -> None:
        try:
            limits.count_code(self.user.pk)
        except limits.TooManyAttempts as error:
            help_text = "You can use a passkey in the meantime, if you have one."
            raise self.too_many(error, self.user, " at a code", help_text) from None

    def is_right(self, code: str) -> bool:
        self.factor = factors.check_code(self.user, code)
        return self.factor is not None


class AppForm(CodeForm):
    """The first code of an authenticator app that has ``secret``. ``step`` is its time step."""

    step: int | None = None
    wrong = (
        "This code is not right. Wait for the next one, and check that the clock of your phone is "
        "right."
    )

    def __init__(self, *args: Any, secret: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.secret = secret

    def is_right(self, code: str) -> bool:
        self.step = factors.right_step(self.secret, "".join(code.split()))
        return self.step is not None


class PasskeyForm(forms.Form):
    """The browser's answer about a passkey, and the name of a new one."""

    name = forms.CharField(label="Name", max_length=60, required=False)
    credential = forms.JSONField(widget=forms.HiddenInput)
