"""Where a job's files and its tenant's rosters are stored, as keys relative to the files' base."""

from urllib.parse import quote

from earthbeam.models import Job, OutputSet
from partners.models import SchoolYear, Tenant

DECISIONS_NAME = "__decisions.jsonl"
CONFIRMED_NAME = "__confirmed.jsonl"
"""In ``input/``, the students that people have chosen for rows. No upload has such a name."""
LEAVE_NAME = "__leave.jsonl"
"""In ``input/``, the records that a withdrawal leaves alone."""
ROSTER_FILE = "studentEducationOrganizationAssociations.jsonl"


def base_path(job: Job) -> str:
    """Return ``{partner}/{tenant}/{schoolYearId}/{jobId}``, above ``input/`` and ``output/``."""
    tenant = job.tenant
    return _key(tenant.partner_id, tenant.code, job.school_year_id, str(job.id))


def app_data_base_path(job: Job) -> str:
    """Return the job's base path as a location, such as ``s3://BUCKET/ea/grand_bend/2526/ID``."""
    return f"{job.files_base}/{base_path(job)}"


def tenant_folder(tenant: Tenant) -> str:
    """Return the folder of all of the tenant's jobs."""
    return _key(tenant.partner_id, tenant.code)


def set_folder(output_set: OutputSet) -> str:
    """Return where the set's files are, below its job's base path. Load it with its run's job."""
    return output_set.path.removeprefix(f"{base_path(output_set.run.job)}/")


def input_name(template_key: str, file_name: str) -> str:
    """Return the name in ``input/`` of the file that the user uploaded for ``template_key``."""
    return f"{template_key}__{file_name}".replace("/", "__").replace("\\", "__")


def roster_key(tenant: Tenant, school_year: SchoolYear) -> str:
    """Return the key of the roster file of a tenant whose jobs do not go to an ODS."""
    return f"{rosters_folder(tenant)}/{school_year.end_year}/{ROSTER_FILE}"


def rosters_folder(tenant: Tenant) -> str:
    """Return the folder of the tenant's roster files, which has a folder per year."""
    return _key("__rosters", tenant.partner_id, tenant.code)


def _key(*parts: str) -> str:
    return "/".join(_quoted(part) for part in parts)


def _quoted(part: str) -> str:
    """URL-quote ``part``, including one of dots alone, which would lead out of its folder."""
    return quote(part, safe="") if part.strip(".") else part.replace(".", "%2E")
