"""The job payload for an executor, and the URLs at which it finds the app."""

from collections import defaultdict
from typing import Any
from uuid import UUID

from django.conf import settings

from earthbeam import paths, plain_text
from earthbeam.bundles.template import API_YEAR, BundleTemplate
from earthbeam.models import POSSIBLE_ID_COLUMNS, BundleRevision, DescriptorMapping, Job, Run
from earthbeam.runs import continued, cross_year, edu_rosters
from partners.encryption import UndecryptableSecret
from partners.models import OdsConnection, Partner
from partners.ods import allowed_addresses

_REPORTS = {
    "status": "status",
    "error": "error",
    "summary": "summary",
    "unmatchedIds": "unmatched-ids",
    "outputFiles": "output-files",
    "matches": "matches",
    "progress": "progress",
}


class NoPayload(Exception):
    """The job cannot be carried out. ``str()`` of it says what a person can do."""


def init_url(run_id: UUID) -> str:
    """Return the URL where the run's executor trades its init token, passed in its environment."""
    return f"{_app_url()}/api/earthbeam/auth/{run_id}/init"


def job_url(run_id: UUID) -> str:
    """Return the URL where the run's executor fetches the payload."""
    return f"{_app_url()}/api/earthbeam/jobs/{run_id}"


def _app_url() -> str:
    return settings.EXECUTOR_APP_URL or settings.APP_URL


def build(run: Run) -> dict[str, Any]:
    """Return the payload as it is sent. It contains the ODS's secret.

    May query AWS for EDU's credentials, which takes seconds. Raises NoPayload if the job goes to an
    ODS whose connection has been retired, or whose secret can no longer be decrypted.
    """
    job = run.job
    partner = job.tenant.partner
    edu_available = _cross_year_match_available(run, partner)
    urls = {name: f"{job_url(run.id)}/{path}" for name, path in _REPORTS.items()}
    commit = {"commit": at} if (at := bundle_commit(run)) else {}
    payload: dict[str, Any] = {
        "appDataBasePath": paths.app_data_base_path(job),
        "inputFiles": dict(job.files.values_list("template_key", "stored_name")),
        "inputParams": _input_params(job),
        "customDescriptorMappings": _descriptor_mappings(job),
        "bundle": {"path": job.bundle_id, "branch": job.bundle_branch, **commit},
        "appUrls": urls,
        "sendToOds": job.send_to_ods,
        "crossYearMatchAvailable": edu_available,
    }
    if edu_available:
        urls["roster"] = f"{job_url(run.id)}/roster"
        if edu_rosters.are_kept(partner):
            payload["keepEduRosters"] = True
    if partner.identity_checks != Partner.IdentityChecks.OFF:
        payload["identityChecks"] = str(partner.identity_checks)
        if run.confirmed_students:
            payload["confirmedFile"] = paths.CONFIRMED_NAME
    if job.id_repairs:
        payload["idRepairs"] = job.id_repairs
    if job.decided_rows:
        payload["decisionsFile"] = paths.DECISIONS_NAME
    if column := job.input_params.get(POSSIBLE_ID_COLUMNS):
        payload["studentIdColumn"] = column
    if job.send_to_ods:
        payload["assessmentDatastore"] = _ods(job)
    elif not edu_available:
        key = paths.roster_key(job.tenant, job.school_year)
        payload["rosterFilePath"] = f"{job.files_base}/{key}"
    if run.kind != Run.Kind.LOAD:
        payload["kind"] = str(run.kind)
    if run.kind == Run.Kind.WITHDRAW:
        payload["leaveFile"] = paths.LEAVE_NAME
    return payload | continued.fields(run)


def keep_fingerprint(run: Run, payload: dict[str, Any]) -> None:
    """Keep, for a preview, by what its results can be told to be the same as another run's."""
    if run.kind == Run.Kind.PREVIEW:
        run.fingerprint = continued.fingerprint(run.job, payload)
        Run.objects.filter(pk=run.pk).update(fingerprint=run.fingerprint)


def would_repeat(preview: Run) -> bool:
    """Whether a load of the preview's job, begun now, would have the same results."""
    load = Run(job=preview.job, executor_size=preview.executor_size)
    try:
        return continued.fingerprint(preview.job, build(load)) == preview.fingerprint
    except NoPayload:
        return False


def bundle_commit(run: Run) -> str:
    """Return the run's commit, fixed at its first executor. Empty before the first sync."""
    if not run.bundle_commit:
        revision = BundleRevision.objects.filter(branch=run.job.bundle_branch, is_current=True)
        run.bundle_commit = revision.values_list("commit", flat=True).first() or ""
        Run.objects.filter(pk=run.pk).update(bundle_commit=run.bundle_commit)
    return run.bundle_commit


def _cross_year_match_available(run: Run, partner: Partner) -> bool:
    """Whether EDU can be asked; where it should and cannot, the run keeps why."""
    reason = run.continues.edu_unavailable if run.continues else cross_year.unavailable(partner)
    if reason != run.edu_unavailable:
        run.edu_unavailable = reason
        Run.objects.filter(pk=run.pk, executor_size=run.executor_size).update(
            edu_unavailable=reason
        )
    return partner.cross_year_match_enabled and not reason


def _input_params(job: Job) -> dict[str, str]:
    """Return the job's values for the bundle's params only, since they become environment."""
    declared = {param.key for param in BundleTemplate.read(job.bundle_template).params}
    params = {key: value for key, value in job.input_params.items() if key in declared and value}
    # Text from a header. Other executors pass it to the bundle as text, like all params, so it is
    # sent only if it can do no harm; ours reads studentIdColumn.
    column = job.input_params.get(POSSIBLE_ID_COLUMNS)
    if column and plain_text.problem(column) is None:
        params[POSSIBLE_ID_COLUMNS] = column
    params[API_YEAR] = str(job.school_year.end_year)
    if namespace := job.tenant.partner.descriptor_namespace:
        params["DESCRIPTOR_NAMESPACE"] = namespace
    return params


def _descriptor_mappings(job: Job) -> dict[str, list[dict[str, Any]]] | None:
    mappings: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in DescriptorMapping.objects.filter(
        partner=job.tenant.partner_id, bundle=job.bundle_id
    ):
        mappings[row.descriptor_type].append(
            {
                # An object, or pairs if the order matters, since jsonb does not keep an object's.
                "v_other_columns": dict(row.other_columns),
                "edfi_descriptor": row.edfi_descriptor,
                "local_descriptor": row.local_descriptor,
            }
        )
    return dict(mappings) or None


def _ods(job: Job) -> dict[str, str]:
    year = job.school_year
    try:
        connection = OdsConnection.objects.get(
            tenant=job.tenant_id, school_year=year, retired_at=None
        )
    except OdsConnection.DoesNotExist:
        raise NoPayload(
            f"The tenant has no active ODS connection for {year} now. "
            "Add one, then run the job again."
        ) from None
    except UndecryptableSecret:
        raise NoPayload(
            f"The secret of the tenant's ODS connection for {year} cannot be decrypted. "
            "Enter it again, then run the job again."
        ) from None
    if reason := allowed_addresses.problem(connection.url):
        raise NoPayload(
            f"The tenant's ODS connection for {year} cannot be used. {reason} "
            "Change the connection, then run the job again."
        )
    return {
        "apiYear": str(year.end_year),
        "url": connection.url,
        "clientId": connection.client_id,
        "clientSecret": connection.client_secret,
    }
