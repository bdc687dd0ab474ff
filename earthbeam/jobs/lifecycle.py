"""Create jobs, store their files, and start and cancel runs, for people and API clients."""

import hashlib
import io
import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from procrastinate.exceptions import AlreadyEnqueued

from earthbeam import errors, paths
from earthbeam.bundles.template import BundleTemplate
from earthbeam.files import fault, open_store
from earthbeam.jobs.rules import (
    JobRequest,
    file_name_problem,
    has_ods_connection,
    problems,
    school_year_config,
)
from earthbeam.models import POSSIBLE_ID_COLUMNS, Job, JobFile, Run, Submission
from earthbeam.runs import continued, payload, states
from earthbeam.tasks import launch_run, watch_executors
from partners.models import Tenant

logger = logging.getLogger(__name__)


def create_job(request: JobRequest, *, api_client: str = "") -> Job:
    """Create the job and its file records. ``store_file`` then adds the content.

    Raises the first of job_rules.problems, and then creates nothing.
    """
    job = _unsaved_job(request, api_client=api_client)
    with transaction.atomic():
        job.save(force_insert=True)
        JobFile.objects.bulk_create(_unsaved_file(job, *named) for named in request.files.items())
    return job


def _unsaved_job(request: JobRequest, *, id_column: str = "", **fields: Any) -> Job:
    for problem in problems(request):
        raise problem
    config = school_year_config(request.tenant, request.school_year)
    if config is None:
        raise errors.YearNotEnabled(partner=request.tenant.partner, year=request.school_year)
    params = {
        param.key: request.params[param.key]
        for param in BundleTemplate.read(request.bundle.template).params
        if request.params.get(param.key)
    }
    return Job(
        tenant=request.tenant,
        school_year=request.school_year,
        bundle=request.bundle,
        bundle_template=request.bundle.template,
        bundle_branch=settings.BUNDLE_BRANCH,
        send_to_ods=config.sends_to_ods,
        input_params=params | ({POSSIBLE_ID_COLUMNS: id_column} if id_column else {}),
        files_base=settings.FILES_BASE,
        **fields,
    )


def _unsaved_file(job: Job, key: str, name: str) -> JobFile:
    return JobFile(job=job, template_key=key, name=name, stored_name=paths.input_name(key, name))


def store_file(job: Job, key: str, name: str, stream: BinaryIO) -> JobFile:
    """Store the content of ``stream`` as the job's file ``key``, which the user named ``name``.

    Readers see all of it or none. Raises UnexpectedFile, BadFileName, EmptyFile, FileTooLarge, and
    OSError if the file storage fails.
    """
    file = _stored(job, key, name, stream)
    return JobFile.objects.update_or_create(
        job=job,
        template_key=key,
        defaults={
            "name": name,
            "stored_name": file.stored_name,
            "size": file.size,
            "sha256": file.sha256,
        },
    )[0]


def _stored(job: Job, key: str, name: str, stream: BinaryIO) -> JobFile:
    """Store the file, and return its record, unsaved."""
    known = [file.key for file in BundleTemplate.read(job.bundle_template).files]
    if key not in known:
        raise errors.UnexpectedFile(key, known=", ".join(known))
    if problem := file_name_problem(key, name):
        raise problem
    file, upload = _unsaved_file(job, key, name), _Upload(key, stream, settings.MAX_UPLOAD_BYTES)
    store = open_store(paths.app_data_base_path(job))
    file.size = store.save(cast(BinaryIO, upload), f"input/{file.stored_name}")
    file.sha256 = upload.sha256.hexdigest()
    return file


def find_uploads(job: Job) -> None:
    """Record the files that a client has uploaded directly to the storage, using our links.

    Raises EmptyFile and FileTooLarge. Files that are still missing are left for ``start_run`` to
    report.
    """
    awaited = [file for file in job.files.all() if file.size is None]
    if not awaited:
        return
    stored = open_store(paths.app_data_base_path(job)).list("input")
    for file in awaited:
        size = stored.get(f"input/{file.stored_name}")
        if size == 0:
            raise errors.EmptyFile(file.template_key)
        if size is not None and size > settings.MAX_UPLOAD_BYTES:
            raise errors.FileTooLarge(file.template_key, limit=settings.MAX_UPLOAD_BYTES)
        if size is not None:
            JobFile.objects.filter(pk=file.pk, size=None).update(size=size)


