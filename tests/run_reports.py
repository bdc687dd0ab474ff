"""Runs that have reported something, as the API keeps it; each asks for what matters alone."""

import json
from datetime import timedelta
from typing import Any

from django.utils import timezone

from earthbeam import paths
from earthbeam.models import Job, Run, RunLog, RunUpdate
from earthbeam.runs import reports, states
from tests import factories

STEPS = [
    "refresh_bundle_code",
    "earthmover_deps",
    "get_student_roster",
    "get_input_files",
    "earthmover_run",
    "lightbeam_send",
    "upload_output",
]
MATCHES = {"blank_ids": 0, "ambiguous_ids": 0, "id_name": "StateID", "id_type": "State",
           "match_rate": 0.8}  # fmt: skip


def running(step: str = "", *, job: Job | None = None, seconds: int = 40, **progress: Any) -> Run:
    """A run that is in ``step``, or has just begun."""
    run = _in_step(step, job)
    if progress:
        reports.record_progress(run, step, **(progress | {"done": 0}))
        run.refresh_from_db()
        reports.record_progress(run, step, **progress)
    return _aged(run, seconds)


def _in_step(step: str, job: Job | None) -> Run:
    run = factories.make_run(job, Run.Status.RUNNING)
    begin(run, step)
    return run


def _aged(run: Run, seconds: int = 40) -> Run:
    """``run``, whose last step began so long ago, and which itself is a little older."""
    begun = timezone.now() - timedelta(seconds=seconds)
    run.updates.update(at=begun)
    run.refresh_from_db()
    if run.progress and "first_at" in run.progress:
        first = run.progress | {"first_at": begun.isoformat()}
        Run.objects.filter(pk=run.pk).update(progress=first)
    Run.objects.filter(pk=run.pk).update(created_at=begun - timedelta(seconds=70))
    run.refresh_from_db()
    return run


def begin(run: Run, step: str) -> None:
    """All steps until ``step`` are done, and that has begun."""
    if step:
        for each in STEPS[: STEPS.index(step)]:
            reports.record_update(run, each, "begin")
            reports.record_update(run, each, "success")
        reports.record_update(run, step, "begin")


def succeeded(
    *,
    job: Job | None = None,
    rows: tuple[int, int, int] | None = None,
    sets: tuple[str, ...] = ("ods",),
    refused: int = 0,
    records: int = 100,
    answers: dict[str, Any] | None = None,
    **matches: Any,
) -> Run:
    """A run that succeeded: ``rows`` to the ODS, to EDU and unmatched, if it told."""
    run = _in_step("upload_output", job)
    for name in sets:
        factories.store_file(run.job, f"output/{name}/studentAssessments.jsonl", b"{}\n" * records)
        reports.add_output_set(run, f"{paths.base_path(run.job)}/output/{name}", name == "ods")
    if rows is not None:
        ods, earlier, unmatched = rows
        figures = {"input_rows": sum(rows), "ods_matched": ods, "cross_year_matched": earlier,
                   "unmatched": unmatched}  # fmt: skip
        reports.record_matches(run, MATCHES | figures | matches)
        if unmatched:
            reports.record_unmatched_ids(run, "StateID", "State", unmatched)
            factories.store_file(run.job, "output/input_no_student_id_match.csv", b"StateID\n1\n")
    counts = {"records_processed": records * len(sets), "records_skipped": 0,
              "records_failed": refused}  # fmt: skip
    reports.record_summary(run, {"studentAssessments": counts})
    if "ods" in sets:
        answers = answers or answered(records=records)
        content = json.dumps(answers).encode()
        factories.store_file(run.job, "output/lb-send-results.json", content)
    factories.store_file(run.job, "output/student_id_match_rates.csv", b"a,b\n")
    assert states.finish(run.pk, True)
    return _aged(run)


def answered(*failures: dict[str, Any], records: int = 100) -> dict[str, Any]:
    """lightbeam's results of sending ``records``."""
    refused = sum(failure["count"] for failure in failures)
    resource = {
        "records_processed": records,
        "records_skipped": 0,
        "records_failed": refused,
        "successes": [{"status_code": 201, "count": records - refused}],
        "failures": list(failures),
    }
    return {"resources": {"studentAssessments": resource}}


def failure(message: str, *lines: int, status: int = 400) -> dict[str, Any]:
    return {"status_code": status, "message": message, "file": "/x/studentAssessments.jsonl",
            "line_numbers": list(lines), "count": len(lines)}  # fmt: skip


def failed(
    code: str, step: str = "earthmover_run", *, job: Job | None = None, **payload: Any
) -> Run:
    """A run that failed in ``step``."""
    run = _in_step(step, job)
    reports.record_update(run, step, RunUpdate.Status.FAILURE)
    reports.record_error(run, code, payload)
    assert states.finish(run.pk, False)
    return _aged(run)


def printed(run: Run, text: str) -> None:
    RunLog.objects.update_or_create(run=run, defaults={"text": text})
