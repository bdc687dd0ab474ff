"""Durations in words, and how long a step usually takes for an assessment."""

from collections import defaultdict
from statistics import median

from django.core.cache import cache

from earthbeam.models import Job, Run, RunUpdate

_RUNS = 10
_KEPT_SECONDS = 120


def lasted(seconds: float) -> str:
    """Format ``seconds`` for people: ``8 s``, ``1 min 05 s``, ``2 h 10 min``."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def usual_seconds(bundle_id: str) -> dict[str, int]:
    """Return each step's median duration in seconds in the last ten jobs that succeeded.

    Cached for two minutes, since every open page of a run asks repeatedly.
    """
    key = f"usual-seconds:{bundle_id}"
    return cache.get_or_set(key, lambda: _measure(bundle_id), _KEPT_SECONDS) or {}


def _measure(bundle_id: str) -> dict[str, int]:
    jobs = Job.objects.filter(bundle=bundle_id, last_run__status=Run.Status.SUCCESS)
    runs = list(jobs.order_by("-created_at").values_list("last_run", flat=True)[:_RUNS])
    begun: dict[tuple[object, str], float] = {}
    took: defaultdict[str, list[float]] = defaultdict(list)
    updates = RunUpdate.objects.filter(run__in=runs).order_by("id")
    for run, action, status, at in updates.values_list("run", "action", "status", "at"):
        if status == RunUpdate.Status.BEGIN:
            begun[run, action] = at.timestamp()
        elif status == RunUpdate.Status.SUCCESS and (run, action) in begun:
            took[action].append(at.timestamp() - begun[run, action])
    return {action: max(1, round(median(seconds))) for action, seconds in took.items()}
