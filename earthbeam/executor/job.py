"""The job payload (contract section 3), validated before anything is done with it."""

import re
from dataclasses import dataclass, field
from typing import Any

from earthbeam import identity, plain_text
from earthbeam.executor.errors import StepFailed
from earthbeam.files import BadLocation, check_location, checked_key

# Inputs and parameters become variables of the tools' environment. Their names must not be ones
# that control how programs run, what they load, or where credentials go.
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = re.compile(
    r"PATH|HOME|TMPDIR|SHELL|IFS|ENV|LANG|LANGUAGE|GCONV_PATH|PYTHON.*|.*_PROXY"
    r"|(LC|LD|DYLD|GIT|BASH|MALLOC|DASK|OPENSSL|SSL|REQUESTS|CURL|AWS|INIT|EDFI_API)_.*",
    re.IGNORECASE,
)
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
LOAD, PREVIEW, RESEND, WITHDRAW = "load", "preview", "resend", "withdraw"
KINDS = (LOAD, PREVIEW, RESEND, WITHDRAW)
"""Kinds of runs (contract section 12)."""
_SETS = ("ods", "non-ods")
_ID_COLUMNS = "POSSIBLE_STUDENT_ID_COLUMNS"


@dataclass(frozen=True)
class Ods:
    """The ODS that a job goes to. Its secret never shows in a repr."""

    api_year: str
    url: str
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True)
class AppUrls:
    """The app's URLs for reports. ``roster``, ``matches``, and ``progress`` may be missing."""

    status: str
    error: str
    summary: str
    unmatched_ids: str
    output_files: str
    matches: str | None
    progress: str | None
    roster: str | None


@dataclass(frozen=True)
class Reported:
    """What the run that made the stored sets has reported, in the contract's terms.

    A run that sends these sets reports it again, with what has become of them.
    """

    matches: dict[str, Any] | None
    unmatched_ids: dict[str, Any] | None
    summary: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Job:
    """What one run has to do."""

    base_path: str
    input_files: dict[str, str]
    input_params: dict[str, str]
    descriptor_mappings: dict[str, list[dict[str, Any]]]
    bundle_path: str
    bundle_branch: str
    urls: AppUrls
    send_to_ods: bool
    cross_year_match_available: bool
    roster_file_path: str | None
    ods: Ods | None
    bundle_commit: str | None = None
    """Commit of the bundle repository. None means the head of the branch."""
    student_id_columns: tuple[str, ...] = ()
    """The only columns to look for students in. Empty means those that the bundle names."""
    keep_edu_rosters: bool = False
    """Whether rosters from EDU become artifacts."""
    identity_checks: str | None = None
    """What to do with rows that disagree with their student: report or hold. None: no checks."""
    id_repairs: tuple[str, ...] = ()
    """Damage to IDs that a person wants undone in the whole file, as kinds of identity's."""
    decisions_file: str | None = None
    """The file in the job's ``input/`` with what people have decided about rows."""
    confirmed_file: str | None = None
    """The file in the job's ``input/`` with the students whom people have confirmed for IDs."""

    kind: str = LOAD
    stored_sets: dict[str, dict[str, str | None]] = field(default_factory=dict)
    """The sets that an earlier run has stored, which this one uses, with their files' hashes.

    None is for a file of an executor that did not tell its hash.
    """
    reported: Reported | None = None
    leave_file: str | None = None
    """The file in the job's ``input/`` with the records that a withdrawal leaves alone."""

    @property
    def bundle_name(self) -> str:
        """The last part of the bundle's path: ``ASSESSMENT_BUNDLE``."""
        return self.bundle_path.rsplit("/", 1)[-1]

    @property
    def key_prefix(self) -> str:
        """The job's base path as a key prefix: ``{partner}/{tenant}/{schoolYearId}/{jobId}``."""
        return "/".join(self.base_path.split("/")[-4:])


def app_urls(payload: Any) -> AppUrls:
    """Return the URLs to report to. Read first, to report even an otherwise unusable payload.

    Raises StepFailed(invalid_job).
    """
    urls = _Fields(payload, "").mapping("appUrls")
    return AppUrls(
        status=urls.text("status"),
        error=urls.text("error"),
        summary=urls.text("summary"),
        unmatched_ids=urls.text("unmatchedIds"),
        output_files=urls.text("outputFiles"),
        matches=urls.optional_text("matches"),
        progress=urls.optional_text("progress"),
        roster=urls.optional_text("roster"),
    )


