"""A job's last run as the external API tells it: steps, counts, matches, errors in words."""

from typing import Any

from earthbeam import error_words
from earthbeam.models import Run, RunError, RunMatches, UnmatchedIds


def run_details(run: Run | None) -> dict[str, Any] | None:
    """The run in the shape of serializers.RunAnswer; None where the job has not been started."""
    if run is None:
        return None
    return {
        "uid": run.pk,
        "status": run.status,
        "createdAt": run.created_at,
        "startedAt": run.started_at,
        "endedAt": run.ended_at,
        "steps": run.updates.all(),
        "summary": {counts.resource: counts for counts in run.summary.all()},
        "matches": RunMatches.objects.filter(run=run).first(),
        "unmatched": UnmatchedIds.objects.filter(run=run).first(),
        "errors": [
            {"code": each.code, "message": _in_words(each, run)} for each in run.errors.all()
        ],
    }


def _in_words(error: RunError, run: Run) -> str:
    said = error_words.words(error.code, error.payload, to_ods=run.job.send_to_ods)
    return " ".join(part for part in (said.what, said.detail, said.next_step) if part)
