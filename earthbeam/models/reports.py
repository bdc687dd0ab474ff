"""What runs report, in the terms of the executor-facing API's contract."""

import uuid

from django.db import models
from django.db.models.functions import Coalesce

from earthbeam.models.runs import Run
from partners.models import Partner


class RunUpdate(models.Model):
    """A step of a run began, succeeded, or failed. A repeated report updates the same row."""

    class Action(models.TextChoices):
        REFRESH_BUNDLE_CODE = "refresh_bundle_code", "Fetching the bundle"
        EARTHMOVER_DEPS = "earthmover_deps", "Preparing the bundle"
        GET_STUDENT_ROSTER = "get_student_roster", "Fetching the roster"
        GET_INPUT_FILES = "get_input_files", "Fetching the input files"
        EARTHMOVER_RUN = "earthmover_run", "Matching and transforming"
        LIGHTBEAM_SEND = "lightbeam_send", "Sending to the ODS"
        LIGHTBEAM_DELETE = "lightbeam_delete", "Deleting from the ODS"
        UPLOAD_OUTPUT = "upload_output", "Storing the results"
        DONE = "done", "Done"

    class Status(models.TextChoices):
        BEGIN = "begin"
        SUCCESS = "success"
        FAILURE = "failure"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="updates")
    action = models.CharField(
        max_length=64, choices=Action, help_text="Executors newer than the app may have others."
    )
    status = models.CharField(max_length=10, choices=Status)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "action", "status"], name="run_update_once")
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.status}"


class RunError(models.Model):
    """Why a run failed: a code of the contract and its fields. ``stacktrace`` is for engineers."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="errors")
    code = models.CharField(max_length=50)
    payload = models.JSONField(default=dict)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["code", "at"], name="run_error_by_code")]

    def __str__(self) -> str:
        return self.code


class OutputFile(models.Model):
    """A file in the job's ``output/`` when the run ended. ``path`` is relative to that."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="output_files")
    path = models.CharField(max_length=500)
    size = models.BigIntegerField(help_text="Bytes.")

    class Meta:
        ordering = ["path"]
        constraints = [
            models.UniqueConstraint(fields=["run", "path"], name="output_file_once_a_run")
        ]

    def __str__(self) -> str:
        return self.path


class OutputSet(models.Model):
    """A folder of JSONL files that a run produced, sent to the ODS or left for sideloading.

    Clients see it only after its run has succeeded. Ordering by ``published_at`` keeps a long run's
    set from appearing among those that a client has already read.
    """

    uid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="output_sets")
    partner = models.ForeignKey(
        Partner, on_delete=models.PROTECT, related_name="+", help_text="The job's, for the index."
    )
    path = models.CharField(max_length=700, help_text="Key prefix below the files' base.")
    sent_to_ods = models.BooleanField()
    files = models.JSONField(help_text="Names below the path.")
    created_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True, help_text="When its run succeeded.")
    withdrawn_at = models.DateTimeField(
        null=True, help_text="When its job was withdrawn: its records must not stay loaded."
    )
    records = models.JSONField(null=True, help_text="By resource, if the executor told.")
    sha256 = models.JSONField(null=True, help_text="By file, in hex, if the executor told.")
    supersedes = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        help_text="The set of an earlier run of the job, in whose place it is.",
    )

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(fields=["run", "path"], name="output_set_once_a_run")
        ]
        indexes = [
            models.Index(fields=["-created_at"], name="output_set_newest"),
            models.Index(
                fields=["partner", "published_at", "uid"],
                condition=models.Q(published_at__isnull=False),
                name="output_set_published",
            ),
            models.Index(
                fields=["partner", "withdrawn_at", "uid"],
                condition=models.Q(withdrawn_at__isnull=False),
                name="output_set_withdrawn",
            ),
        ]

    def __str__(self) -> str:
        return self.path