def submit(
    request: JobRequest,
    streams: Mapping[str, BinaryIO],
    *,
    created_by: User | None = None,
    api_client: str = "",
    parent: Job | None = None,
    kind: Run.Kind = Run.Kind.LOAD,
    id_column: str = "",
    corrects_refused: bool = False,
    decided: Mapping[int, str] | None = None,
    beside: Mapping[str, bytes] | None = None,
) -> Job:
    """Create the job, store its files, and start its first run, of ``kind``: all or nothing.

    ``streams`` holds the content of each file that the request names. ``parent`` is the job whose
    unmatched rows or revised file this one loads. ``id_column`` is the only column in which to look
    for students (empty: all that the bundle names). ``decided`` holds the studentUniqueId of rows
    that a person has decided, by number in the file from 1. ``beside`` is what else to store in its
    base path. Files are stored first, so that the database does not wait for the storage.

    Raises the first of job_rules.problems, everything that store_file and start_run raise, and
    OSError if the file storage fails.
    """
    decided = decided or {}
    job = _unsaved_job(
        request,
        created_by=created_by,
        api_client=api_client,
        parent=parent,
        id_column=id_column,
        corrects_refused=corrects_refused,
        decided_rows=len(decided),
    )
    beside = {**(beside or {}), **_decisions(decided)}
    submission = Submission.objects.create(job_id=job.pk, location=paths.app_data_base_path(job))
    try:
        files = [_stored(job, key, name, streams[key]) for key, name in request.files.items()]
        for key, content in beside.items():
            open_store(paths.app_data_base_path(job)).save(io.BytesIO(content), key)
        with transaction.atomic():
            submission.delete()
            job.save(force_insert=True)
            JobFile.objects.bulk_create(files)
            start_run(job, kind=kind, started_by=created_by, api_client=api_client)
    except BaseException:
        names = (paths.input_name(key, name) for key, name in request.files.items())
        if _delete_files(job, [*(f"input/{name}" for name in names), *beside]):
            Submission.objects.filter(pk=job.pk).delete()
        raise
    return job


def _decisions(decided: Mapping[int, str]) -> dict[str, bytes]:
    """Return the file that tells executors who has been chosen, by its key; {} without choices."""
    lines = (
        json.dumps({"row": row, "studentUniqueId": decided[row]}) + "\n" for row in sorted(decided)
    )
    return {f"input/{paths.DECISIONS_NAME}": "".join(lines).encode()} if decided else {}


def _delete_files(job: Job, keys: Iterable[str]) -> bool:
    """Delete the files of a job that was not created. False if some could not be deleted.

    Those are logged, and left to housekeeping.
    """
    store, all_gone = open_store(paths.app_data_base_path(job)), True
    for key in keys:
        try:
            store.delete(key)
        except OSError as error:
            message = "a file of %s, a job that was not made, may be left: %s"
            logger.warning(message, job.pk, fault(error))
            all_gone = False
    return all_gone


