"""Forms of the admin that say more than their models."""

from typing import Any

from django import forms

from edu.diagnosis import check_login
from edu.waiting import in_time
from partners.encryption import UndecryptableSecret
from partners.models import Membership, OdsConnection, Partner

CROSS_YEAR = "cross_year_match_enabled"


class PartnerForm(forms.ModelForm):
    """A partner, whose cross-year matching is turned on only while its EDU can be reached."""

    class Meta:
        model = Partner
        fields = ["id", "name", CROSS_YEAR, "descriptor_namespace"]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if values.get(CROSS_YEAR) and CROSS_YEAR in self.changed_data and not self.errors:
            steps = in_time(check_login(self.instance.pk or values["id"]))
            failed = next((step for step in steps if not step.ok), None)
            if failed is not None:
                reason = f"Not turned on, as EDU cannot be used. {failed.finding} {failed.remedy}"
                self.add_error(CROSS_YEAR, reason.strip())
        return values


class OdsConnectionForm(forms.ModelForm):
    """A connection whose secret is entered and never shown; left empty, the old one stays."""

    url = forms.URLField(label="ODS URL", max_length=500, assume_scheme="https")
    secret = forms.CharField(
        label="Client secret",
        required=False,
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="It is never shown. When changing a connection, leave it empty to keep it.",
    )

    class Meta:
        model = OdsConnection
        fields = ["tenant", "school_year", "url", "client_id"]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if self.instance.pk is None:
            self._check_new(values)
        elif not values.get("secret"):
            self._check_old_secret()
        return values

    def effective_secret(self) -> str:
        """What was entered or, where nothing was, what is stored."""
        return self.cleaned_data["secret"] or self.instance.client_secret

    def _check_new(self, values: dict[str, Any]) -> None:
        if not values.get("secret"):
            self.add_error("secret", "Enter the client secret.")
        if OdsConnection.objects.filter(
            tenant=values.get("tenant"), school_year=values.get("school_year"), retired_at=None
        ).exists():
            self.add_error(
                None, "This tenant has an active ODS connection for that year. Change that one."
            )

    def _check_old_secret(self) -> None:
        try:
            self.effective_secret()
        except UndecryptableSecret:
            self.add_error("secret", "The stored secret cannot be decrypted. Enter it anew.")


class MembershipForm(forms.ModelForm):
    """A membership whose tenants are its partner's."""

    class Meta:
        model = Membership
        fields = ["user", "partner", "role", "tenants"]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        strangers = [
            tenant.code
            for tenant in values.get("tenants") or ()
            if tenant.partner != values.get("partner")
        ]
        if strangers:
            self.add_error("tenants", f"Not of this partner: {', '.join(strangers)}.")
        return values