class ResourceSummary(models.Model):
    """How many records of one Ed-Fi resource a run processed, skipped, and failed to send."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="summary")
    resource = models.CharField(max_length=200)
    records_processed = models.PositiveIntegerField()
    records_skipped = models.PositiveIntegerField()
    records_failed = models.PositiveIntegerField()

    class Meta:
        ordering = ["resource"]
        verbose_name_plural = "resource summaries"
        constraints = [
            models.UniqueConstraint(fields=["run", "resource"], name="summary_once_a_resource")
        ]

    def __str__(self) -> str:
        return self.resource


class RunMatches(models.Model):
    """How the input's rows were matched to students."""

    run = models.OneToOneField(
        Run, on_delete=models.CASCADE, primary_key=True, related_name="matches"
    )
    input_rows = models.PositiveIntegerField()
    ods_matched = models.PositiveIntegerField()
    cross_year_matched = models.PositiveIntegerField()
    unmatched = models.PositiveIntegerField()
    blank_ids = models.PositiveIntegerField()
    ambiguous_ids = models.PositiveIntegerField()
    id_name = models.CharField(max_length=200)
    id_type = models.CharField(max_length=200)
    match_rate = models.FloatField(help_text="Of the winning pair, between 0 and 1.")
    missing_id_columns = models.JSONField(
        default=list,
        db_default=[],  # for the previous release, which does not know the column
        help_text="Columns that may hold student IDs by the bundle, and that the file lacks.",
    )
    peak_memory_mb = models.PositiveIntegerField(
        null=True, help_text="The most memory that the executor and its programs needed, in MB."
    )
    identity_checks = models.CharField(
        max_length=10,
        blank=True,
        default="",
        db_default="",  # for the previous release, which does not know the column
        help_text="What the run did with rows that disagree: report or hold. Empty: no checks.",
    )
    identity_columns = models.JSONField(
        null=True,
        help_text="The file's columns with names and birth dates, by what they hold.",
    )
    untransformable = models.PositiveIntegerField(
        null=True,
        help_text="Unmatched rows whose student is known, but with which the bundle fails.",
    )
    # Null if the run had no identity checks, or could not have the students' names.
    disagreeing = models.PositiveIntegerField(
        null=True,
        help_text="Rows whose ID leads to a student with another name and another birth date.",
    )
    repairable = models.PositiveIntegerField(
        null=True, help_text="Unmatched rows whose damaged ID leads to one student if repaired."
    )
    suggested = models.PositiveIntegerField(
        null=True, help_text="Unmatched rows for which there are suggested students."
    )
    confirmed = models.PositiveIntegerField(
        null=True, help_text="Rows that went to a student whom a person confirmed for their ID."
    )
    refused_rows = models.PositiveIntegerField(
        null=True,
        help_text="Rows sent to the ODS of which it refused a record. Null if nothing was sent.",
    )

    class Meta:
        verbose_name_plural = "run matches"
        constraints = [
            # The ledger: each row of the input ends in one place.
            models.CheckConstraint(
                condition=models.Q(
                    input_rows=models.F("ods_matched")
                    + models.F("cross_year_matched")
                    + models.F("unmatched")
                ),
                name="rows_add_up",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    unmatched__gte=models.F("blank_ids")
                    + models.F("ambiguous_ids")
                    + Coalesce(models.F("untransformable"), 0)
                ),
                name="reasons_fit_unmatched_rows",
            ),
            models.CheckConstraint(
                condition=models.Q(refused_rows__isnull=True)
                | models.Q(refused_rows__lte=models.F("ods_matched")),
                name="refused_rows_were_sent",
            ),
        ]

    def __str__(self) -> str:
        return f"matches of {self.run_id}"


class UnmatchedIds(models.Model):
    """The input column and ID type that matched best, and how many rows stayed unmatched."""

    run = models.OneToOneField(
        Run, on_delete=models.CASCADE, primary_key=True, related_name="unmatched_ids"
    )
    name = models.CharField(max_length=200)
    type = models.CharField(max_length=200)
    count = models.PositiveIntegerField(null=True)

    class Meta:
        verbose_name_plural = "unmatched ids"

    def __str__(self) -> str:
        return f"{self.name} as {self.type}"
