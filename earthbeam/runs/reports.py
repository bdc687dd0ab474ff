"""Keeping what runs report.

A report that arrives twice changes nothing. One that arrives after the run has ended, from an
executor that was given up too early, is kept as well: it tells what happened. One of an executor
that a larger one has taken over from, since the caller has read the run, is not kept. No report
moves a run's status, except the last one: see earthbeam/runs/states.py.
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
"""Bytes of an error's payload, as JSON."""
_P = ParamSpec("_P")
_STACKTRACE = 6 * 1024
_FIELD = 500


class BadOutputPath(Exception):
    """A path that is no output set of the run's job; ``str()`` of it says why."""


class OutputSetExists(Exception):
    """The run has reported that set before."""


def _of_its_executor(
    keep: Callable[Concatenate[Run, _P], None],
) -> Callable[Concatenate[Run, _P], None]:
    """``keep``, but only what an executor says that no other has taken over from."""

    @wraps(keep)
    def keep_or_not(run: Run, *args: _P.args, **kwargs: _P.kwargs) -> None:
        with _held(run) as same:
            if same:
                keep(run, *args, **kwargs)

    return keep_or_not


@contextmanager
def _held(run: Run) -> Iterator[bool]:
    """Whether the run has the executor that it had when it was read; it keeps it until the end."""
    with transaction.atomic():
        same = Run.objects.filter(pk=run.pk, executor_size=run.executor_size)
        yield same.select_for_update(no_key=True).exists()


@_of_its_executor
def record_update(run: Run, action: str, status: str) -> None:
    """A step began, succeeded or failed."""
    RunUpdate.objects.bulk_create(
        [RunUpdate(run=run, action=action, status=status)], ignore_conflicts=True
    )


@_of_its_executor
def record_error(run: Run, code: str, payload: Mapping[str, Any]) -> None:
    """Why the run failed, as its executor says. A payload above 8 kB is cut: see ``bounded``."""
    add_error(run, code, payload)


def add_error(run: Run, code: str, payload: Mapping[str, Any]) -> None:
    """Why the run failed, whoever says so."""
    error = {"code": code, "payload": bounded(payload)}
    if not run.errors.filter(**error).exists():
        run.errors.create(**error)


@_of_its_executor
def record_summary(run: Run, counts: Mapping[str, Mapping[str, int]]) -> None:
    """Records processed, skipped and failed, for each resource."""
    ResourceSummary.objects.bulk_create(
        (ResourceSummary(run=run, resource=name, **of) for name, of in counts.items()),
        update_conflicts=True,
        unique_fields=["run", "resource"],
        update_fields=["records_processed", "records_skipped", "records_failed"],
    )


@_of_its_executor
def record_unmatched_ids(run: Run, name: str, type: str, count: int | None) -> None:
    """The column and id type that matched best, and how many rows stayed unmatched."""
    UnmatchedIds.objects.update_or_create(
        run=run, defaults={"name": name, "type": type, "count": count}
    )


@_of_its_executor
def record_matches(run: Run, figures: Mapping[str, Any]) -> None:
    """How the input's rows were matched: the fields of RunMatches."""
    RunMatches.objects.update_or_create(run=run, defaults=figures)


def record_progress(run: Run, action: str, done: int, total: int | None, unit: str) -> None:
    """How far a running run is inside its step; the last word counts."""
    _add_progress(run, {"action": action, "done": done, "total": total, "unit": unit})


def record_cross_year(run: Run) -> None:
    """The run asks for EDU's roster, for rows that the ODS's has left."""
    _add_progress(run, {"cross_year_at": timezone.now().isoformat()})


def _add_progress(run: Run, fields: Mapping[str, Any]) -> None:
    so_far = Coalesce("progress", Value({}, JSONField()))
    together = Func(
        so_far, Value(dict(fields), JSONField()), template="(%(expressions)s)", arg_joiner=" || "
    )
    # Of a run that has ended nobody wants to know it: a late word must not bring it back.
    same = Run.objects.filter(pk=run.pk, executor_size=run.executor_size)
    same.filter(status=Run.Status.RUNNING).update(progress=together)


def forget(run: Run) -> None:
    """Drop all that the run has reported; its files stay until they are stored again."""
    for kept in (run.updates, run.errors, run.summary, run.output_sets):
        kept.all().delete()
    RunMatches.objects.filter(run=run).delete()
    UnmatchedIds.objects.filter(run=run).delete()


def add_output_set(run: Run, path: str, sent_to_ods: bool) -> OutputSet | None:
    """Keep the set of files below ``path``, a key prefix below the files' base.

    None if another executor has taken over. Raises BadOutputPath unless it lies strictly below
    the job's base path and holds files, and OutputSetExists when the run has reported it before.
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
    # An earlier run of the job may have left files there that this one did not make again.
    keys = open_store(paths.app_data_base_path(run.job)).list(folder, since=run.created_at)
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
            },
        )
    if not created:
        raise OutputSetExists
    return output_set


def bounded(payload: Mapping[str, Any]) -> dict[str, Any]:
    """``payload``, or what matters most of one that is larger than 8 kB as JSON.

    Of a stack trace the end is kept, of other texts the start; whatever is too large even so is
    left out. It never refuses: an error that is lost because it is long helps nobody.
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
    """The last 6 kB as JSON, where a letter outside ASCII takes six bytes or more."""
    end = stacktrace[-_STACKTRACE:]
    while _size(end) > _STACKTRACE:
        end = end[len(end) // 8 + 1 :]
    return end


def _size(value: Any) -> int:
    return len(json.dumps(value))
