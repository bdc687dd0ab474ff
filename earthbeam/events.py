"""What the rest of the world is told about runs. Ids, counts and codes: never a student's data."""

import json
import logging

from earthbeam.models import Run, RunMatches, UnmatchedIds

logger = logging.getLogger("runway.events")


def run_complete(run: Run) -> None:
    """Say, as one line of the log whose second part is JSON, how a run ended."""
    job = run.job
    detail = {
        "runId": str(run.id),
        "jobId": str(job.id),
        "partner": job.tenant.partner_id,
        "tenant": job.tenant.code,
        "schoolYear": job.school_year_id,
        "bundle": job.bundle_id,
        "sentToOds": job.send_to_ods,
        "status": run.status,
        "unmatched": _unmatched(run),
        "resourceErrors": dict(
            run.summary.filter(records_failed__gt=0).values_list("resource", "records_failed")
        ),
        "errorCodes": list(run.errors.values_list("code", flat=True)),
        "startedBy": {"userId": run.started_by_id, "apiClient": run.api_client or None},
    }
    logger.info("run_complete %s", json.dumps(detail))


def _unmatched(run: Run) -> int | None:
    """Rows that matched no student, or None if the executor did not say."""
    ids = UnmatchedIds.objects.filter(run=run).first()
    if ids is not None and ids.count is not None:
        return ids.count
    matches = RunMatches.objects.filter(run=run).first()
    return matches.unmatched if matches is not None else None