def parse(payload: Any) -> Job:
    """Parse the job in ``payload``. Raises StepFailed(invalid_job), which names the bad field."""
    fields = _Fields(payload, "")
    bundle = fields.mapping("bundle")
    send_to_ods = fields.boolean("sendToOds")
    job = Job(
        base_path=fields.text("appDataBasePath").rstrip("/"),
        input_files=fields.mapping("inputFiles").variables(),
        input_params=_parameters(fields),
        student_id_columns=_student_id_columns(fields),
        descriptor_mappings=_descriptor_mappings(fields),
        bundle_path=bundle.text("path").strip("/"),
        bundle_branch=bundle.text("branch"),
        urls=app_urls(payload),
        send_to_ods=send_to_ods,
        cross_year_match_available=fields.boolean("crossYearMatchAvailable"),
        roster_file_path=fields.optional_text("rosterFilePath"),
        ods=_ods(fields) if send_to_ods else None,
        bundle_commit=_commit(bundle),
        keep_edu_rosters=payload.get("keepEduRosters") is True,
        identity_checks=_identity_checks(fields),
        id_repairs=_id_repairs(fields),
        decisions_file=_file_name(fields, "decisionsFile"),
        confirmed_file=_file_name(fields, "confirmedFile"),
        kind=_kind(fields),
        stored_sets=_stored_sets(fields),
        reported=_reported(fields),
        leave_file=_file_name(fields, "leaveFile"),
    )
    if "INPUT_FILE" not in job.input_files:
        raise invalid("inputFiles.INPUT_FILE is missing")
    if job.cross_year_match_available and not job.urls.roster:
        raise invalid("appUrls.roster is missing, though cross-year matching is available")
    if not send_to_ods and not job.urls.roster and not job.roster_file_path:
        raise invalid("there is no roster: neither sendToOds, appUrls.roster nor rosterFilePath")
    if job.kind in (RESEND, WITHDRAW) and not job.stored_sets:
        raise invalid(f"storedSets is missing, which a {job.kind} needs")
    if job.kind != WITHDRAW and job.stored_sets and job.reported is None:
        raise invalid("reported is missing, which a run of stored sets needs")
    try:
        check_location(job.base_path)
        checked_key(job.bundle_path)
    except BadLocation as error:
        raise invalid(f"appDataBasePath or bundle.path is unusable: {error}") from None
    return job


def invalid(message: str) -> StepFailed:
    """Return the failure for an unusable payload."""
    return StepFailed("invalid_job", message)


def _parameters(fields: "_Fields") -> dict[str, str]:
    """Return the values that become variables of earthmover, inserted into a bundle's code."""
    parameters = fields.mapping("inputParams").variables()
    parameters.pop(_ID_COLUMNS, None)
    for key, value in parameters.items():
        if reason := plain_text.problem(value):
            raise invalid(
                f"inputParams.{key} {reason}. Submit the job again with letters, digits, blanks,"
                f" and the signs {' '.join(plain_text.SIGNS)} only"
            )
    return parameters


def _student_id_columns(fields: "_Fields") -> tuple[str, ...]:
    """Return the columns to look for students in.

    They come from a file's header, so they go to matching, never to a tool.
    """
    if column := fields.optional_text("studentIdColumn"):
        return (column,)
    listed = fields.mapping("inputParams").optional_text(_ID_COLUMNS) or ""
    return tuple(name.strip() for name in listed.split(",") if name.strip())


def _identity_checks(fields: "_Fields") -> str | None:
    checks = fields.optional_text("identityChecks")
    if checks not in (None, "report", "hold"):
        raise invalid("identityChecks must be report or hold, or be left out")
    return checks


def _id_repairs(fields: "_Fields") -> tuple[str, ...]:
    kinds = fields.value.get("idRepairs") or []
    if not isinstance(kinds, list) or any(kind not in identity.REPAIRABLE for kind in kinds):
        raise invalid(f"idRepairs may only have: {', '.join(identity.REPAIRABLE)}")
    return tuple(kinds)


def _file_name(fields: "_Fields", key: str) -> str | None:
    """Return the name of a file in ``input/`` that is no input of the bundle."""
    name = fields.optional_text(key)
    if name is not None:
        try:
            checked_key(name)
        except BadLocation:
            raise invalid(f"{key} is no plain name") from None
        if "/" in name:
            raise invalid(f"{key} is no plain name")
    return name


