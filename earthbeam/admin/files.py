"""Downloads of a job's files, input and output, for those who may see the job."""

import logging
from pathlib import PurePosixPath
from uuid import UUID

from django.http import FileResponse, Http404, HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from earthbeam import paths
from earthbeam.files import BadLocation, open_store
from earthbeam.models import Job

logger = logging.getLogger(__name__)

URL_NAME = "earthbeam_job_file"


def link(job_id: UUID, key: str, text: str) -> SafeString:
    """A link that downloads the job's file ``key``, such as ``input/INPUT_FILE__a.csv``."""
    url = reverse(f"admin:{URL_NAME}", args=[job_id, key])
    return format_html('<a href="{}" download>{}</a>', url, text)


def response(request: HttpRequest, job: Job, key: str) -> FileResponse:
    """The file as a download, streamed. Raises Http404 for what is no file of the job."""
    if key.partition("/")[0] not in ("input", "output"):
        raise Http404
    try:
        stream = open_store(paths.app_data_base_path(job)).open(key)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, BadLocation):
        raise Http404 from None
    logger.info("user %s downloads a file of job %s", request.user.pk, job.pk)
    name = PurePosixPath(key).name
    # As a file to keep, never as a page: its content is from outside.
    return FileResponse(
        stream,
        as_attachment=True,
        filename=name,
        content_type="application/octet-stream",
    )
