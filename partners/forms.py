"""Admin forms with rules beyond their models'."""

from typing import Any

from django import forms

from edu.diagnosis import check_login
from edu.waiting import in_time
from partners.models import Membership, Partner

CROSS_YEAR = "cross_year_match_enabled"
IDENTITY_CHECKS = "identity_checks"
KEEP_CONFIRMED = "keep_confirmed_days"
KEEP_FILES = ("keep_input_days", "keep_output_days", "keep_log_days")
USERS_MAY_WITHDRAW = "users_may_withdraw"


class PartnerForm(forms.ModelForm):
    """A partner. Cross-year matching can be turned on only while its EDU can be reached."""

    class Meta:
        model = Partner
        fields = [
            *("id", "name", CROSS_YEAR, IDENTITY_CHECKS, KEEP_CONFIRMED, USERS_MAY_WITHDRAW),
            *KEEP_FILES,
            "descriptor_namespace",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A page from before the upgrade does not have these, and must not be refused for it.
        for name in (IDENTITY_CHECKS, KEEP_CONFIRMED, *KEEP_FILES):
            if self.is_bound and self.add_prefix(name) not in self.data:
                self.fields[name].disabled = True

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if values.get(CROSS_YEAR) and CROSS_YEAR in self.changed_data and not self.errors:
            steps = in_time(check_login(self.instance.pk or values["id"]))
            failed = next((step for step in steps if not step.ok), None)
            if failed is not None:
                why = f"{failed.finding} {failed.remedy}".strip()
                reason = f"Not turned on, because Runway cannot use EDU. {why}"
                self.add_error(CROSS_YEAR, reason.strip())
        return values


class MembershipForm(forms.ModelForm):
    """A membership. Its tenants must be its partner's."""

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
