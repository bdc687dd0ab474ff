"""Change a run's status: from new to running, and to its end.

Every change is a conditional update. Of any number of concurrent processes, exactly one updates the
row and gets True, and only that one does what follows from the change. No other module writes
``Run.status``.

A run that ran out of memory gets a second try with a larger executor. A caller that acts for one
try's executor passes its ``executor_size``, and then changes the run only during that try.
"""

import logging
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from earthbeam import metrics, paths
from earthbeam.files import open_store
from earthbeam.models import OutputFile, OutputSet, Run, RunMatches, UnmatchedIds
from earthbeam.notify import events, mails, notices
from earthbeam.runs import edu_rosters, reports
from earthbeam.text import storable

logger = logging.getLogger(__name__)

FAILED_TO_START = "failed_to_start_executor"

_NEW, _RUNNING = Run.Status.NEW, Run.Status.RUNNING
_PATH_LENGTH = 500


def begin(run_id: UUID, *, executor_size: str | None = None) -> bool:
    """new → running: the executor called init. False if the run is no longer new."""
    return bool(_runs(run_id, [_NEW], executor_size).update(status=_RUNNING, started_at=Now()))


def finish(run_id: UUID, success: bool, *, executor_size: str | None = None) -> bool:
    """running → success or error: the executor reported its end. False if the run was not running.

    Records the files below the job's ``output/``. Raises OSError if they cannot be listed. The run
    is then still running, and the executor can report its end again.
    """
    run = _with_job(run_id)
    if run.status != _RUNNING:
        return False
    status = Run.Status.SUCCESS if success else Run.Status.ERROR
    return _end(run, status, [_RUNNING], _output_files(run), executor_size=executor_size)


def start_over(run: Run, *, executor_size: str) -> bool:
    """new or running → new: the run's executor is gone, and a larger one gets a second try.

    The caller read ``run`` before the executor ended, and queues the launch in the same
    transaction. Deletes the first executor's reports, so that the second can report anew. False if
    the run has ended, or has started over since ``run`` was read.
    """
    with transaction.atomic():
        same = Run.objects.filter(
            pk=run.pk,
            status__in=Run.UNFINISHED,
            launch_reference=run.launch_reference,
            executor_size=run.executor_size,
        )
        if not same.update(
            status=_NEW,
            started_at=None,
            launched_at=None,
            launch_reference="",
            progress=None,
            edu_unavailable="",
            executor_size=executor_size,
        ):
            return False
        reports.forget(run)
    return True


def fail_to_start(
    run_id: UUID, payload: Mapping[str, Any] | None = None, *, executor_size: str | None = None
) -> bool:
    """new → error: no executor could be started.

    False if the run is no longer new: then an executor did start, whatever its launcher reports,
    and will report its own end.
    """
    return _fail(run_id, FAILED_TO_START, payload or {}, [_NEW], executor_size)


def fail(
    run_id: UUID,
    code: str,
    payload: Mapping[str, Any] | None = None,
    *,
    executor_size: str | None = None,
) -> bool:
    """new or running → error: the app ends a run that did not, or cannot, end by itself.

    ``code`` and ``payload`` are an error in the executors' format. False if the run has ended.
    """
    return _fail(run_id, code, payload or {}, Run.UNFINISHED, executor_size)


def _fail(
    run_id: UUID,
    code: str,
    payload: Mapping[str, Any],
    only_if: Collection[Run.Status],
    executor_size: str | None,
) -> bool:
    run = _with_job(run_id)
    if run.status not in only_if:
        return False
    try:
        files = _output_files(run)
    except Exception:
        # The storage may be why the run is ended. Ending it matters more than the list.
        logger.exception("run %s: its output files could not be listed", run_id)
        files = {}
    return _end(
        run,
        Run.Status.ERROR,
        only_if,
        files,
        executor_size=executor_size,
        error=(code, payload),
    )


def _end(
    run: Run,
    status: Run.Status,
    only_if: Collection[Run.Status],
    files: Mapping[str, int],
    *,
    executor_size: str | None,
    error: tuple[str, Mapping[str, Any]] | None = None,
) -> bool:
    """End the run with everything that belongs to it, or not at all, and notify others once."""
    now = timezone.now()
    with transaction.atomic():
        succeeded = status == Run.Status.SUCCESS
        sent = succeeded and run.kind in Run.SENDING
        run.has_errors = sent and run.summary.filter(records_failed__gt=0).exists()
        run.has_problems = sent and (run.has_errors or _left_rows_unmatched(run))
        still = _runs(run.pk, only_if, executor_size)
        if not still.update(
            status=status,
            ended_at=now,
            has_errors=run.has_errors,
            has_problems=run.has_problems,
        ):
            return False
        run.status, run.ended_at = status, now
        if succeeded and run.kind == Run.Kind.LOAD:
            _publish_sets(run, now)
        if succeeded and run.kind == Run.Kind.WITHDRAW:
            OutputSet.objects.filter(
                run__job=run.job_id, published_at__isnull=False, withdrawn_at=None
            ).update(withdrawn_at=now)
        if error is not None:
            reports.add_error(run, *error)
        OutputFile.objects.bulk_create(
            (OutputFile(run=run, path=path, size=size) for path, size in files.items()),
            ignore_conflicts=True,
        )
        notices.announce(run)
        mails.announce(run)
        # Robust: the run has ended even if logging fails.
        transaction.on_commit(partial(events.log_run_complete, run), robust=True)
        transaction.on_commit(partial(metrics.count_end, run, _code(run, error)), robust=True)
    return True


def _code(run: Run, error: tuple[str, Mapping[str, Any]] | None) -> str:
    """Return the code of the error that ended the run, which its executor may have reported."""
    if error is not None:
        return error[0]
    if run.status != Run.Status.ERROR:
        return ""
    return run.errors.order_by("id").values_list("code", flat=True).first() or "unknown"


def _publish_sets(run: Run, now: datetime) -> None:
    """Offer the run's sets to clients, each in place of the same set of an earlier run."""
    earlier = OutputSet.objects.filter(run__job=run.job_id, published_at__isnull=False)
    newest = dict(earlier.order_by("published_at").values_list("sent_to_ods", "pk"))
    for sent_to_ods in (True, False):
        OutputSet.objects.filter(run=run, sent_to_ods=sent_to_ods).update(
            published_at=now, supersedes=newest.get(sent_to_ods)
        )


def _runs(
    run_id: UUID, only_if: Collection[Run.Status], executor_size: str | None
) -> QuerySet[Run]:
    """Return the run, unless its status or its executor's size has changed."""
    same = Run.objects.filter(pk=run_id, status__in=only_if)
    return same if executor_size is None else same.filter(executor_size=executor_size)


def _left_rows_unmatched(run: Run) -> bool:
    return (
        RunMatches.objects.filter(run=run, unmatched__gt=0).exists()
        or UnmatchedIds.objects.filter(run=run).exclude(count=0).exists()
    )


def _output_files(run: Run) -> dict[str, int]:
    """Return this run's files in the job's ``output/``: relative paths and bytes.

    Those that it stored, and those of the run whose sets it sends or withdraws. Older files are
    from an earlier run of the job.
    """
    store = open_store(paths.app_data_base_path(run.job))
    edu_rosters.remove(run, store)
    return {
        storable(key.removeprefix("output/"))[:_PATH_LENGTH]: size
        for key, size in store.list("output", since=run.files_since).items()
    }


def _with_job(run_id: UUID) -> Run:
    return Run.objects.select_related("job__tenant__partner", "continues").get(pk=run_id)
