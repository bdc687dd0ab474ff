"""Follow a run's progress, in lines for people."""

import time
from collections.abc import Iterator

from earthbeam.models import Run, RunMatches, RunUpdate

POLL_SECONDS = 1.0


def follow(run: Run) -> Iterator[str]:
    """Yield the run's steps as they begin or fail, until it has ended. Refreshes ``run``.

    Every run ends: the worker's housekeeping ends the ones that nothing else does.
    """
    reported: set[tuple[str, str]] = set()
    yield "Queued"
    while True:
        run.refresh_from_db()  # before its updates, which are complete once it has ended
        for update in run.updates.all():
            step = (update.action, update.status)
            if step not in reported and (line := _line(update)):
                yield line
            reported.add(step)
        if run.status not in Run.UNFINISHED:
            break
        time.sleep(POLL_SECONDS)
    yield from _outcome(run)


def _line(update: RunUpdate) -> str | None:
    if update.action == RunUpdate.Action.DONE:
        return None
    label = update.get_action_display()
    if update.status == RunUpdate.Status.BEGIN:
        return f"{label} …"
    return f"{label}: failed" if update.status == RunUpdate.Status.FAILURE else None


def _outcome(run: Run) -> Iterator[str]:
    if matches := RunMatches.objects.filter(run=run).first():
        refused = f" ({matches.refused_rows} refused)" if matches.refused_rows else ""
        yield (
            f"{matches.input_rows} rows: {matches.ods_matched} to the ODS{refused}, "
            f"{matches.cross_year_matched} for EDU, {matches.unmatched} unmatched"
        )
    for counts in run.summary.all():
        yield (
            f"{counts.resource}: {counts.records_processed} processed, "
            f"{counts.records_skipped} skipped, {counts.records_failed} failed"
        )
    for error in run.errors.all():
        yield f"{error.code}: {error.payload.get('message', 'see the run in the admin')}"
    yield run.label
