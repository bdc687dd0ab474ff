from django.conf import settings
from django.db import models

from partners.models import Partner


class Bundle(models.Model):
    """An earthmover project for one assessment, synced from the bundle repository's registry."""

    path = models.CharField(
        primary_key=True, max_length=200, help_text="In the bundle repository: assessments/NAME."
    )
    display_name = models.CharField(max_length=200)
    template = models.JSONField(
        help_text="The registry's entry: input_files, input_params, descriptor_mapping_files …"
    )
    student_id_columns = models.JSONField(
        default=list,
        help_text="Of the input, any of which may hold student ids; none: not known.",
    )
    in_registry = models.BooleanField(
        default=True, help_text="Cleared when the registry no longer lists it: no new jobs then."
    )
    enabled_for = models.ManyToManyField(Partner, blank=True, related_name="bundles")

    class Meta:
        ordering = ["display_name"]

    def __str__(self) -> str:
        return self.display_name


class BundleRevision(models.Model):
    """The bundle repository at one commit, as a sync found it (bundles/revisions.py)."""

    branch = models.CharField(max_length=200)
    commit = models.CharField(max_length=64)
    entries = models.JSONField(help_text="registry.json's assessments.")
    id_columns = models.JSONField(default=dict)
    changes = models.JSONField(
        default=list, help_text="Files that differ from the revision that was current then."
    )
    diff = models.TextField(blank=True)
    synced_at = models.DateTimeField()
    is_current = models.BooleanField("current", default=False)
    current_since = models.DateTimeField(null=True, blank=True)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    declined_at = models.DateTimeField(
        null=True, blank=True, help_text="When somebody went back to an earlier revision."
    )

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["branch", "commit"], name="bundle_revision_once"),
            models.UniqueConstraint(
                fields=["branch"],
                condition=models.Q(is_current=True),
                name="one_current_bundle_revision",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.branch} at {self.commit[:12]}"


class BundleSync(models.Model):
    """The outcome of the latest sync of a branch; one row per branch."""

    branch = models.CharField(primary_key=True, max_length=200)
    at = models.DateTimeField()
    error = models.TextField(blank=True, help_text="Why the registry could not be read.")
    succeeded_at = models.DateTimeField(null=True, blank=True)
    result = models.TextField(blank=True, help_text="Of the latest sync that succeeded.")

    def __str__(self) -> str:
        return f"sync of {self.branch}"


class DescriptorMapping(models.Model):
    """One row of a partner's own mapping for a bundle. Replaces the bundle's seed of that type.

    ``other_columns`` are the seed's columns before ``edfi_descriptor``, in order.
    """

    partner = models.ForeignKey(Partner, on_delete=models.CASCADE)
    bundle = models.ForeignKey(Bundle, on_delete=models.CASCADE)
    descriptor_type = models.CharField(
        max_length=100, help_text="The seed's name without .csv, such as gradeLevelDescriptors."
    )
    other_columns = models.JSONField()
    edfi_descriptor = models.CharField(max_length=255)
    local_descriptor = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001

    class Meta:
        ordering = ["partner", "bundle", "descriptor_type", "id"]

    def __str__(self) -> str:
        return f"{self.descriptor_type} of {self.partner_id}: {self.edfi_descriptor}"
