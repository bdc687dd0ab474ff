"""The one column in which the students of a job that revises another are looked for.

A revised file is often a few rows, and of few rows a column with other ids may match as well as the
fixed one, and to other students: docs/executor.md, "Matching first".
"""

from collections.abc import Mapping
from typing import BinaryIO

from earthbeam.jobs import file_checks
from earthbeam.jobs.unmatched import INPUT_KEY
from earthbeam.models import Bundle, Job, Run


def matched_column(job: Job, bundle: Bundle) -> str:
    """The column by which the job's newest successful run found its students.

    Empty where no run told, where ``bundle`` is another assessment, whose columns mean other
    things, and for a name that executors would not take for one: they split a list by commas.
    """
    if job.bundle_id != bundle.pk:
        return ""
    succeeded = job.runs.filter(status=Run.Status.SUCCESS).order_by("-created_at")
    run = succeeded.select_related("matches", "unmatched_ids").first()
    if ids := getattr(run, "unmatched_ids", None):
        column = str(ids.name)
    elif matches := getattr(run, "matches", None):
        column = str(matches.id_name)
    else:
        return ""
    return column if "," not in column and column == column.strip() else ""


def of_revised_file(parent: Job, bundle: Bundle, streams: Mapping[str, BinaryIO]) -> str:
    """The parent's matched_column, if the new main file among ``streams`` has it, else empty, which
    means all columns that the bundle names. The stream is as if not read afterwards."""
    column, stream = matched_column(parent, bundle), streams.get(INPUT_KEY)
    if not column or stream is None:
        return ""
    stream.seek(0)
    head = stream.read(file_checks.HEAD_BYTES)
    stream.seek(0)
    return column if file_checks.has_column(head, column) else ""
