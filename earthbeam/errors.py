"""Errors about a job, a launch, the registry, or a table. Each message says what to do.

A JobError is about what a person or a client asked for. Its ``code`` is for machines, ``field``
names the part of the request it belongs to, ``key`` is the file or param, and its text is for
people.
"""

from typing import ClassVar

from django.template.defaultfilters import filesizeformat


class JobError(Exception):
    """Base of errors about a job. Retrying helps only after the problem is fixed."""

    code: ClassVar[str]
    field: ClassVar[str]
    text: ClassVar[str]

    def __init__(self, key: str | None = None, **details: object) -> None:
        self.key = key
        super().__init__(self.text.format(key=key, **details))


class YearNotEnabled(JobError):
    code, field = "school_year_not_enabled", "school_year"
    text = (
        "{partner} does not accept jobs for {year}. Choose another school year, or have a partner "
        "admin enable this one."
    )


class NoOdsConnection(JobError):
    code, field = "no_ods_connection", "school_year"
    text = (
        "{tenant} has no active ODS connection for {year}. Have a partner admin enter one, or "
        "choose another school year."
    )


class NoRoster(JobError):
    code, field = "no_roster", "school_year"
    text = (
        "Jobs for {year} do not go to an ODS, so {tenant} needs EDU's roster or a roster file, and "
        "has neither. Have a partner admin turn on cross-year matching and check that EDU's "
        "credentials are stored, or have the roster file uploaded."
    )


class EduUnavailable(JobError):
    code, field = "no_roster", "school_year"
    text = (
        "Jobs for {year} do not go to an ODS, so {tenant} needs EDU's roster or a roster file. "
        "There is no roster file. Cross-year matching is on, but EDU is unavailable. Try again in "
        "a few minutes. If it stays unavailable, have a partner admin test the EDU connection."
    )


class RosterNotKnown(JobError):
    code, field = "roster_not_known", "school_year"
    text = (
        "Jobs for {year} do not go to an ODS and need a roster file, and the file storage does not "
        "respond, so Runway does not know whether {tenant} has one. Try again in a few minutes."
    )


class BundleNotInRegistry(JobError):
    code, field = "bundle_not_in_registry", "bundle"
    text = "{bundle} is no longer in the bundle registry. Choose another bundle."


class BundleNotEnabled(JobError):
    code, field = "bundle_not_enabled", "bundle"
    text = (
        "{bundle} is not enabled for {partner}. Choose another bundle, or have it enabled for the "
        "partner."
    )


class MissingParam(JobError):
    code, field = "missing_param", "params"
    text = "The param {key} ({label}) is required. Enter a value."


class UnknownParam(JobError):
    code, field = "unknown_param", "params"
    text = "The bundle has no param {key!r}. Remove it. The bundle's params are: {known}."


class BadParamValue(JobError):
    code, field = "bad_param_value", "params"
    text = "The value of {key} must be one line of at most {limit} characters."


class UnsafeParamValue(JobError):
    code, field = "bad_param_value", "params"
    text = "The value of {key} {reason}. Use only letters, digits, spaces, and . _ - / + :"


class ParamValueNotAllowed(JobError):
    code, field = "param_value_not_allowed", "params"
    text = "The value of {key} is not allowed by the bundle. Use one of: {allowed}."


class MissingFile(JobError):
    code, field = "missing_file", "files"
    text = "The file {key} ({label}) is required. Add it."


class UnexpectedFile(JobError):
    code, field = "unexpected_file", "files"
    text = "The bundle has no file {key!r}. Remove it. The bundle's files are: {known}."


class BadFileName(JobError):
    code, field = "bad_file_name", "files"
    text = "The name of the file {key} {reason}. Rename the file."


class EmptyFile(JobError):
    code, field = "empty_file", "files"
    text = "The file {key} is empty. Choose a file with content."


class FileTooLarge(JobError):
    code, field = "file_too_large", "files"
    text = "The file {key} is larger than the {limit} allowed. Split it into smaller files."

    def __init__(self, key: str | None = None, *, limit: int) -> None:
        """``limit`` is in bytes."""
        super().__init__(key, limit=filesizeformat(limit).replace("\xa0", " "))


class WrongFileType(JobError):
    code, field = "wrong_file_type", "files"
    text = (
        "The file {key} is {kind}, even though its name suggests CSV. Save it as CSV in the "
        "program that created it, and choose that file."
    )


class OnlyAHeader(JobError):
    code, field = "only_a_header", "files"
    text = "The file {key} has only one line and no rows below it. Choose the complete export."


class StorageFailed(JobError):
    code, field = "storage_failed", "__all__"
    text = (
        "The files could not be stored, so no job was created: the file storage does not respond, "
        "refuses them, or is full. Nothing is wrong with your file. Try again in a few minutes. If "
        "that does not help, contact Runway support."
    )


class FilesMissing(JobError):
    code, field = "files_missing", "files"
    text = "Upload these files before you start the run: {key}."


class FilesDestroyed(JobError):
    code, field = "files_destroyed", "__all__"
    text = (
        "This job's files were destroyed, as {partner} keeps them for {days} days. Submit the file "
        "again if you still have it."
    )


class JobGone(JobError):
    code, field = "job_gone", "__all__"
    text = "This job has been deleted. Submit its files again."


class RunInProgress(JobError):
    code, field = "run_in_progress", "__all__"
    text = "This job has a run in progress. Wait until it ends, then run the job again."


class WithdrawalInProgress(JobError):
    code, field = "withdrawal_in_progress", "__all__"
    text = (
        "Records of this tenant are being withdrawn from the ODS (job {other}). Try again when "
        "that has ended."
    )


class LoadInProgress(JobError):
    code, field = "load_in_progress", "__all__"
    text = (
        "Nothing was withdrawn: another job of this tenant is being loaded or withdrawn right now "
        "({other}). Try again when it has ended."
    )


class NothingToResend(JobError):
    code, field = "nothing_to_resend", "__all__"
    text = "Nothing was sent again: {reason}"


class NothingToWithdraw(JobError):
    code, field = "nothing_to_withdraw", "__all__"
    text = "Nothing was withdrawn: {reason}"


class LaunchFailed(Exception):
    """An executor could not be started, but a retry may help. The text is for people."""


class LauncherMisconfigured(Exception):
    """The launcher's settings or permissions are wrong, and no retry helps until they are fixed.

    The text is for people.
    """


class RegistryError(Exception):
    """The bundle registry could not be read, and nothing was changed. The text says why."""


class BadTable(Exception):
    """A table that a person has sent cannot be accepted.

    ``problems`` are sentences with the file's row numbers: the first ``MAX_SHOWN``, and how many
    more there are.
    """

    MAX_SHOWN: ClassVar[int] = 20

    def __init__(self, problems: list[str]) -> None:
        more = len(problems) - self.MAX_SHOWN
        self.problems = problems[: self.MAX_SHOWN]
        self.problems += [f"And {more} more problems."] if more > 0 else []
        super().__init__(" ".join(self.problems))