def _kind(fields: "_Fields") -> str:
    kind = fields.optional_text("kind") or LOAD
    if kind not in KINDS:
        raise invalid("kind must be load, preview, resend, or withdraw")
    return kind


def _stored_sets(fields: "_Fields") -> dict[str, dict[str, str | None]]:
    if fields.value.get("storedSets") is None:
        return {}
    sets = fields.mapping("storedSets")
    if not set(sets.value) <= set(_SETS):
        raise invalid(f"storedSets may only have: {', '.join(_SETS)}")
    found = {}
    for name in sets.value:
        hashes = sets.mapping(name)
        for file in hashes.value:
            try:
                checked_key(file)
            except BadLocation:
                raise invalid(f"storedSets.{name} has a file with no plain name") from None
        found[name] = {file: hashes.optional_text(file) for file in hashes.value}
    return found


def _reported(fields: "_Fields") -> Reported | None:
    if fields.value.get("reported") is None:
        return None
    reported = fields.mapping("reported")
    return Reported(
        matches=reported.optional_object("matches"),
        unmatched_ids=reported.optional_object("unmatchedIds"),
        summary=reported.optional_object("summary") or {},
    )


def _commit(bundle: "_Fields") -> str | None:
    commit = bundle.optional_text("commit")
    if commit is not None and not _COMMIT.fullmatch(commit):
        raise invalid("bundle.commit must be a full commit id")
    return commit


def _ods(fields: "_Fields") -> Ods:
    ods = fields.mapping("assessmentDatastore")
    return Ods(
        api_year=ods.text_or_number("apiYear"),
        url=ods.text("url"),
        client_id=ods.text("clientId"),
        client_secret=ods.text("clientSecret"),
    )


def _descriptor_mappings(fields: "_Fields") -> dict[str, list[dict[str, Any]]]:
    mappings = fields.value.get("customDescriptorMappings") or {}
    if not isinstance(mappings, dict):
        raise invalid("customDescriptorMappings must be null or an object")
    for kind, rows in mappings.items():
        try:
            checked_key(kind)
        except BadLocation:
            raise invalid(
                "a descriptor type of customDescriptorMappings is no plain name"
            ) from None
        well_formed = isinstance(rows, list) and all(
            isinstance(row, dict)
            and isinstance(row.get("v_other_columns"), dict)
            and isinstance(row.get("edfi_descriptor"), str)
            for row in rows
        )
        if "/" in kind or not well_formed:
            raise invalid(f"customDescriptorMappings.{kind} is not a list of mapping rows")
    return mappings


class _Fields:
    """A JSON object whose fields are read with a type check."""

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise invalid(f"{path or 'the job payload'} must be a JSON object")
        self.value = value
        self.path = path

    def _name(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def text(self, key: str) -> str:
        value = self.value.get(key)
        if not isinstance(value, str) or not value:
            raise invalid(f"{self._name(key)} must be a text that is not empty")
        if "\0" in value:
            raise invalid(f"{self._name(key)} must not hold a NUL character")
        return value

    def optional_text(self, key: str) -> str | None:
        return None if self.value.get(key) is None else self.text(key)

    def text_or_number(self, key: str) -> str:
        value = self.value.get(key)
        return str(value) if type(value) is int else self.text(key)

    def boolean(self, key: str) -> bool:
        value = self.value.get(key)
        if not isinstance(value, bool):
            raise invalid(f"{self._name(key)} must be true or false")
        return value

    def mapping(self, key: str) -> "_Fields":
        return _Fields(self.value.get(key), self._name(key))

    def optional_object(self, key: str) -> dict[str, Any] | None:
        return None if self.value.get(key) is None else self.mapping(key).value

    def variables(self) -> dict[str, str]:
        """Return all fields, checked as names of environment variables."""
        for key in self.value:
            if not _VARIABLE.fullmatch(key) or _RESERVED.fullmatch(key):
                raise invalid(
                    f"{self.path} has a name that cannot be given to a bundle, {key[:80]!a}:"
                    " name it differently in the bundle"
                )
        if len({key.lower() for key in self.value}) < len(self.value):
            raise invalid(f"{self.path} has names that differ in their case alone")
        return {key: self.text(key) for key in self.value}
