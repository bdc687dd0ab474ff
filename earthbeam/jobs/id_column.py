"""Choose the one column to match students by in a job that revises another.

A revised file often has only a few rows. With few rows, a column of other IDs may match as well as
the fixed one, but to other students: see docs/executor.md, "Matching first".
"""

from collections.abc import Mapping
from typing import BinaryIO

from earthbeam.jobs import file_checks
from earthbeam.jobs.unmatched import INPUT_KEY
from earthbeam.models import Bundle, Job, Run


def matched_column(job: Job, bundle: Bundle) -> str:
    """Return the column by which the job's newest successful run matched students.

    Empty if no run reported one, or if ``bundle`` is another assessment, whose columns mean other
    things. Also empty for a name with a comma or outer blanks: executors split the list by commas.
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
    """Return the parent's matched_column if the new main file among ``streams`` has it.

    Otherwise empty, which means all columns that the bundle names. Rewinds the stream.
    """
    column, stream = matched_column(parent, bundle), streams.get(INPUT_KEY)
    if not column or stream is None:
        return ""
    stream.seek(0)
    head = stream.read(file_checks.HEAD_BYTES)
    stream.seek(0)
    return column if file_checks.has_column(head, column) else ""
