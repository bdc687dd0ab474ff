"""Store what runs report.

A repeated report changes nothing. A report that arrives after the run has ended, from an executor
that was given up too early, is stored as well, since it shows what happened. A report of an
executor that a larger one has replaced since the caller read the run is not. Only the last report
changes a run's status: see earthbeam/runs/states.py.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.db import transaction
from django.db.models import Func, JSONField, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from earthbeam import paths
from earthbeam.files import BadLocation, checked_key, open_store
from earthbeam.models import (
    OutputSet,
    ResourceSummary,
    Run,
    RunMatches,
    RunUpdate,
    UnmatchedIds,
)
from earthbeam.text import storable

MAX_PAYLOAD = 8 * 1024
"""In bytes of an error's payload, as JSON."""
_P = ParamSpec("_P")
_STACKTRACE = 6 * 1024
_FIELD = 500


class BadOutputPath(Exception):
    """A path that is not an output set of the run's job. ``str()`` of it says why."""


class OutputSetExists(Exception):
    """The run has already reported this set."""


def _of_its_executor(
    keep: Callable[Concatenate[Run, _P], None],
) -> Callable[Concatenate[Run, _P], None]:
    """Wrap ``keep`` to ignore reports of an executor that another one has replaced."""

    @wraps(keep)
    def keep_or_not(run: Run, *args: _P.args, **kwargs: _P.kwargs) -> None:
        with _held(run) as same:
            if same:
                keep(run, *args, **kwargs)

    return keep_or_not


@contextmanager
def _held(run: Run) -> Iterator[bool]:
    """Yield whether the run still has the executor it was read with, and lock it meanwhile."""
    with transaction.atomic():
        same = Run.objects.filter(pk=run.pk, executor_size=run.executor_size)
        yield same.select_for_update(no_key=True).exists()


@_of_its_executor
def record_update(run: Run, action: str, status: str) -> None:
    """Record that a step began, succeeded, or failed."""
    RunUpdate.objects.bulk_create(
        [RunUpdate(run=run, action=action, status=status)], ignore_conflicts=True
    )


@_of_its_executor
def record_error(run: Run, code: str, payload: Mapping[str, Any]) -> None:
    """Record the executor's error. A payload above 8 kB is cut: see ``bounded``."""
    add_error(run, code, payload)


def add_error(run: Run, code: str, payload: Mapping[str, Any]) -> None:
    """Record why the run failed, whoever reports it."""
    error = {"code": code, "payload": bounded(payload)}
    if not run.errors.filter(**error).exists():
        run.errors.create(**error)


@_of_its_executor
def record_summary(run: Run, counts: Mapping[str, Mapping[str, int]]) -> None:
    """Record how many records were processed, skipped, and failed, for each resource."""
    ResourceSummary.objects.bulk_create(
        (ResourceSummary(run=run, resource=name, **of) for name, of in counts.items()),
        update_conflicts=True,
        unique_fields=["run", "resource"],
        update_fields=["records_processed", "records_skipped", "records_failed"],
    )


@_of_its_executor
def record_unmatched_ids(run: Run, name: str, type: str, count: int | None) -> None:
    """Record the column and ID type that matched best, and how many rows stayed unmatched."""
    UnmatchedIds.objects.update_or_create(
        run=run, defaults={"name": name, "type": type, "count": count}
    )


@_of_its_executor
def record_matches(run: Run, figures: Mapping[str, Any]) -> None:
    """Record how the input's rows were matched: the fields of RunMatches."""
    RunMatches.objects.update_or_create(run=run, defaults=figures)


def record_progress(run: Run, action: str, done: int, total: int | None, unit: str) -> None:
    """Record the progress of a running run within its step. The latest report wins.

    Also keeps the first report on the same step and unit, from which the time left is estimated.
    """
    report = {"action": action, "done": done, "total": total, "unit": unit}
    before = run.progress or {}
    if any(before.get(key) != report[key] for key in ("action", "unit")):
        report |= {"first_done": done, "first_at": timezone.now().isoformat()}
    _add_progress(run, report)


def record_cross_year(run: Run) -> None:
    """Record that the run requests EDU's roster, for rows that the ODS's left unmatched."""
    _add_progress(run, {"cross_year_at": timezone.now().isoformat()})


def _add_progress(run: Run, fields: Mapping[str, Any]) -> None:
    so_far = Coalesce("progress", Value({}, JSONField()))
    together = Func(
        so_far, Value(dict(fields), JSONField()), template="(%(expressions)s)", arg_joiner=" || "
    )
    # Only running runs have progress: a late report must not bring it back.
    same = Run.objects.filter(pk=run.pk, executor_size=run.executor_size)
    same.filter(status=Run.Status.RUNNING).update(progress=together)


def forget(run: Run) -> None:
    """Delete all that the run has reported. Its files stay until they are stored again."""
    for kept in (run.updates, run.errors, run.summary, run.output_sets):
        kept.all().delete()
    RunMatches.objects.filter(run=run).delete()
    UnmatchedIds.objects.filter(run=run).delete()


def add_output_set(
    run: Run,
    path: str,
    sent_to_ods: bool,
    records: Mapping[str, int] | None = None,
    sha256: Mapping[str, str] | None = None,
) -> OutputSet | None:
    """Record the set of files below ``path``, a key prefix below the files' base.

    ``records`` are counts by resource, ``sha256`` hashes by file, if the executor told them.

    None if another executor has taken over. Raises BadOutputPath unless the path is strictly below
    the job's base path and holds files, and OutputSetExists if the run has already reported it.
    """
    path = path.rstrip("/")
    base = paths.base_path(run.job)
    folder = path.removeprefix(f"{base}/")
    if folder == path:
        raise BadOutputPath("The path is not below the job's base path.")
    try:
        checked_key(folder)
    except BadLocation as error:
        raise BadOutputPath(f"Not a path: {error}.") from None
    # An earlier run of the job may have left files there that this run did not create again.
    keys = open_store(paths.app_data_base_path(run.job)).list(folder, since=run.files_since)
    if not keys:
        raise BadOutputPath("There are no files below the path.")
    files = [storable(key.removeprefix(f"{folder}/")) for key in keys]
    with _held(run) as same:
        if not same:
            return None
        output_set, created = OutputSet.objects.get_or_create(
            run=run,
            path=path,
            defaults={
                "partner_id": run.job.tenant.partner_id,
                "sent_to_ods": sent_to_ods,
                "files": files,
                "records": records,
                "sha256": sha256,
            },
        )
    if not created:
        raise OutputSetExists
    return output_set


def bounded(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``payload``, or the most important part if it is larger than 8 kB as JSON.

    Keeps the end of a stack trace and the start of other texts, and leaves out what is still too
    large. Never raises, so that no error is lost because of its length.
    """
    if _size(payload) <= MAX_PAYLOAD:
        return dict(payload)
    kept: dict[str, Any] = {}
    if isinstance(payload.get("stacktrace"), str):
        kept["stacktrace"] = _end_of(payload["stacktrace"])
    for name, value in payload.items():
        short = value[:_FIELD] if isinstance(value, str) else value
        if name != "stacktrace" and _size(kept | {name: short}) <= MAX_PAYLOAD:
            kept[name] = short
    return kept


def _end_of(stacktrace: str) -> str:
    """Return the last 6 kB as JSON, where a non-ASCII letter takes six bytes or more."""
    end = stacktrace[-_STACKTRACE:]
    while _size(end) > _STACKTRACE:
        end = end[len(end) // 8 + 1 :]
    return end


def _size(value: Any) -> int:
    return len(json.dumps(value))