def start_run(
    job: Job,
    *,
    kind: Run.Kind = Run.Kind.LOAD,
    continues: Run | None = None,
    started_by: User | None = None,
    api_client: str = "",
) -> Run:
    """Create a run and queue its launch, in one transaction.

    A load begins with the results of a preview that would be the same. Reopens a job that was
    marked resolved. Raises FilesMissing, FilesDestroyed, NoOdsConnection, RunInProgress,
    WithdrawalInProgress, LoadInProgress, and JobGone.
    """
    missing = [file.template_key for file in job.files.all() if file.size is None]
    if missing or not job.files.exists():
        if not Job.objects.filter(pk=job.pk).exists():
            raise errors.JobGone
        raise errors.FilesMissing(", ".join(missing) or "all")
    if job.send_to_ods and not has_ods_connection(job.tenant, job.school_year):
        raise errors.NoOdsConnection(tenant=job.tenant, year=job.school_year)
    if kind == Run.Kind.LOAD and continues is None:
        preview = continued.preview_to_load(job)
        continues = preview if preview and payload.would_repeat(preview) else None
    try:
        with transaction.atomic():
            # Deleting the job takes the same lock.
            locked = Job.objects.select_for_update(no_key=True).filter(pk=job.pk).first()
            if locked is None:
                raise errors.JobGone
            _check_kept(locked, continues)
            _keep_from_withdrawals(job, kind)
            run = Run.objects.create(
                job=job,
                kind=kind,
                continues=continues,
                bundle_commit=continues.bundle_commit if continues else "",
                timeout_seconds=settings.EXECUTOR_TIMEOUT_SECONDS,
                started_by=started_by,
                api_client=api_client,
            )
            Job.objects.filter(pk=job.pk).update(last_run=run, resolved_at=None, resolved_by=None)
            launch_run.defer(run_id=str(run.id))
    except IntegrityError as error:
        if "one_unfinished_run_a_job" in str(error):
            raise errors.RunInProgress from None
        raise
    return run


def _check_kept(job: Job, continues: Run | None) -> None:
    """Raise FilesDestroyed if the job no longer has what a run needs."""
    partner = job.tenant.partner
    if continues is None and job.input_destroyed_at:
        raise errors.FilesDestroyed(partner=partner, days=partner.keep_input_days)
    if continues is not None and job.output_is_destroyed:
        raise errors.FilesDestroyed(partner=partner, days=partner.keep_output_days)


def _keep_from_withdrawals(job: Job, kind: Run.Kind) -> None:
    """Let a withdrawal and the tenant's other runs that change the ODS not run side by side.

    Whether a withdrawal may delete a record depends on what later jobs have loaded. Raises
    WithdrawalInProgress or LoadInProgress, with the other job. Call in a transaction.
    """
    if kind == Run.Kind.PREVIEW:
        return
    # Starts of the tenant's runs wait here for each other.
    Tenant.objects.select_for_update(no_key=True).get(pk=job.tenant_id)
    others = Run.objects.filter(
        job__tenant=job.tenant_id, job__school_year=job.school_year_id, status__in=Run.UNFINISHED
    ).exclude(job=job)
    if kind != Run.Kind.WITHDRAW:
        if other := others.filter(kind=Run.Kind.WITHDRAW).first():
            raise errors.WithdrawalInProgress(other=other.job)
    elif other := others.exclude(kind=Run.Kind.PREVIEW).first():
        raise errors.LoadInProgress(other=other.job)


def start_repaired_run(job: Job, kind: str, *, started_by: User) -> bool:
    """Start a run that undoes this kind of damage in all IDs of the job's file.

    Later runs of the job undo it as well. False, without a run, if the job was run again since the
    caller read it. Raises what start_run raises, and then changes nothing.
    """
    with transaction.atomic():
        same = Job.objects.filter(pk=job.pk, last_run=job.last_run_id)
        if not same.update(id_repairs=[kind]):
            return False
        start_run(job, started_by=started_by)
    return True


def cancel_run(run: Run, by: str) -> bool:
    """End ``run`` on behalf of ``by``. False if it has already ended.

    Its launcher stops the executor: within seconds on a worker's own machine, within a minute or so
    on ECS.
    """
    if not states.fail(run.pk, "unknown", {"message": f"Cancelled by {by}."}):
        return False
    # Its own transaction, so that a failure does not abort the caller's.
    with suppress(AlreadyEnqueued), transaction.atomic():
        watch_executors.defer(timestamp=0)
    return True


class _Upload:
    """A stream that raises, while it is read, if it is empty or larger than ``limit`` bytes."""

    def __init__(self, key: str, stream: BinaryIO, limit: int) -> None:
        self._key, self._stream, self._limit = key, stream, limit
        self._seen = 0
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size)
        self._seen += len(block)
        self.sha256.update(block)
        if self._seen > self._limit:
            raise errors.FileTooLarge(self._key, limit=self._limit)
        if not self._seen:
            raise errors.EmptyFile(self._key)
        return block
