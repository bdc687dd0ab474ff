"""Which jobs are accepted: contract section 8. Each refusal is a JobError of errors.py."""

import logging
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from django.conf import settings

from earthbeam import errors, paths, plain_text
from earthbeam.bundles.template import API_YEAR, BundleTemplate
from earthbeam.files import open_store
from earthbeam.models import Bundle
from earthbeam.runs import cross_year
from partners.models import OdsConnection, SchoolYear, SchoolYearConfig, Tenant

logger = logging.getLogger(__name__)

MAX_FILE_NAME = 200
MAX_PARAM_VALUE = 1000
_MAX_STORED_NAME_BYTES = 255  # the limit of file systems


@dataclass(frozen=True)
class JobRequest:
    """A request to load files. ``files`` maps template keys to file names."""

    tenant: Tenant
    school_year: SchoolYear
    bundle: Bundle
    files: Mapping[str, str]
    params: Mapping[str, str] = field(default_factory=dict)


def problems(request: JobRequest) -> Iterator[errors.JobError]:
    """Yield all problems of a request; nothing if a job can be created from it."""
    yield from _year_problems(request.tenant, request.school_year)
    yield from _bundle_problems(request)
    template = BundleTemplate.read(request.bundle.template)
    yield from _param_problems(request, template)
    yield from _file_problems(request, template)


def school_year_config(tenant: Tenant, year: SchoolYear) -> SchoolYearConfig | None:
    """Return the partner's setting for the year. None counts as not enabled."""
    return SchoolYearConfig.objects.filter(partner=tenant.partner_id, school_year=year).first()


def has_ods_connection(tenant: Tenant, year: SchoolYear) -> bool:
    """Whether the tenant has an active ODS connection for the year."""
    return OdsConnection.objects.filter(tenant=tenant, school_year=year, retired_at=None).exists()


def file_name_problem(key: str, name: object) -> errors.JobError | None:
    """Return what is wrong with the name of the file ``key``, or None."""
    reason = _bad_name(key, name)
    return errors.BadFileName(key, reason=reason) if reason else None


def year_problem(
    tenant: Tenant,
    year: SchoolYear,
    config: SchoolYearConfig | None,
    *,
    has_connection: Callable[[], bool],
    has_roster: Callable[[], bool],
) -> errors.JobError | None:
    """Return why the tenant cannot load files for the year, or None.

    Calls only the callback that matters, since one queries the database and the other AWS.
    ``has_roster`` may raise OSError.
    """
    if config is None or not config.enabled:
        return errors.YearNotEnabled(partner=tenant.partner, year=year)
    if config.sends_to_ods:
        return None if has_connection() else errors.NoOdsConnection(tenant=tenant, year=year)
    try:
        if has_roster():
            return None
        if tenant.partner.cross_year_match_enabled:
            return errors.EduUnavailable(tenant=tenant, year=year)
        return errors.NoRoster(tenant=tenant, year=year)
    except OSError:
        logger.exception("it cannot be determined whether %s has a roster file", tenant)
        return errors.RosterNotKnown(tenant=tenant, year=year)


def _year_problems(tenant: Tenant, year: SchoolYear) -> Iterator[errors.JobError]:
    problem = year_problem(
        tenant,
        year,
        school_year_config(tenant, year),
        has_connection=lambda: has_ods_connection(tenant, year),
        has_roster=lambda: (
            cross_year.is_available(tenant.partner) or roster_file_exists(tenant, year)
        ),
    )
    if problem:
        yield problem


def roster_file_exists(tenant: Tenant, year: SchoolYear) -> bool:
    """Whether the roster file for jobs that do not go to an ODS exists.

    Raises OSError if the file storage does not answer.
    """
    return open_store(settings.FILES_BASE).exists(paths.roster_key(tenant, year))


def _bundle_problems(request: JobRequest) -> Iterator[errors.JobError]:
    bundle, partner = request.bundle, request.tenant.partner
    if not bundle.in_registry:
        yield errors.BundleNotInRegistry(bundle=bundle)
    elif not bundle.enabled_for.filter(pk=partner.pk).exists():
        yield errors.BundleNotEnabled(bundle=bundle, partner=partner)


def _param_problems(request: JobRequest, template: BundleTemplate) -> Iterator[errors.JobError]:
    declared = {param.key: param for param in template.params}
    for key, value in request.params.items():
        if key == API_YEAR:
            # Clients send it because bundles declare it, but it must not contradict the school
            # year.
            if value != str(request.school_year.end_year):
                yield errors.ParamValueNotAllowed(key, allowed=request.school_year.end_year)
        elif key not in declared:
            yield errors.UnknownParam(key, known=", ".join(declared) or "none")
        elif not isinstance(value, str) or len(value) > MAX_PARAM_VALUE or _has_controls(value):
            yield errors.BadParamValue(key, limit=MAX_PARAM_VALUE)
        elif value and (allowed := declared[key].allowed) and value not in allowed:
            yield errors.ParamValueNotAllowed(key, allowed=", ".join(allowed))
        elif reason := plain_text.problem(value):
            yield errors.UnsafeParamValue(key, reason=reason)
    for param in template.params:
        if param.required and request.params.get(param.key, "") == "":
            yield errors.MissingParam(param.key, label=param.label)


def _file_problems(request: JobRequest, template: BundleTemplate) -> Iterator[errors.JobError]:
    declared = {file.key: file for file in template.files}
    for key, name in request.files.items():
        if key not in declared:
            yield errors.UnexpectedFile(key, known=", ".join(declared))
        elif problem := file_name_problem(key, name):
            yield problem
    for file in template.files:
        if file.required and file.key not in request.files:
            yield errors.MissingFile(file.key, label=file.label)


def _bad_name(key: str, name: object) -> str | None:
    """Return what is wrong with a file's name, or None."""
    if not isinstance(name, str) or not name.strip():
        return "is empty"
    if len(name) > MAX_FILE_NAME:
        return f"is longer than {MAX_FILE_NAME} characters"
    if _has_controls(name):
        return "contains characters that cannot be printed"
    if {".", ".."} & set(name.replace("\\", "/").split("/")):
        return "leads to another folder"
    if len(paths.input_name(key, name).encode()) > _MAX_STORED_NAME_BYTES:
        return "is too long"
    return None


def _has_controls(text: str) -> bool:
    """Whether it holds control characters, line separators, or halves of surrogate pairs."""
    return any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in text)
