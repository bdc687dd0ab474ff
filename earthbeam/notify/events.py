"""What the rest of the world is told about runs. Ids, counts and codes: never a student's data."""

import json
import logging
from typing import Any

from django.conf import settings

from earthbeam.models import Run, RunMatches, UnmatchedIds
from runway import aws

logger = logging.getLogger("runway.events")

SOURCE, DETAIL_TYPE = "runway", "run_complete"


class NotTaken(Exception):
    """The event bus did not take an event; ``str()`` of it says why."""


def log_run_complete(run: Run) -> None:
    """Say, as one line of the log whose second part is JSON, how a run ended."""
    logger.info("%s %s", DETAIL_TYPE, json.dumps(detail(run)))


def put(body: dict[str, Any]) -> None:
    """Put a run's ``detail`` on the event bus. Raises NotTaken, and botocore's errors."""
    answer = aws.client("events").put_events(
        Entries=[
            {
                "EventBusName": settings.EVENT_BUS,
                "Source": SOURCE,
                "DetailType": DETAIL_TYPE,
                "Detail": json.dumps(body),
            }
        ]
    )
    if answer["FailedEntryCount"]:
        raise NotTaken(str(answer["Entries"][0].get("ErrorCode", "unknown")))


def detail(run: Run) -> dict[str, Any]:
    """How ``run`` ended: the body of events and webhooks."""
    job = run.job
    return {
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


def _unmatched(run: Run) -> int | None:
    """Rows that matched no student, or None if the executor did not say."""
    ids = UnmatchedIds.objects.filter(run=run).first()
    if ids is not None and ids.count is not None:
        return ids.count
    matches = RunMatches.objects.filter(run=run).first()
    return matches.unmatched if matches is not None else None
