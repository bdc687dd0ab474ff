"""Submitting jobs, waiting for their runs, and reading what came of them."""

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from procrastinate.contrib.django.models import ProcrastinateJob

from earthbeam import paths
from earthbeam.files import DirectoryStore, open_store
from earthbeam.jobs.lifecycle import create_job, store_file
from earthbeam.jobs.rules import JobRequest
from earthbeam.models import Bundle, Job, Run
from earthbeam.runs.reaper import LAUNCH_TASK
from partners.models import SchoolYear, Tenant
from runway.sandbox.input_files import InputFile
from runway.sandbox.ods import SandboxOds

STEPS = (
    *("refresh_bundle_code", "earthmover_deps", "get_student_roster", "get_input_files"),
    *("earthmover_run", "lightbeam_send", "upload_output"),
)
ALL_STEPS = [*(f"{step} {status}" for step in STEPS for status in ("begin", "success"))]
"""What a run reports that sends to an ODS and succeeds, before its last word."""


def submit(sample: InputFile) -> Job:
    """A job of the seeded district with its file stored, not started yet."""
    request = JobRequest(
        tenant=Tenant.objects.get(),
        school_year=SchoolYear.objects.get(),
        bundle=Bundle.objects.get(path=sample.bundle),
        files={"INPUT_FILE": sample.path.name},
        params={"API_YEAR": "2026"},
    )
    job = create_job(request)
    with sample.path.open("rb") as stream:
        store_file(job, "INPUT_FILE", sample.path.name, stream)
    return job


def wait_until(what: str, condition: Callable[[], object], seconds: float = 200.0) -> None:
    """Wait for what should take a few seconds at most; the machine may be slow and busy."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.02)


def wait_for_step(run: Run, action: str) -> None:
    """Wait until the run has begun a step, which it must do before it ends."""

    def begun() -> bool:
        run.refresh_from_db()
        return run.status not in Run.UNFINISHED or run.updates.filter(action=action).exists()

    wait_until(f"{action} begins", begun)
    assert run.status in Run.UNFINISHED, (steps(run), list(run.errors.values("code", "payload")))


def wait_for_end(run: Run, seconds: float = 200.0) -> Run:
    """Wait until the run has ended and its launcher is done with it; the run as it stands then."""

    def over() -> bool:
        run.refresh_from_db()
        return run.status not in Run.UNFINISHED and not _launch(run).exists()

    wait_until("the run's end", over, seconds)
    return run


def _launch(run: Run) -> Any:
    return ProcrastinateJob.objects.filter(
        task_name=LAUNCH_TASK, args__run_id=str(run.pk), status__in=("todo", "doing")
    )


def steps(run: Run) -> list[str]:
    return [str(update) for update in run.updates.all()]


def life(run: Run) -> list[Any]:
    """When the run was created, launched, started and ended."""
    times = [run.created_at, run.launched_at, run.started_at, run.ended_at]
    assert None not in times
    return times


def only_error(run: Run) -> tuple[str, dict[str, Any]]:
    """Code and payload of the one error of a run that failed."""
    assert run.status == Run.Status.ERROR, steps(run)
    error = run.errors.get()
    return error.code, error.payload


def executor_pid(run: Run) -> int:
    def is_known() -> bool:
        run.refresh_from_db()
        return run.launch_reference.startswith("process ")

    wait_until("the executor's process is known", is_known)
    return int(run.launch_reference.split()[1])


def output(run: Run) -> Path:
    """The folder of the job's results."""
    store = open_store(paths.app_data_base_path(run.job))
    assert isinstance(store, DirectoryStore)
    return store.root / "output"


def json_lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def student_ids(records: list[dict[str, Any]]) -> set[str]:
    return {record["studentReference"]["studentUniqueId"] for record in records}


def nothing_was_sent(ods: SandboxOds) -> bool:
    return ods.received_counts() == {}
