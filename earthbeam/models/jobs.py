import uuid
from datetime import datetime

from django.conf import settings
from django.db import models

from earthbeam.models.bundles import Bundle
from partners.models import SchoolYear, Tenant

POSSIBLE_ID_COLUMNS = "POSSIBLE_STUDENT_ID_COLUMNS"
"""The one parameter that only the app sets: contract section 3."""


class Job(models.Model):
    """One request to load one assessment file set for a tenant and a school year.

    The settings that a run depends on are copied here when the job is created (the bundle's
    template, whether it goes to an ODS, where its files are stored), so that later changes do not
    affect old jobs.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="jobs")
    school_year = models.ForeignKey(SchoolYear, on_delete=models.PROTECT)
    bundle = models.ForeignKey(Bundle, on_delete=models.PROTECT)
    bundle_template = models.JSONField()
    bundle_branch = models.CharField(max_length=200)
    send_to_ods = models.BooleanField()
    input_params = models.JSONField(default=dict)
    id_repairs = models.JSONField(
        default=list,
        db_default=[],  # for the previous release, which does not know the column
        help_text="Damage to IDs that a person wants undone in the whole file, such as "
        "leading_zeros.",
    )
    decided_rows = models.PositiveIntegerField(
        default=0,
        db_default=0,  # for the previous release, which does not know the column
        help_text="Rows for which a person has chosen the student.",
    )
    files_base = models.CharField(
        max_length=500, help_text="Where this job's files lie: s3://BUCKET or file:///DIR."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    api_client = models.CharField(max_length=200, blank=True)
    parent = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="children",
        help_text="The job whose unmatched rows, or whose revised file, this one loads.",
    )
    corrects_refused = models.BooleanField(
        default=False,
        db_default=False,  # for the previous release, which does not know the column
        help_text="Its rows are not the parent's unmatched ones, but of records that the ODS "
        "refused.",
    )
    last_run = models.ForeignKey(
        "Run", on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    resolved_at = models.DateTimeField(
        null=True, blank=True, help_text="Somebody said that nothing is left to do."
    )
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    legal_hold = models.BooleanField(
        default=False,
        db_default=False,  # for the previous release, which does not know the column
        help_text="Nothing of it is destroyed, whatever the partner's retention says.",
    )
    # When the partner's retention last destroyed what the job had: jobs/retention.py.
    input_destroyed_at = models.DateTimeField(null=True, blank=True, editable=False)
    output_destroyed_at = models.DateTimeField(null=True, blank=True, editable=False)
    log_destroyed_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["-created_at"], include=["last_run"], name="job_newest"),
            models.Index(fields=["tenant", "-created_at"], name="job_of_tenant"),
            # Lets counting jobs by status read this and runs, not the jobs with their templates.
            models.Index(
                fields=["last_run"],
                condition=models.Q(resolved_at__isnull=True),
                name="job_unresolved",
            ),
            # For listing clients, and the jobs of one. Most jobs are submitted by people.
            models.Index(
                fields=["tenant", "api_client"],
                condition=~models.Q(api_client=""),
                name="job_client_of_tenant",
            ),
            models.Index(
                fields=["api_client", "-created_at"],
                condition=~models.Q(api_client=""),
                name="job_of_client",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.bundle_template.get('display_name', self.bundle_id)} {self.id}"

    @property
    def output_is_destroyed(self) -> bool:
        """Whether the output files were destroyed, and no run has made others since."""
        return self._is_destroyed(self.output_destroyed_at)

    @property
    def log_is_destroyed(self) -> bool:
        """Whether the logs were destroyed, and no run has written another since."""
        return self._is_destroyed(self.log_destroyed_at)

    def _is_destroyed(self, at: datetime | None) -> bool:
        run = self.last_run
        if at is None or run is None:
            return at is not None
        return run.ended_at is not None and run.ended_at < at


class JobFile(models.Model):
    """An input file of a job. ``stored_name`` is relative to the job's ``input/``."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="files")
    template_key = models.CharField(max_length=100, help_text="Such as INPUT_FILE.")
    name = models.CharField(max_length=255, help_text="As the user named it.")
    stored_name = models.CharField(max_length=400)
    size = models.BigIntegerField(null=True, help_text="Bytes; empty until it is uploaded.")
    sha256 = models.CharField(
        max_length=64,
        blank=True,
        db_index=True,
        help_text="Of the content, in hex; empty where it was not uploaded through the app.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "template_key"], name="job_file_once_a_key")
        ]

    def __str__(self) -> str:
        return self.name


class Submission(models.Model):
    """A job whose files are being stored. Deleted when the job itself is created.

    One that remains belongs to a process that was killed; a task then deletes its files.
    """

    job_id = models.UUIDField(primary_key=True)
    location = models.CharField(max_length=1000, help_text="Of the job's files.")
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"submission of {self.job_id}"


class JobNote(models.Model):
    """A person's note about a job, for others to read."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="notes")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    text = models.TextField(max_length=5000)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["at"]

    def __str__(self) -> str:
        return f"note on {self.job_id}"
