"""Upload and download files in a directory by signed links. On S3, the bucket does this."""

import logging
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from earthbeam import errors, paths
from earthbeam.external import file_links
from earthbeam.external.errors import StorageUnavailable
from earthbeam.files import fault, open_store
from earthbeam.jobs.lifecycle import store_file
from earthbeam.models import Job
from partners import audit

logger = logging.getLogger(__name__)

_STARTED = "The job has been started; its files stay as they are."


class Incomplete(OSError):
    """The client disconnected in the middle of its upload."""


class Started(OSError):
    """The job was started in the middle of an upload."""


@method_decorator(csrf_exempt, name="dispatch")  # authorized by the link, not by a cookie
class FileView(View):
    """``PUT`` or ``GET`` a file by a link's token."""

    http_method_names = ["put", "get"]

    def http_method_not_allowed(self, request: HttpRequest, *_: Any, **__: Any) -> JsonResponse:
        answer = _refusal(405, "PUT a file to this link, or GET it.")
        answer.headers["Allow"] = "PUT, GET"
        return answer

    def put(self, request: HttpRequest, token: str) -> HttpResponseBase:
        """Store the body as the job's file, all or nothing, unless the job has been started."""
        try:
            job, name = _job_and_name(token, "upload")
        except file_links.BadLink as error:
            return _refusal(403, str(error))
        length = request.headers.get("Content-Length", "")
        if not length.isdecimal():
            return _refusal(411, "Send the file's size as Content-Length.")
        if job.last_run_id is not None:
            return _refusal(409, _STARTED)
        file = job.files.filter(stored_name=name).first()
        if file is None:
            return _refusal(404, "There is no such file in the job.")
        try:
            body = cast(BinaryIO, _Exactly(request, int(length), job))
            store_file(job, file.template_key, file.name, body)
        except errors.FileTooLarge as error:
            return _refusal(413, str(error))
        except errors.JobError as error:
            return _refusal(400, str(error))
        except Started:
            return _refusal(409, _STARTED)
        except Incomplete:
            return _refusal(400, "The upload ended too early. Send the file again.")
        except OSError as error:
            return _storage_unavailable(job, error)
        return HttpResponse(status=200)

    def get(self, request: HttpRequest, token: str) -> HttpResponseBase:
        """Return the file as a download."""
        try:
            job, key = _job_and_name(token, "download")
        except file_links.BadLink as error:
            return _refusal(403, str(error))
        try:
            stream = open_store(paths.app_data_base_path(job)).open(key)
        except FileNotFoundError:
            return _refusal(404, "The file is not there any more.")
        except OSError as error:
            return _storage_unavailable(job, error)
        audit.record(job, "file fetched by link", kind=key.rpartition("/")[0])
        return FileResponse(
            stream,
            as_attachment=True,
            filename=PurePosixPath(key).name,
            content_type="application/octet-stream",
            headers={"Cache-Control": "private, no-store"},
        )


def _job_and_name(token: str, purpose: file_links.Purpose) -> tuple[Job, str]:
    """Return the link's job, and an input file's stored name or an output file's whole key."""
    job_id, key = file_links.read(token, purpose)
    job = Job.objects.select_related("tenant").filter(pk=job_id).first()
    if job is None:
        raise file_links.BadLink("The job of this link is gone.")
    return job, key.removeprefix("input/") if purpose == "upload" else key


def _refusal(status: int, detail: str) -> JsonResponse:
    return JsonResponse({"detail": detail}, status=status)


def _storage_unavailable(job: Job, error: OSError) -> JsonResponse:
    logger.error("a file of job %s cannot be stored or read: %s", job.pk, fault(error))
    answer = _refusal(StorageUnavailable.status_code, StorageUnavailable.default_detail)
    answer.headers["Retry-After"] = str(StorageUnavailable.wait)
    return answer


class _Exactly:
    """A request's body. It must have its declared length, and the job must not have started."""

    def __init__(self, request: HttpRequest, length: int, job: Job) -> None:
        self._request, self._left, self._job = request, length, job

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        try:
            block = self._request.read(wanted) if wanted else b""
        except OSError as error:
            raise Incomplete from error
        if wanted and not block:
            raise Incomplete
        if not wanted and Job.objects.filter(pk=self._job.pk, last_run__isnull=False).exists():
            raise Started
        self._left -= len(block)
        return block
