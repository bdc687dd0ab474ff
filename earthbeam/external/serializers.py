"""Requests and answers of the external API, by the contract's names."""

import re
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from earthbeam.external.paging import MAX_LIMIT
from earthbeam.jobs.status import JobStatus, status_of
from earthbeam.models import Job, OutputSet, ResourceSummary, Run, RunError, RunUpdate
from earthbeam.runs import cross_year
from earthbeam.text import storable
from earthbeam.wording import run_errors

STATUSES = [
    (status.value, status.label)
    for status in JobStatus
    if status != JobStatus.COMPLETE_UNMATCHED  # ``outcome`` tells it apart
]
_SCHOOL_YEAR = r"^[0-9]{4}\Z"
_SPACE_FOR_PLUS = re.compile(r" (\d\d:?\d\d)\Z")


class Text(serializers.CharField):
    """A JSON string, kept as it is."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class EndYear(serializers.RegexField):
    """The four digits of the year in which a school year ends, such as 2026; as a number too."""

    default_error_messages = {"invalid": "Give the school year's end year in four digits: 2026."}

    def __init__(self, **options: Any) -> None:
        super().__init__(_SCHOOL_YEAR, **options)

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, bool) or not isinstance(data, (str, int)):
            self.fail("invalid")
        return super().to_internal_value(str(data))


class Texts(serializers.DictField):
    """Texts by name."""

    default_error_messages = {"name": "A name has characters that are not allowed."}

    def run_child_validation(self, data: Any) -> Any:
        if any(name != storable(name) for name in data):
            self.fail("name")
        return super().run_child_validation(data)


class Moment(serializers.DateTimeField):
    """A time in ISO 8601; UTC where it has no offset."""

    def to_internal_value(self, value: Any) -> Any:
        # An unescaped + arrives as a space.
        if isinstance(value, str):
            value = _SPACE_FOR_PLUS.sub(r"+\1", value)
        return super().to_internal_value(value)


# --- Requests -------------------------------------------------------------------------------


class JobRequestBody(serializers.Serializer[Any]):
    partner = Text(max_length=50)
    tenant = Text(max_length=100)
    bundle = Text(max_length=200, help_text="Its path, assessments/NAME, or NAME alone.")
    schoolYear = EndYear(help_text="The end year in four digits: 2026 for 2025-26.")
    files = Texts(
        child=Text(max_length=255),
        allow_empty=False,
        help_text="File names by the bundle's keys, such as INPUT_FILE.",
    )
    params = Texts(
        child=Text(max_length=1000, allow_blank=True),
        required=False,
        default=dict,
        allow_null=True,
        help_text="None, null, or values by the bundle's keys.",
    )

    def validate_files(self, files: dict[str, str]) -> dict[str, str]:
        """Strip the names, since existing clients send space around them."""
        return {key: name.strip() for key, name in files.items()}

    def validate_params(self, params: dict[str, str] | None) -> dict[str, str]:
        return params or {}


class PagedQuery(serializers.Serializer[Any]):
    """What lists can be asked for. A parameter that is not known, or given twice, is an error."""

    partner = Text(max_length=50)
    tenant = Text(max_length=100, required=False)
    schoolYear = EndYear(required=False)
    bundle = Text(max_length=200, required=False)
    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, required=False)
    cursor = Text(max_length=500, required=False, help_text="From the header Link of a page.")

    def to_internal_value(self, data: Any) -> Any:
        wrong: dict[str, list[str]] = {}
        for name in data:
            if name not in self.fields:
                known = ", ".join(self.fields)
                wrong[name] = [f"There is no such parameter. Known are: {known}."]
            elif len(data.getlist(name)) > 1:
                wrong[name] = ["Give this parameter once."]
        if wrong:
            raise serializers.ValidationError(wrong)
        # An empty filter counts as none.
        return super().to_internal_value({name: text for name, text in data.items() if text})


class ListQuery(PagedQuery):
    createdAfter = Moment(required=False, help_text="ISO 8601; strictly after.")


class OutputSetQuery(ListQuery):
    sentToOds = serializers.ChoiceField(choices=["true", "false"], required=False)
    withdrawnAfter = Moment(
        required=False,
        help_text="ISO 8601. Lists the sets that were withdrawn strictly after, those withdrawn "
        "last at the end; without it, sets that are not withdrawn are listed.",
    )


class JobQuery(ListQuery):
    status = serializers.ChoiceField(choices=STATUSES, required=False)
    outcome = serializers.ChoiceField(
        choices=Run.Outcome.choices, required=False, help_text="Of the last run."
    )


class StartBody(serializers.Serializer[Any]):
    """What kind of run to start; a load unless it says otherwise. The body may be left out."""

    preview = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Do everything but send. Start the job again to load what the preview has made; "
        "if something has changed since, or after a day, it is made anew.",
    )
    resend = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Send only the records that the ODS has refused, from the stored set.",
    )

    def validate(self, asked: dict[str, bool]) -> dict[str, bool]:
        if asked["preview"] and asked["resend"]:
            raise serializers.ValidationError("Ask for a preview or a resend, not for both.")
        return asked


class RunQuery(PagedQuery):
    since = Moment(required=False, help_text="ISO 8601; runs that ended strictly after.")


# --- Answers --------------------------------------------------------------------------------


class CreatedJob(serializers.Serializer[Any]):
    uid = serializers.UUIDField()
    uploadUrls = serializers.DictField(
        child=serializers.URLField(), help_text="PUT each file to its URL, within an hour."
    )


class StartedJob(serializers.Serializer[Any]):
    uid = serializers.UUIDField()
    status = serializers.ChoiceField(choices=STATUSES)


class OutputSetAnswer(serializers.ModelSerializer[OutputSet]):
    sentToOds = serializers.BooleanField(source="sent_to_ods")
    createdAt = serializers.DateTimeField(
        source="published_at", help_text="When its run succeeded and it came to be listed."
    )
    jobUid = serializers.UUIDField(source="run.job_id")
    partner = serializers.CharField(source="partner_id")
    tenant = serializers.CharField(source="run.job.tenant.code")
    schoolYear = serializers.SerializerMethodField()
    bundle = serializers.CharField(source="run.job.bundle_id")
    files = serializers.ListField(child=serializers.CharField())
    runUid = serializers.UUIDField(source="run_id")
    records = serializers.DictField(
        child=serializers.IntegerField(),
        allow_null=True,
        help_text="By resource; null if the executor did not tell.",
    )
    sha256 = serializers.DictField(
        child=serializers.CharField(),
        allow_null=True,
        help_text="In hex, by file; null if the executor did not tell.",
    )
    supersedes = serializers.UUIDField(
        source="supersedes_id",
        allow_null=True,
        help_text="The set of an earlier run of the same job, in whose place this one is. Its "
        "files are gone or have been replaced.",
    )

    withdrawnAt = serializers.DateTimeField(
        source="withdrawn_at",
        allow_null=True,
        help_text="When its job was withdrawn. What a loader has loaded of it must be deleted.",
    )

    class Meta:
        model = OutputSet
        fields = [
            *("uid", "files", "sentToOds", "createdAt", "jobUid"),
            *("runUid", "records", "sha256", "supersedes", "withdrawnAt"),
            *("partner", "tenant", "schoolYear", "bundle"),
        ]

    def get_schoolYear(self, row: OutputSet) -> str:
        return str(row.run.job.school_year.end_year)


class DownloadLinks(serializers.Serializer[Any]):
    downloadLinks = serializers.DictField(
        child=serializers.URLField(), help_text="A URL for each file, valid for an hour."
    )


class TokenAnswer(serializers.Serializer[Any]):
    client = serializers.CharField()
    clientName = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    partners = serializers.ListField(
        child=serializers.CharField(), help_text="Codes of the partners the token is good for."
    )


class JobAnswer(serializers.ModelSerializer[Job]):
    """A job in a list."""

    uid = serializers.UUIDField(source="id")
    partner = serializers.CharField(source="tenant.partner_id")
    tenant = serializers.CharField(source="tenant.code")
    schoolYear = serializers.SerializerMethodField()
    bundle = serializers.CharField(source="bundle_id")
    status = serializers.SerializerMethodField()
    outcome = serializers.SerializerMethodField(
        help_text="How the last run ended: complete, complete_unmatched (rows matched no student), "
        "complete_with_errors (the ODS refused records), previewed, withdrawn, or error; null "
        "while it has not ended."
    )
    sendsToOds = serializers.BooleanField(source="send_to_ods")
    createdAt = serializers.DateTimeField(source="created_at")
    createdBy = serializers.CharField(
        source="api_client", help_text="The API client; empty where a person made it."
    )

    class Meta:
        model = Job
        fields: list[str] = [
            *("uid", "partner", "tenant", "schoolYear", "bundle"),
            *("status", "outcome", "sendsToOds", "createdAt", "createdBy"),
        ]

    def get_schoolYear(self, row: Job) -> str:
        return str(row.school_year.end_year)

    @extend_schema_field(serializers.ChoiceField(choices=STATUSES))
    def get_status(self, row: Job) -> str:
        status = status_of(row)
        if status == JobStatus.COMPLETE_UNMATCHED:
            return JobStatus.COMPLETE_WITH_ERRORS
        return status

    @extend_schema_field(serializers.ChoiceField(choices=Run.Outcome.choices, allow_null=True))
    def get_outcome(self, row: Job) -> str | None:
        return row.last_run.outcome if row.last_run else None


class StepAnswer(serializers.Serializer[Any]):
    action = serializers.CharField()
    status = serializers.CharField()
    at = serializers.DateTimeField()


class CountsAnswer(serializers.Serializer[Any]):
    processed = serializers.IntegerField(source="records_processed")
    skipped = serializers.IntegerField(source="records_skipped")
    failed = serializers.IntegerField(source="records_failed")


class MatchesAnswer(serializers.Serializer[Any]):
    inputRows = serializers.IntegerField(source="input_rows")
    odsMatched = serializers.IntegerField(source="ods_matched")
    crossYearMatched = serializers.IntegerField(source="cross_year_matched")
    unmatched = serializers.IntegerField()
    blankIds = serializers.IntegerField(source="blank_ids")
    ambiguousIds = serializers.IntegerField(source="ambiguous_ids")
    untransformable = serializers.IntegerField(
        allow_null=True,
        help_text="Of the unmatched rows, those that have a student, but with which the bundle "
        "fails; null if the executor did not report it.",
    )
    idName = serializers.CharField(source="id_name")
    idType = serializers.CharField(source="id_type")
    matchRate = serializers.FloatField(source="match_rate")
    identityChecks = serializers.CharField(
        source="identity_checks",
        help_text="What was done with rows that disagree with their student: report or hold; empty "
        "if the run had no identity checks.",
    )
    disagreeing = serializers.IntegerField(
        allow_null=True,
        help_text="Rows whose ID leads to a student whom neither a name nor the birth date "
        "confirms; null without identity checks, or without names.",
    )
    repairable = serializers.IntegerField(
        allow_null=True, help_text="Unmatched rows whose damaged ID leads to one student."
    )
    suggested = serializers.IntegerField(
        allow_null=True, help_text="Unmatched rows with suggested students."
    )
    confirmed = serializers.IntegerField(
        allow_null=True,
        help_text="Rows that went to a student whom a person confirmed for their ID earlier.",
    )
    refusedRows = serializers.IntegerField(
        source="refused_rows",
        allow_null=True,
        help_text="Of odsMatched, the rows of which the ODS refused a record; null if nothing was "
        "sent, or if the executor did not report it.",
    )


class UnmatchedAnswer(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="The input's column that matched best.")
    type = serializers.CharField(help_text="The id type that matched best.")
    count = serializers.IntegerField(allow_null=True, help_text="Rows; null if not reported.")


class ErrorAnswer(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.SerializerMethodField(help_text="What happened and what to do, in words.")

    def get_message(self, error: RunError) -> str:
        run = error.run
        said = run_errors.words(
            error.code,
            error.payload,
            to_ods=run.job.send_to_ods,
            edu_problem=cross_year.problem_of(run),
        )
        return " ".join(part for part in (said.what, said.detail, said.next_step) if part)


class SummaryField(serializers.DictField):
    def get_attribute(self, instance: Run) -> dict[str, ResourceSummary]:
        return {counts.resource: counts for counts in instance.summary.all()}


class RunAnswer(serializers.ModelSerializer[Run]):
    uid = serializers.UUIDField(source="id")
    status = serializers.ChoiceField(choices=["new", "running", "success", "error"])
    createdAt = serializers.DateTimeField(source="created_at")
    startedAt = serializers.DateTimeField(source="started_at", allow_null=True)
    endedAt = serializers.DateTimeField(source="ended_at", allow_null=True)
    bundleCommit = serializers.CharField(
        source="bundle_commit",
        help_text="Of the bundle repository, which the run used; empty if not known.",
    )
    eduUnavailable = serializers.SerializerMethodField(
        help_text="Why EDU could not be used although cross-year matching was on, as a code; null "
        "if it could."
    )
    steps = StepAnswer(source="updates", many=True)
    summary = SummaryField(child=CountsAnswer(), help_text="Records, by resource.")
    matches = MatchesAnswer(allow_null=True)
    unmatched = UnmatchedAnswer(source="unmatched_ids", allow_null=True)
    errors = ErrorAnswer(many=True)  # type: ignore[assignment]

    class Meta:
        model = Run
        fields = [
            *("uid", "kind", "status", "createdAt", "startedAt", "endedAt", "bundleCommit"),
            "eduUnavailable",
            *("steps", "summary", "matches", "unmatched", "errors"),
        ]

    def get_eduUnavailable(self, run: Run) -> str | None:
        return run.edu_unavailable or None


class EndedRun(serializers.ModelSerializer[Run]):
    """A run that has ended, without anything about students."""

    uid = serializers.UUIDField(source="id")
    jobUid = serializers.UUIDField(source="job_id")
    partner = serializers.CharField(source="job.tenant.partner_id")
    tenant = serializers.CharField(source="job.tenant.code")
    schoolYear = serializers.SerializerMethodField()
    bundle = serializers.CharField(source="job.bundle_id")
    bundleCommit = serializers.CharField(source="bundle_commit")
    outcome = serializers.CharField()
    sendsToOds = serializers.BooleanField(source="job.send_to_ods")
    createdAt = serializers.DateTimeField(source="created_at")
    startedAt = serializers.DateTimeField(source="started_at", allow_null=True)
    endedAt = serializers.DateTimeField(source="ended_at")
    secondsByStep = serializers.SerializerMethodField(
        help_text="How long each step took that has ended, in seconds."
    )
    matches = MatchesAnswer(allow_null=True)
    summary = SummaryField(child=CountsAnswer(), help_text="Records, by resource.")
    errorCodes = serializers.SerializerMethodField()

    class Meta:
        model = Run
        fields = [
            *("uid", "jobUid", "partner", "tenant", "schoolYear", "bundle", "bundleCommit"),
            *("kind", "outcome", "sendsToOds"),
            *("createdAt", "startedAt", "endedAt", "secondsByStep"),
            *("matches", "summary", "errorCodes"),
        ]

    def get_schoolYear(self, run: Run) -> str:
        return str(run.job.school_year.end_year)

    @extend_schema_field(serializers.DictField(child=serializers.FloatField()))
    def get_secondsByStep(self, run: Run) -> dict[str, float]:
        began, seconds = {}, {}
        for update in run.updates.all():
            if update.status == RunUpdate.Status.BEGIN:
                began[update.action] = update.at
            elif update.action in began:
                took = update.at - began[update.action]
                seconds[update.action] = round(took.total_seconds(), 3)
        return seconds

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_errorCodes(self, run: Run) -> list[str]:
        return [error.code for error in run.errors.all()]


class FileNamesField(serializers.DictField):
    def get_attribute(self, instance: Job) -> dict[str, str]:
        return dict(instance.files.values_list("template_key", "name"))


class JobDetails(JobAnswer):
    """A job with its last run."""

    files = FileNamesField(child=serializers.CharField(), help_text="File names by key.")
    params = serializers.DictField(child=serializers.CharField(), source="input_params")
    run = RunAnswer(
        source="last_run", allow_null=True, help_text="The last one; null before the first start."
    )

    class Meta(JobAnswer.Meta):
        fields = [*JobAnswer.Meta.fields, "files", "params", "run"]
