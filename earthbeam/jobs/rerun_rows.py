"""Submit unmatched rows with fixed IDs as a separate job.

The new job is a child of the job that left the rows unmatched. The numbers of its rows are stored
beside its files, so that no row is submitted twice. Concurrent submissions lock the parent's
database row.
"""

import io
import json
import logging
from collections.abc import Mapping
from contextlib import ExitStack
from typing import BinaryIO

from django.contrib.auth.models import User
from django.db import transaction

from earthbeam import paths
from earthbeam.files import open_store
from earthbeam.jobs import confirmed_students, unmatched
from earthbeam.jobs.confirmed_students import confirmed
from earthbeam.jobs.lifecycle import submit
from earthbeam.jobs.rules import JobRequest
from earthbeam.jobs.unmatched import INPUT_KEY, OpenFile
from earthbeam.models import POSSIBLE_ID_COLUMNS, Job, Run

logger = logging.getLogger(__name__)

_TAKEN = "unmatched_rows.json"
"""In the child's base path: the row numbers, and the hash of the file they are from."""


class RowsTaken(Exception):
    """Some of the rows have been put into another job since: ``jobs``, by row."""

    def __init__(self, jobs: Mapping[int, Job]) -> None:
        super().__init__(f"{len(jobs)} rows are in other jobs already")
        self.jobs = dict(jobs)


class RunChanged(Exception):
    """The parent was run again, so its unmatched rows may have changed."""


def taken_rows(parent: Job, file: OpenFile) -> dict[int, Job]:
    """Return the rows of ``file`` that are already in another job, by number, with that job.

    A job whose last run failed or withdrew it has nothing loaded, so its rows are free again.
    Raises OSError.
    """
    taken: dict[int, Job] = {}
    children = (
        parent.children.select_related("tenant", "created_by", "last_run")
        .exclude(last_run__status=Run.Status.ERROR)
        .exclude(last_run__kind=Run.Kind.WITHDRAW)
        .order_by("created_at")
    )
    for child in children:
        try:
            with open_store(paths.app_data_base_path(child)).open(_TAKEN) as stream:
                kept = json.load(stream)
        except FileNotFoundError:
            continue  # a revised file: its rows have no numbers
        if kept["sha256"] == file.sha256:
            taken |= dict.fromkeys(kept["rows"], child)
    return taken


def rerun_rows(
    run: Run,
    file: OpenFile,
    ids: Mapping[int, str],
    *,
    by: User | None = None,
    api_client: str = "",
    students: Mapping[int, str] | None = None,
    cells: Mapping[int, Mapping[int, str]] | None = None,
    refused: bool = False,
) -> Job:
    """Create a job from the rows that ``ids`` numbers, with those IDs, and start its run.

    ``cells`` numbers rows of which other cells are corrected, with new values by the index of their
    column. A row with none is loaded again as it is. ``refused`` tells that the rows are not
    unmatched ones, but of records that the ODS refused.

    ``students`` numbers more rows, whose IDs stay as they are, with the studentUniqueId that a
    person has chosen for each. What was chosen is remembered for later files of the tenant. The job
    has the parent's params, file names, and other files.
    Students are looked for only in the column that matched the parent's rows: with few rows another
    column might match as well, but to other students. Raises RowsTaken, RunChanged, NotFixable, a
    JobError, or OSError, and then creates nothing.
    """
    students, cells = students or {}, cells or {}
    rows = {*ids, *students, *cells}
    unmatched.check_original(run, file, rows)
    with transaction.atomic():
        # Not FOR UPDATE: the child's foreign key check must be able to lock the row.
        parent = Job.objects.select_for_update(no_key=True).get(pk=run.job_id)
        if parent.last_run_id != run.pk:
            raise RunChanged
        others = taken_rows(parent, file)
        if both := {number: others[number] for number in rows if number in others}:
            raise RowsTaken(both)
        made = _make(parent, file, ids, students, cells, by, api_client, refused)
        _remember(parent, file, students, by=by.get_username() if by else api_client)
        return made


def _remember(parent: Job, file: OpenFile, students: Mapping[int, str], *, by: str) -> None:
    cells = {number: file.rows[number - 1][file.id_place] for number in students}
    given = (confirmed(file.id_name, cells[number], students[number]) for number in students)
    try:
        confirmed_students.remember(parent.tenant, filter(None, given), by=by, job=parent)
    except confirmed_students.TooMany:
        # The rows are loaded all the same. Nobody chooses students for so many rows by hand.
        logger.warning("tenant %s has too many confirmed students for more", parent.tenant_id)


def _make(
    parent: Job,
    file: OpenFile,
    ids: Mapping[int, str],
    students: Mapping[int, str],
    cells: Mapping[int, Mapping[int, str]],
    by: User | None,
    api_client: str,
    refused: bool,
) -> Job:
    others = {*students, *cells}
    as_they_are = {number: file.rows[number - 1][file.id_place] for number in others}
    rows = {**as_they_are, **ids}
    order = sorted(rows)
    files = {entry.template_key: entry for entry in parent.files.all()}
    request = JobRequest(
        tenant=parent.tenant,
        school_year=parent.school_year,
        bundle=parent.bundle,
        files={key: entry.name for key, entry in files.items()},
        params={
            key: value for key, value in parent.input_params.items() if key != POSSIBLE_ID_COLUMNS
        },
    )
    parents_store = open_store(paths.app_data_base_path(parent))
    with ExitStack() as opened:
        streams: dict[str, BinaryIO] = {
            key: opened.enter_context(parents_store.open(f"input/{entry.stored_name}"))
            for key, entry in files.items()
            if key != INPUT_KEY
        }
        return submit(
            request,
            streams | {INPUT_KEY: io.BytesIO(file.with_ids(rows, cells))},
            created_by=by,
            api_client=api_client,
            parent=parent,
            id_column=file.id_name,
            corrects_refused=refused,
            decided={order.index(number) + 1: students[number] for number in students},
            beside={_TAKEN: json.dumps({"sha256": file.sha256, "rows": order}).encode()},
        )
