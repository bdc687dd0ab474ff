"""The form of an ODS connection. It is tested before it is saved, and its secret is never shown."""

from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.core.exceptions import ValidationError

from partners.encryption import UndecryptableSecret, seal, unseal
from partners.models import OdsConnection
from partners.ods import allowed_addresses
from partners.ods.check import OdsCheck, check

KEPT_SECONDS = 30 * 60
_PURPOSE = "ods-secret-just-entered"


def bare_url(url: Any) -> None:
    """Raise ValidationError unless ``url`` is an ODS's URL and nothing more."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValidationError(
            "This is not a valid address. Check the brackets and the port."
        ) from None
    if parts.scheme not in ("http", "https"):
        # Not only in the model, whose validators run after the test.
        raise ValidationError("The URL must begin with https:// or http://.")
    if parts.username or parts.password:
        raise ValidationError("Remove the user name and password from the URL.")
    if parts.query or parts.fragment:
        raise ValidationError("Remove the ? or # and everything after it from the URL.")
    if parts.path.rstrip("/").endswith("/data/v3"):
        raise ValidationError("Remove /data/v3 from the end. Runway adds it.")
    if reason := allowed_addresses.problem(url):
        raise ValidationError(reason)


class OdsConnectionForm(forms.ModelForm):
    """A connection that is tested with its credentials. An empty secret keeps the old one.

    If the test fails, nothing is saved unless the person gives a reason. Until then, the page keeps
    the entered secret sealed, so that nobody has to enter it again.
    """

    url = forms.URLField(
        label="ODS URL",
        max_length=500,
        assume_scheme="https",
        validators=[bare_url],
        widget=forms.URLInput(attrs={"class": "vURLField"}),
        help_text="The API's base address, such as https://ods.example.org/v7.2/api.",
    )
    secret = forms.CharField(
        label="Client secret",
        required=False,
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password", "class": "vTextField"}),
        help_text="Runway never shows it. To keep the current secret when you change a connection, "
        "leave this empty.",
    )
    kept_secret = forms.CharField(required=False, widget=forms.HiddenInput)
    save_anyway = forms.BooleanField(label="Save it even though the test failed", required=False)
    reason = forms.CharField(
        label="Why",
        required=False,
        max_length=300,
        help_text="Others see it next to the failed test. For example: the ODS opens on Monday.",
    )

    class Meta:
        model = OdsConnection
        fields = ["tenant", "school_year", "url", "client_id"]
        labels = {"client_id": "Client ID"}

    failed_check: OdsCheck | None = None
    result: OdsCheck | None = None
    resealed = ""
    """The secret just entered, for the next attempt."""

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if not values.get("secret") and (kept := values.get("kept_secret")):
            values["secret"] = unseal(kept, _PURPOSE, seconds=KEPT_SECONDS) or ""
        if values.get("secret"):
            self.resealed = seal(values["secret"], _PURPOSE)
        if self.instance.pk is None:
            self._check_new(values)
        elif not values.get("secret"):
            self._check_old_secret(values)
        if not self.errors and (self.instance.pk is None or self.is_change):
            self._test(values)
        return values

    @property
    def is_change(self) -> bool:
        """Whether saving creates a different connection."""
        return bool({"url", "client_id"} & set(self.changed_data)) or bool(
            self.cleaned_data.get("secret")
        )

    def effective_secret(self) -> str:
        """Return the entered secret or, if none was entered, the stored one."""
        return self.cleaned_data["secret"] or self.instance.client_secret

    def _check_new(self, values: dict[str, Any]) -> None:
        if not values.get("secret"):
            self.add_error("secret", "Enter the client secret.")
        if OdsConnection.objects.filter(
            tenant=values.get("tenant"), school_year=values.get("school_year"), retired_at=None
        ).exists():
            self.add_error(
                None,
                "This tenant already has an active ODS connection for that year. Change that one.",
            )

    def _check_old_secret(self, values: dict[str, Any]) -> None:
        if "url" not in values:  # it has its own error
            return
        if _server(values["url"]) != _server(self.initial["url"]):
            # A person who may change the URL must not get the secret by pointing it at their own
            # server.
            self.add_error(
                "secret",
                "The URL leads to another server, which the stored secret is not sent to. "
                "Enter the secret.",
            )
            return
        try:
            self.effective_secret()
        except UndecryptableSecret:
            self.add_error("secret", "The stored secret cannot be decrypted. Enter it again.")

    def _test(self, values: dict[str, Any]) -> None:
        # May take half a minute, while a person waits.
        self.result = check(values["url"], values["client_id"], self.effective_secret())
        if self.result.ok:
            return
        self.failed_check = self.result
        if not values.get("save_anyway"):
            self.add_error(None, "Not saved, because the connection test failed.")
        elif not values.get("reason", "").strip():
            self.add_error("reason", "Explain why you are saving it even though its test failed.")


def _server(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
