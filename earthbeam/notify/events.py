"""The events that other systems get about runs: IDs, counts, and codes, never a student's data."""

import json
import logging
from typing import Any

from django.conf import settings

from earthbeam.models import POSSIBLE_ID_COLUMNS, Run, RunMatches, UnmatchedIds
from partners.models import OdsConnection
from runway import aws

logger = logging.getLogger("runway.events")

DETAIL_TYPE = "run_complete"


class NotTaken(Exception):
    """The event bus did not accept an event. ``str()`` of it says why."""


def log_run_complete(run: Run) -> None:
    """Log how a run ended, as one line whose second part is JSON."""
    logger.info("%s %s", DETAIL_TYPE, json.dumps(detail(run)))


def put(body: dict[str, Any]) -> None:
    """Put a run's ``detail`` on the event bus. Raises NotTaken, and botocore's errors."""
    answer = aws.client("events").put_events(
        Entries=[
            {
                "EventBusName": settings.EVENT_BUS,
                "Source": source(),
                "DetailType": DETAIL_TYPE,
                "Detail": json.dumps(body),
            }
        ]
    )
    if answer["FailedEntryCount"]:
        raise NotTaken(str(answer["Entries"][0].get("ErrorCode", "unknown")))


def source() -> str:
    """Return the events' source, by which rules on the bus filter: contract section 10."""
    return f"runway.{settings.ENVLABEL}" if settings.ENVLABEL else "runway"


def detail(run: Run) -> dict[str, Any]:
    """Return how ``run`` ended: the body of events and webhooks, contract section 10 and more."""
    job = run.job
    results = {row.resource: row for row in run.summary.all()}
    refused = {name: row.records_failed for name, row in results.items() if row.records_failed}
    matches = RunMatches.objects.filter(run=run).first()
    unmatched = _unmatched(run, matches)
    sent = job.send_to_ods and run.kind in Run.SENDING
    assessment = str(job.bundle_template.get("display_name", job.bundle_id))
    return {
        "summary": f"{assessment} for {job.tenant.code}, {job.school_year_id}: {run.status}",
        "runId": str(run.id),
        "jobId": str(job.id),
        "completedWithErrors": bool(refused),
        "outcome": run.outcome,
        "kind": run.kind,
        "eduUnavailable": run.edu_unavailable or None,
        "sendToOds": sent,
        "odsUrl": _ods_url(run),
        "unmatchedStudentsCount": unmatched,
        "input": {
            "assessment": assessment,
            "params": {k: v for k, v in job.input_params.items() if k != POSSIBLE_ID_COLUMNS},
        },
        "result": {
            name: {
                "recordsProcessed": row.records_processed,
                "recordsSkipped": row.records_skipped,
                "recordsFailed": row.records_failed,
            }
            for name, row in results.items()
        },
        "metadata": {
            "tenantCode": job.tenant.code,
            "partnerId": job.tenant.partner_id,
            **(
                {"apiClientName": run.api_client}
                if run.api_client
                else {"userId": run.started_by_id}
            ),
            "createdOn": run.created_at.isoformat(),
            "completedOn": run.ended_at.isoformat() if run.ended_at else None,
        },
        # Our own fields, which are older than the contract's above.
        "partner": job.tenant.partner_id,
        "tenant": job.tenant.code,
        "schoolYear": job.school_year_id,
        "bundle": job.bundle_id,
        "sentToOds": sent,
        "status": run.status,
        "unmatched": unmatched,
        "rows": _rows(matches),
        "resourceErrors": refused,
        "errorCodes": list(run.errors.values_list("code", flat=True)),
        "startedBy": {"userId": run.started_by_id, "apiClient": run.api_client or None},
    }


def _ods_url(run: Run) -> str | None:
    """Return the ODS that the job goes to, if it goes to one that is still connected."""
    if not run.job.send_to_ods:
        return None
    connections = OdsConnection.objects.filter(
        tenant=run.job.tenant_id, school_year=run.job.school_year_id, retired_at=None
    )
    return connections.values_list("url", flat=True).first()


def _rows(matches: RunMatches | None) -> dict[str, int | None] | None:
    """Return where the input's rows went, by the contract's names, if the executor told."""
    if matches is None:
        return None
    return {
        "inputRows": matches.input_rows,
        "odsMatched": matches.ods_matched,
        "refusedRows": matches.refused_rows,
        "crossYearMatched": matches.cross_year_matched,
        "unmatched": matches.unmatched,
        "blankIds": matches.blank_ids,
        "ambiguousIds": matches.ambiguous_ids,
        "untransformable": matches.untransformable,
    }


def _unmatched(run: Run, matches: RunMatches | None) -> int | None:
    """Return how many rows matched no student, or None if the executor did not report it."""
    ids = UnmatchedIds.objects.filter(run=run).first()
    if ids is not None and ids.count is not None:
        return ids.count
    return matches.unmatched if matches is not None else None
