"""What a run continues: the sets that an earlier run has stored, and what that has reported.

A preview's results may be loaded as they are if nothing has changed that decides them, which its
fingerprint tells.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db.models import Count, Max
from django.utils import timezone

from earthbeam.models import ConfirmedStudent, Job, OutputSet, Run, RunMatches
from partners.models import Partner

PREVIEW_KEPT = timedelta(hours=24)
"""How long a preview's results can be loaded, since rosters change from day to day."""

_NOT_REPORTED = ("run", "peak_memory_mb", "refused_rows")


def fields(run: Run) -> dict[str, Any]:
    """Return what the payload of a run says about the one that it continues."""
    if run.continues is None:
        return {}
    return {
        "storedSets": {
            each.path.rpartition("/")[2]: each.sha256 or dict.fromkeys(each.files)
            for each in sets_of(run.continues)
        },
        "reported": {
            "matches": _matches(run.continues),
            "unmatchedIds": _unmatched_ids(run.continues),
            "summary": {
                each.resource: {
                    "records_processed": each.records_processed,
                    "records_skipped": each.records_skipped,
                    "records_failed": each.records_failed,
                }
                for each in run.continues.summary.all()
            },
        },
    }


def sets_of(run: Run) -> list[OutputSet]:
    """Return the sets that the run has stored, or has sent for another run."""
    sets = list(run.output_sets.all())
    if sets or run.continues is None:
        return sets
    return sets_of(run.continues)


def last_sent(job: Job) -> Run | None:
    """Return the job's last run that has sent something, or would have if there was an ODS."""
    sent = job.runs.filter(status=Run.Status.SUCCESS, kind__in=Run.SENDING)
    return sent.order_by("-created_at").first()


def preview_to_load(job: Job) -> Run | None:
    """Return the job's last run if it is a preview whose results can still be loaded."""
    run = job.last_run
    if run is None or run.outcome != Run.Outcome.PREVIEWED or not run.fingerprint:
        return None
    return run if run.created_at > timezone.now() - PREVIEW_KEPT else None


def fingerprint(job: Job, payload: Mapping[str, Any]) -> str:
    """Return a hash of all that decides the results of a run with this payload."""
    deciding = {
        name: value
        for name, value in payload.items()
        if name not in ("appUrls", "kind", "keepEduRosters", "assessmentDatastore")
    }
    ods = payload.get("assessmentDatastore") or {}
    deciding["ods"] = {name: ods.get(name) for name in ("apiYear", "url", "clientId")}
    deciding["files"] = sorted(map(list, job.files.values_list("template_key", "size", "sha256")))
    if job.tenant.partner.identity_checks != Partner.IdentityChecks.OFF:
        confirmed = ConfirmedStudent.objects.filter(tenant=job.tenant_id)
        deciding["confirmed"] = confirmed.aggregate(Count("pk"), Max("confirmed_at"))
    return hashlib.sha256(json.dumps(deciding, sort_keys=True, default=str).encode()).hexdigest()


def _matches(run: Run) -> dict[str, Any] | None:
    matches = RunMatches.objects.filter(run=run).first()
    if matches is None:
        return None
    names = [each.name for each in RunMatches._meta.fields if each.name not in _NOT_REPORTED]
    values = {name: getattr(matches, name) for name in names}
    return {_camel(name): value for name, value in values.items() if value not in (None, "")}


def _camel(name: str) -> str:
    """Return the contract's name of a field."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _unmatched_ids(run: Run) -> dict[str, Any] | None:
    ids = getattr(run, "unmatched_ids", None)
    return None if ids is None else {"name": ids.name, "type": ids.type, "count": ids.count}
