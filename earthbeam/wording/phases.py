"""A run's progress, in the five phases that people think in, and within its step.

Pure: from a run's reports (RunUpdate) and its executor's latest progress in the step
(Run.progress).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.utils.dateparse import parse_datetime

BEGIN, SUCCESS, FAILURE = "begin", "success", "failure"

_PREPARE, _TRANSFORM, _CROSS_YEAR, _SEND, _DELETE, _COMPLETE = (
    "pre-processing",
    "transforming",
    "cross-year",
    "sending",
    "deleting",
    "complete",
)

_PHASE_OF = {
    "refresh_bundle_code": _PREPARE,
    "earthmover_deps": _PREPARE,
    "get_student_roster": _PREPARE,
    "get_input_files": _PREPARE,
    "earthmover_run": _TRANSFORM,
    "lightbeam_send": _SEND,
    "lightbeam_delete": _DELETE,
    "upload_output": _COMPLETE,
    "done": _COMPLETE,
}

_TITLES = {
    _PREPARE: "Preparing",
    _TRANSFORM: "Matching and transforming",
    _CROSS_YEAR: "Matching to prior years",
    _SEND: "Sending to the ODS",
    _DELETE: "Deleting from the ODS",
    _COMPLETE: "Complete",
}

_DOING = {
    "": "Starting",
    "refresh_bundle_code": "Fetching the assessment's definition",
    "earthmover_deps": "Preparing the assessment",
    "get_student_roster": "Fetching the district's roster",
    "get_input_files": "Fetching the file",
    "earthmover_run": "Matching rows to students and transforming them",
    "lightbeam_send": "Sending to the ODS",
    "lightbeam_delete": "Deleting from the ODS",
    "upload_output": "Storing the results",
    "done": "Finishing",
}


class State(StrEnum):
    TODO = "todo"
    NOW = "now"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Update:
    """A report of a step."""

    action: str
    status: str
    at: datetime


@dataclass(frozen=True)
class Phase:
    key: str
    title: str
    state: State


@dataclass(frozen=True)
class Step:
    """A run's current step. ``action`` is empty before the first."""

    action: str
    doing: str
    since: datetime | None
    done: int | None = None
    total: int | None = None
    unit: str = ""
    first_done: int | None = None
    first_at: datetime | None = None

    def seconds_left(self, now: datetime) -> float | None:
        """Estimate how long the rest takes, once a tenth is done. None before, and if unknown."""
        if self.total is None or self.done is None or self.first_at is None:
            return None
        counted = self.done - (self.first_done or 0)
        elapsed = (now - self.first_at).total_seconds()
        if counted <= 0 or counted * 10 < self.total or elapsed <= 0:
            return None
        return max(0, self.total - self.done) * elapsed / counted

    @property
    def amount(self) -> str:
        """How far it is, such as ``1,200 of 3,000 records``; empty where no one said."""
        if self.done is None:
            return ""
        if self.total is None:
            return f"{self.done:,} {self.unit} so far"
        return f"{self.done:,} of {self.total:,} {self.unit}"


def current_step(updates: Iterable[Update], progress: Mapping[str, Any] | None) -> Step:
    """Return the step that began last."""
    begun = [update for update in updates if update.status == BEGIN]
    if not begun:
        return Step("", _DOING[""], None)
    last = begun[-1]
    progress = progress or {}
    doing = _DOING.get(last.action, last.action)
    if last.action == "earthmover_run" and progress.get("cross_year_at"):
        doing = "Matching the rest to students of all years and transforming"
    if progress.get("action") != last.action:
        return Step(last.action, doing, last.at)
    return Step(
        last.action,
        doing,
        last.at,
        _count(progress.get("done")),
        _count(progress.get("total")),
        str(progress.get("unit") or ""),
        _count(progress.get("first_done")),
        parse_datetime(str(progress.get("first_at") or "")),
    )


def phases(
    updates: Iterable[Update],
    progress: Mapping[str, Any] | None,
    *,
    to_ods: bool,
    cross_year: bool,
    ended: bool,
    succeeded: bool = False,
    kind: str = "load",
    continues: bool = False,
) -> list[Phase]:
    """Return the phases of a run, in order.

    A run that ``continues`` another one transforms nothing.

    ``cross_year``: whether rows that are not in the ODS are looked up in all years. That has
    happened if the run requested the roster (``cross_year_at`` in ``progress``), which it does
    after it has begun to match. A run that continues without it has skipped the phase.

    A run that succeeded and has no ``updates`` is old: they were kept long enough.
    """
    updates = list(updates)
    asked = bool((progress or {}).get("cross_year_at"))
    keys = [_PREPARE] if continues else [_PREPARE, _TRANSFORM]
    if to_ods and not continues and (cross_year or asked):
        keys.append(_CROSS_YEAR)
    if to_ods and kind == "withdraw":
        keys.append(_DELETE)
    elif to_ods and kind != "preview":
        keys.append(_SEND)
    keys.append(_COMPLETE)

    step = current_step(updates, progress)
    now = _PHASE_OF.get(step.action, _PREPARE)
    if now == _TRANSFORM and asked and _CROSS_YEAR in keys:
        now = _CROSS_YEAR
    if now not in keys:
        now = _COMPLETE
    if ended and succeeded:
        now = ""
    begun = {_PHASE_OF.get(update.action) for update in updates if update.status == BEGIN}
    if asked:
        begun.add(_CROSS_YEAR)
    if ended and succeeded and not updates:
        begun.add(_SEND)
    place = keys.index(now) if now else len(keys)
    found = []
    for index, key in enumerate(keys):
        if index < place:
            passed_over = key in (_CROSS_YEAR, _SEND) and key not in begun
            state = State.SKIPPED if passed_over else State.DONE
        elif index == place:
            state = State.FAILED if ended else State.NOW
        else:
            state = State.TODO
        title = "Finishing" if key == _COMPLETE and state == State.NOW else _TITLES[key]
        found.append(Phase(key, title, state))
    return found


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None
