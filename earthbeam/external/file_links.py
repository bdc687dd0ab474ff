"""Links with which a client uploads and downloads files, without a token, for an hour.

On S3 they are presigned URLs of the bucket. Files in a directory are served by the app itself, at
its own signed URLs: see files_views.py.
"""

from typing import Literal

from django.core import signing
from django.http import HttpRequest
from django.urls import reverse
from rest_framework.request import Request

from earthbeam import paths
from earthbeam.files import is_s3, s3_store
from earthbeam.models import Job

LIFE = 60 * 60
"""In seconds: contract section 9."""

_SALT = "runway.external.file-link"

Purpose = Literal["upload", "download"]
_USES = {
    "upload": "This link is for an upload: PUT the file to it.",
    "download": "This link is for a download: GET the file from it.",
}


class BadLink(Exception):
    """An invalid link. ``str()`` of it says why."""


def link(request: HttpRequest | Request, job: Job, key: str, purpose: Purpose) -> str:
    """Return the URL to PUT the job's file ``key`` to, or to GET it from."""
    if is_s3(job.files_base):
        store = s3_store(paths.app_data_base_path(job))
        return store.presigned(key, "put_object" if purpose == "upload" else "get_object", LIFE)
    token = signing.dumps([str(job.pk), key, purpose], salt=_SALT)
    return request.build_absolute_uri(reverse("external:file", args=[token]))


def read(token: str, purpose: Purpose) -> tuple[str, str]:
    """Return the job's ID and the file's key of one of our links. Raises BadLink."""
    try:
        job_id, key, made_for = signing.loads(token, salt=_SALT, max_age=LIFE)
    except signing.SignatureExpired:
        raise BadLink("This link has expired. Ask for a new one.") from None
    except (signing.BadSignature, ValueError, TypeError):
        raise BadLink("This is no link of ours.") from None
    if made_for != purpose:
        raise BadLink(_USES[made_for])
    return job_id, key
