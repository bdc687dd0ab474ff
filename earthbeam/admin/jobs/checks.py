"""The new-job page's checks of a file: its beginning, and whether it was submitted before."""

import re
from typing import Any, BinaryIO

from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from earthbeam.bundles.template import BundleTemplate, InputFile
from earthbeam.jobs.file_checks import HEAD_BYTES, Expected, Findings, check
from earthbeam.jobs.status import label_of
from earthbeam.models import Bundle, Job

_SHA256 = re.compile(r"[0-9a-f]{64}")

MAIN_KEY = "INPUT_FILE"
"""The file whose rows are matched to students. By the contract, every job has it."""


def main_file(template: BundleTemplate) -> InputFile:
    """Return the file that defines a job. Several of them become several jobs."""
    return next((file for file in template.files if file.key == MAIN_KEY), template.files[0])


def check_head(bundle: Bundle, file: InputFile, name: str, head: bytes, size: int) -> Findings:
    """Check a file called ``name`` for ``file`` that begins with ``head``."""
    columns = bundle.student_id_columns if file.key == MAIN_KEY else ()
    expected = Expected(f"“{name}”", file.file_types, columns)
    return check(head, size, expected, limit=settings.MAX_UPLOAD_BYTES)


def check_upload(bundle: Bundle, file: InputFile, upload: Any) -> Findings:
    """Check an uploaded file in the same way, and rewind it."""
    stream: BinaryIO = upload
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    return check_head(bundle, file, upload.name, head, upload.size)


def earlier_job(jobs: QuerySet[Job], tenant_id: int, sha256: str) -> Job | None:
    """Return the newest of ``jobs`` that had exactly this content for the tenant."""
    if not _SHA256.fullmatch(sha256):
        return None
    same = jobs.filter(tenant=tenant_id, files__sha256=sha256).select_related("last_run")
    return same.order_by("-created_at").first()


def same_file_warning(job: Job) -> dict[str, str]:
    """Return the warning about a job with the same content: text, and link with its own text."""
    name = job.bundle_template.get("display_name", job.bundle_id)
    return {
        "text": "This very file was submitted before. Loading it again does no harm where the "
        "results are the same, but check that it is the file you mean.",
        "link": f"{name}, {job.created_at:%b %-d, %Y} ({label_of(job)})",
        "url": reverse("admin:earthbeam_job_change", args=[job.pk]),
    }


def as_html(warning: dict[str, str]) -> SafeString:
    """Return a warning for Django's messages."""
    if "url" not in warning:
        return format_html("{}", warning["text"])
    return format_html(
        '{} See <a href="{}">{}</a>.', warning["text"], warning["url"], warning["link"]
    )
