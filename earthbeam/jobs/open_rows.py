"""A job's unmatched rows that a person or an API client can still do something about."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

from earthbeam.jobs import rerun_rows, row_review, unmatched
from earthbeam.jobs.lineage import linked_jobs
from earthbeam.jobs.row_review import Review
from earthbeam.jobs.unmatched import NotFixable, OpenFile, Unmatched
from earthbeam.models import Job, Run


@dataclass(frozen=True)
class OpenRows:
    """The unmatched rows of a job's last run, numbered from 1.

    ``taken`` are rows that are in a later job already; ``reviews`` what identity checks found.
    """

    run: Run
    found: Unmatched
    file: OpenFile
    taken: Mapping[int, Job]
    reviews: Mapping[int, Review]


def unmatched_of(job: Job) -> Unmatched | None:
    """Return what the last run reported; None if it left no row unmatched, or did not succeed."""
    run = job.last_run
    return unmatched.of_run(run) if run and run.status == Run.Status.SUCCESS else None


def read(job: Job, found: Unmatched) -> OpenRows:
    """Return the rows of ``found``. Raises NotFixable, and OSError if the storage fails."""
    run = job.last_run
    assert run is not None
    file = unmatched.read(run, found)
    taken = rerun_rows.taken_rows(job, file)
    reviews = row_review.read(run, len(file.rows))
    if len(taken) < len(file.rows) and linked_jobs(job).here.open == 0:
        raise NotFixable("A later job loaded a revised file that includes these rows.")
    return OpenRows(run, found, file, taken, reviews)


def as_csv(job: Job, found: Unmatched) -> bytes:
    """Return all open rows as CSV: each with its number in the file and the reason, where known.

    Raises NotFixable, and OSError if the storage fails.
    """
    run = job.last_run
    assert run is not None
    file = unmatched.read_all(run, found)
    numbers = row_review.open_numbers(run, len(file.rows))
    reviews = row_review.read(run, len(file.rows))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["runway_row", "runway_reason", "runway_column", *file.columns])
    for number, row in enumerate(file.rows, start=1):
        review = reviews.get(number)
        cell = review.cell if review else None
        place = numbers[number - 1] if numbers else ""
        reason = review.reason if review else ""
        writer.writerow([place, reason, cell.column if cell else "", *row])
    return text.getvalue().encode()
