"""The steps from an empty installation to its first job, for superusers."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.urls import reverse

from earthbeam.models import Job
from partners.models import OdsConnection, Partner, SchoolYear, SchoolYearConfig, Tenant


@dataclass(frozen=True)
class Step:
    """A step. ``url`` is the page where it is done. ``done`` steps need nothing more."""

    label: str
    why: str
    url: str
    done: bool


def first_steps(user: User) -> list[Step]:
    """Return a superuser's steps while the installation has no job; otherwise none.

    The ODS connection counts as done if no enabled year sends to an ODS.
    """
    if not user.is_superuser or Job.objects.exists():
        return []
    partner = Partner.objects.order_by("pk").first()
    enabled = SchoolYearConfig.objects.filter(enabled=True)
    years = (
        reverse("admin:partners_partner_years", args=[partner.pk])
        if partner
        else reverse("admin:partners_partner_changelist")
    )
    bundles = (
        reverse("admin:partners_partner_bundles", args=[partner.pk])
        if partner
        else reverse("admin:earthbeam_bundle_changelist")
    )
    needs_ods = enabled.filter(sends_to_ods=True).exists() or not enabled.exists()
    return [
        Step(
            "Add a partner",
            "The state or collaborative whose districts you serve.",
            reverse("admin:partners_partner_add"),
            partner is not None,
        ),
        Step(
            "Add a school year",
            "Such as 2526, from 2025 to 2026.",
            reverse("admin:partners_schoolyear_add"),
            SchoolYear.objects.exists(),
        ),
        Step(
            "Enable the school year for the partner",
            "You can submit jobs for enabled years.",
            years,
            enabled.exists(),
        ),
        Step(
            "Add a tenant",
            "One district of the partner.",
            reverse("admin:partners_tenant_add"),
            Tenant.objects.exists(),
        ),
        Step(
            "Add the tenant's ODS connection",
            "Runway tests it before it is saved.",
            reverse("admin:partners_odsconnection_add"),
            not needs_ods or OdsConnection.objects.filter(retired_at=None).exists(),
        ),
        Step(
            "Enable assessments for the partner",
            "They come from the bundle registry, which Runway reads every hour.",
            bundles,
            Partner.objects.filter(bundles__isnull=False).exists(),
        ),
        Step(
            "Submit the first job",
            "One file for one tenant and school year.",
            reverse("admin:earthbeam_job_add"),
            False,
        ),
    ]
