import uuid
from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q

from earthbeam.models.jobs import Job


class Run(models.Model):
    """One attempt at a job. Its status changes by conditional update only (runs/states.py)."""

    class Status(models.TextChoices):
        NEW = "new", "Queued"
        RUNNING = "running", "Running"
        SUCCESS = "success", "Complete"
        ERROR = "error", "Error"

    class Kind(models.TextChoices):
        """What a run does (contract section 12)."""

        LOAD = "load", "Load"
        PREVIEW = "preview", "Preview"
        RESEND = "resend", "Resend"
        WITHDRAW = "withdraw", "Withdraw"

    class Outcome(models.TextChoices):
        """How a run ended. Refused records outweigh unmatched rows."""

        PREVIEWED = "previewed", "Previewed, not loaded"
        WITHDRAWN = "withdrawn", "Withdrawn"
        COMPLETE = "complete", "Complete"
        COMPLETE_UNMATCHED = "complete_unmatched", "Complete, some unmatched"
        COMPLETE_WITH_ERRORS = "complete_with_errors", "Complete with errors"
        ERROR = "error", "Error"

    UNFINISHED = (Status.NEW, Status.RUNNING)
    SENDING = (Kind.LOAD, Kind.RESEND)
    """Kinds after which the job's records are in the ODS."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="runs")
    kind = models.CharField(
        max_length=10,
        choices=Kind,
        default=Kind.LOAD,
        db_default=Kind.LOAD,  # for the previous release, which does not know the column
    )
    continues = models.ForeignKey(
        "self",
        on_delete=models.CASCADE,
        null=True,
        related_name="+",
        help_text="The run whose stored results this one sends, sends again, or withdraws.",
    )
    fingerprint = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="Of all that decides a preview's results. Its sets are loaded while it is the "
        "same.",
    )
    status = models.CharField(max_length=10, choices=Status, default=Status.NEW, db_index=True)
    timeout_seconds = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    api_client = models.CharField(max_length=200, blank=True)
    launched_at = models.DateTimeField(
        null=True, help_text="An executor was started with a fresh init token."
    )
    started_at = models.DateTimeField(null=True, help_text="The executor reported for work.")
    ended_at = models.DateTimeField(null=True)
    launch_reference = models.CharField(
        max_length=300, blank=True, help_text="What the launcher started: a process id, a task ARN."
    )

    bundle_commit = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="Of the bundle repository, which the run uses.",
    )
    progress = models.JSONField(
        null=True,
        blank=True,
        help_text="Where the executor stood inside its step when it last said so.",
    )
    has_problems = models.BooleanField(
        default=False,
        help_text="It succeeded, but the ODS refused records, or rows matched no student.",
    )
    has_errors = models.BooleanField(
        default=False,
        db_default=False,  # the release before does not know the column
        help_text="It succeeded, but the ODS refused records.",
    )
    edu_unavailable = models.CharField(
        max_length=100,
        blank=True,
        default="",
        db_default="",
        help_text="Why EDU could not be used although cross-year matching was on: a code of "
        "edu/errors.py.",
    )
    waiting_for_edu_since = models.DateTimeField(
        null=True, help_text="The run needs EDU's roster, and is not launched until EDU is there."
    )
    confirmed_students = models.PositiveIntegerField(
        default=0,
        db_default=0,  # for the previous release, which does not know the column
        help_text="How many IDs with confirmed students the executor is given.",
    )
    executor_size = models.CharField(
        max_length=10,
        blank=True,
        help_text="Of the executor, where it has one: medium, or large for a lot of input and "
        "after one that ran out of memory.",
    )

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["-created_at"], name="run_newest"),
            models.Index(
                fields=["ended_at", "id"], condition=Q(ended_at__isnull=False), name="run_ended"
            ),
            models.Index(
                fields=["-created_at"], condition=~Q(edu_unavailable=""), name="run_without_edu"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["load", "preview"]) | Q(continues__isnull=False),
                name="later_run_continues_one",
            ),
            models.UniqueConstraint(
                fields=["job"],
                condition=Q(status__in=["new", "running"]),
                name="one_unfinished_run_a_job",
            ),
        ]

    def __str__(self) -> str:
        return f"run {self.id} ({self.get_status_display()})"

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended; None until then."""
        if self.status == self.Status.ERROR:
            return self.Outcome.ERROR
        if self.status != self.Status.SUCCESS:
            return None
        if self.kind == self.Kind.PREVIEW:
            return self.Outcome.PREVIEWED
        if self.kind == self.Kind.WITHDRAW:
            return self.Outcome.WITHDRAWN
        if self.has_errors:
            return self.Outcome.COMPLETE_WITH_ERRORS
        return self.Outcome.COMPLETE_UNMATCHED if self.has_problems else self.Outcome.COMPLETE

    @property
    def files_since(self) -> datetime:
        """When the first of the job's files that belong to this run was stored, or earlier."""
        return self.continues.files_since if self.continues else self.created_at

    @property
    def unmatched_rows(self) -> int | None:
        """Rows that matched no student; None if their number was not reported.

        Read the run with its ``matches`` and ``unmatched_ids``.
        """
        if (matches := getattr(self, "matches", None)) is not None:
            return int(matches.unmatched)
        ids = getattr(self, "unmatched_ids", None)
        return ids.count if ids is not None else None

    @property
    def label(self) -> str:
        """Where the run stands, in words, such as ``Complete, 17 unmatched``."""
        if self.outcome == self.Outcome.COMPLETE_UNMATCHED and self.unmatched_rows:
            return f"Complete, {self.unmatched_rows:,} unmatched"
        if self.status == self.Status.RUNNING and self.kind in _DOING:
            return _DOING[self.kind]
        return str(self.outcome.label if self.outcome else self.get_status_display())


_DOING: dict[str, str] = {
    Run.Kind.PREVIEW: "Previewing",
    Run.Kind.RESEND: "Sending again",
    Run.Kind.WITHDRAW: "Withdrawing",
}
"""What a running run is called that is no load."""


class RunLog(models.Model):
    """The end of an executor's output, with secrets masked."""

    run = models.OneToOneField(Run, on_delete=models.CASCADE, primary_key=True, related_name="log")
    text = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"log of {self.run_id}"
