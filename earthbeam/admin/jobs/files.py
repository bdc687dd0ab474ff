"""Downloads of a job's input and output files, for people who may see the job."""

import logging
from pathlib import PurePosixPath
from uuid import UUID

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from earthbeam import paths
from earthbeam.files import BadLocation, fault, open_store
from earthbeam.models import Job
from earthbeam.stored_files import REFUSED_RECORDS, ROW_REVIEW, SEND_RESULTS, UNMATCHED_ROWS
from partners import audit

logger = logging.getLogger(__name__)

URL_NAME = "earthbeam_job_file"

ARTIFACTS = {
    "studentEducationOrganizationAssociations.jsonl",
    "cross_year_roster.jsonl",
    "em-results.json",
    "em-results-x-year.json",
    "student_id_match_rates.csv",
    REFUSED_RECORDS,
    ROW_REVIEW,
    SEND_RESULTS,
    UNMATCHED_ROWS,
}
"""Files that Runway itself names."""


def link(job_id: UUID, key: str, text: str) -> SafeString:
    """Return a link that downloads the job's file ``key``, such as ``input/INPUT_FILE__a.csv``."""
    url = reverse(f"admin:{URL_NAME}", args=[job_id, key])
    return format_html('<a href="{}" download>{}</a>', url, text)


def kind_of(key: str) -> str:
    """Return a file's kind, never the name that a person gave it, which may be a student's."""
    folder, _, rest = key.partition("/")
    if folder == "input":
        return f"input {rest.partition('__')[0]}"
    if "/" in rest:
        return f"output set {rest.partition('/')[0]}"
    return f"output {rest}" if rest in ARTIFACTS else "output"


def response(request: HttpRequest, job: Job, key: str) -> HttpResponseBase:
    """Stream the file as a download, and record who took which kind of file in the audit trail.

    Raises Http404 if the job has no such file. Responds 503 while the storage fails.
    """
    if key.partition("/")[0] not in ("input", "output"):
        raise Http404
    try:
        stream = open_store(paths.app_data_base_path(job)).open(key)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, BadLocation):
        raise Http404 from None
    except OSError as error:
        logger.error("a file of job %s cannot be read: %s", job.pk, fault(error))
        # As text, browsers treat it as a failed download, not as the file.
        return HttpResponse(
            "The file cannot be read right now. Nothing is wrong with it. Try again in a few "
            "minutes.",
            status=503,
            content_type="text/plain; charset=utf-8",
        )
    logger.info("user %s downloads a file of job %s", request.user.pk, job.pk)
    audit.record(job, "file downloaded", kind=kind_of(key))
    name = PurePosixPath(key).name
    # As an attachment, never as a page, since its content is from outside.
    return FileResponse(
        stream,
        as_attachment=True,
        filename=name,
        content_type="application/octet-stream",
    )
