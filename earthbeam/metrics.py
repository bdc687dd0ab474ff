"""What runs and their executors' calls count, for Prometheus. docs/runbook.md lists all metrics."""

from datetime import datetime

from prometheus_client import Counter, Histogram

from earthbeam.models import Run, RunMatches, RunUpdate

_RUNS = Counter(
    "runway_runs_ended", "Runs that have ended.", ["partner", "kind", "outcome", "code"]
)
_RUN_SECONDS = Histogram(
    "runway_run_seconds",
    "Seconds from a run's creation to its end.",
    ["kind"],
    buckets=(10, 30, 60, 120, 300, 600, 1800, 3600, 10800),
)
_STEP_SECONDS = Histogram(
    "runway_step_seconds",
    "Seconds that the steps of runs took that succeeded.",
    ["step"],
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600),
)
_ROWS = Counter("runway_rows", "Rows of files, by what became of them.", ["ending"])
CALL_SECONDS = Histogram(
    "runway_executor_call_seconds",
    "Seconds that the calls of executors took, without rosters.",
    ["call", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
STREAMS_REFUSED = Counter(
    "runway_roster_streams_refused", "Rosters that executors were refused.", ["code"]
)
NOTICES = Counter("runway_notices", "Tries to deliver webhooks and events.", ["to", "outcome"])


def count_end(run: Run, code: str) -> None:
    """Count a run that has just ended. ``code`` is its error's, or empty."""
    outcome = run.outcome or ""
    _RUNS.labels(run.job.tenant.partner_id, run.kind, outcome, code).inc()
    if run.ended_at:
        _RUN_SECONDS.labels(run.kind).observe((run.ended_at - run.created_at).total_seconds())
    begun: dict[str, datetime] = {}
    for update in RunUpdate.objects.filter(run=run).order_by("id"):
        if update.status == RunUpdate.Status.BEGIN:
            begun[update.action] = update.at
        elif update.status == RunUpdate.Status.SUCCESS and update.action in begun:
            took = update.at - begun[update.action]
            _STEP_SECONDS.labels(update.action).observe(took.total_seconds())
    matches = RunMatches.objects.filter(run=run).first()
    if matches is not None and run.kind == Run.Kind.LOAD and run.status == Run.Status.SUCCESS:
        _ROWS.labels("ods").inc(matches.ods_matched)
        _ROWS.labels("cross_year").inc(matches.cross_year_matched)
        _ROWS.labels("unmatched").inc(matches.unmatched)
