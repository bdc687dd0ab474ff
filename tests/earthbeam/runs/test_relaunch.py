"""What an executor that ran out of memory still says while its run starts over on a larger one.

Each request has read the run of the first try, and stands before its row when the second begins.
"""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from rest_framework.test import APIClient

from earthbeam import paths
from earthbeam.models import OutputSet, Run, RunMatches, UnmatchedIds
from earthbeam.runs import reaper, relaunch, states, tokens
from partners.models import OdsConnection
from tests import factories
from tests.at_once import at_once, overtaken
from tests.earthbeam.queue import queue  # noqa: F401

pytestmark = pytest.mark.usefixtures("queue")

DONE = {"action": "done", "status": "success"}
FAILED = {"action": "done", "status": "failure"}
COUNTS = {"records_processed": 1, "records_skipped": 0, "records_failed": 1}
MATCHES = {
    "inputRows": 2,
    "odsMatched": 1,
    "crossYearMatched": 0,
    "unmatched": 1,
    "blankIds": 0,
    "ambiguousIds": 0,
    "idName": "student_id",
    "idType": "State",
    "matchRate": 0.5,
}


@pytest.fixture
def run():
    run = factories.make_run(status=Run.Status.RUNNING, executor_size=relaunch.MEDIUM)
    factories.store_file(run.job, "output/ods/studentAssessments.jsonl")
    return run


def says(run, name, body):
    """What the executor of the run's present size posts, as a function."""
    client = APIClient(headers={"Authorization": f"Bearer {tokens.access_token(run)}"})
    return lambda: client.post(f"/api/earthbeam/jobs/{run.pk}/{name}", body, format="json")


def across_the_relaunch(run, call):
    """What ``call`` returns that came before the second try, and is carried out after it began."""
    return overtaken(call, by=lambda: relaunch.with_more_memory(run))


@pytest.mark.parametrize("body", [DONE, FAILED])
def test_the_first_executors_end_does_not_end_the_second_try(run, body):
    answer = across_the_relaunch(run, says(run, "status", body))
    assert answer.status_code == 201
    run.refresh_from_db()
    assert (run.status, run.executor_size) == ("new", "large")
    assert not run.updates.exists()
    assert not run.output_files.exists()


def test_nor_once_the_second_executor_has_begun(run):
    first = says(run, "status", DONE)
    with transaction.atomic():
        assert states.start_over(run, executor_size=relaunch.LARGE)
        assert states.begin(run.pk, executor_size=relaunch.LARGE)
    assert first().status_code == 201
    run.refresh_from_db()
    assert run.status == "running"
    assert states.finish(run.pk, success=True, executor_size=relaunch.MEDIUM) is False
    assert says(run, "status", DONE)().status_code == 201
    run.refresh_from_db()
    assert run.status == "success"


def test_the_first_executors_handshake_does_not_begin_the_second_try():
    run = factories.make_run(executor_size=relaunch.MEDIUM)
    first = APIClient(headers={"Authorization": f"Bearer {tokens.init_token(run)}"})
    answer = across_the_relaunch(run, lambda: first.get(f"/api/earthbeam/auth/{run.pk}/init"))
    assert answer.status_code == 401
    run.refresh_from_db()
    assert (run.status, run.started_at) == ("new", None)


def test_a_payload_that_the_first_executor_cannot_have_does_not_end_the_second_try(run):
    OdsConnection.objects.all().delete()
    first = APIClient(headers={"Authorization": f"Bearer {tokens.access_token(run)}"})
    answer = across_the_relaunch(run, lambda: first.get(f"/api/earthbeam/jobs/{run.pk}"))
    assert answer.status_code == 409
    run.refresh_from_db()
    assert (run.status, run.errors.count()) == ("new", 0)


def test_the_first_executors_time_limit_does_not_end_the_second_try(run):
    Run.objects.update(started_at=timezone.now() - timedelta(days=1))
    assert across_the_relaunch(run, reaper.reap) == 0
    run.refresh_from_db()
    assert run.status == "new"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("status", {"action": "earthmover_run", "status": "failure"}),
        ("error", {"code": "unknown", "payload": {"stacktrace": "", "out_of_memory": True}}),
        ("summary", {"studentAssessments": COUNTS}),
        ("unmatched-ids", {"name": "student_id", "type": "State", "count": 1}),
        ("matches", MATCHES),
        ("progress", {"action": "earthmover_run", "done": 1, "unit": "rows"}),
        ("output-files", {"sentToOds": True}),
    ],
)
def test_what_the_first_executor_reports_late_is_not_the_second_ones(run, name, body):
    if name == "output-files":
        body = body | {"path": f"{paths.base_path(run.job)}/output/ods"}
    answer = across_the_relaunch(run, says(run, name, body))
    assert answer.status_code == 201
    run.refresh_from_db()
    reported = (run.updates, run.errors, run.summary, run.output_sets)
    assert not any(kept.exists() for kept in reported)
    assert not OutputSet.objects.filter(run=run).exists()
    assert not UnmatchedIds.objects.filter(run=run).exists()
    assert not RunMatches.objects.filter(run=run).exists()
    assert run.progress is None


@pytest.mark.parametrize("attempt", range(5))
def test_an_end_and_a_relaunch_at_once_leave_either_a_run_that_has_ended_or_one_that_starts_over(
    run, attempt
):
    end = says(run, "status", DONE)
    calls = [end, lambda: relaunch.with_more_memory(Run.objects.get(pk=run.pk)), end, end]
    *_, over = [result for result in at_once(calls) if isinstance(result, bool)]
    run.refresh_from_db()
    assert run.status == ("new" if over else "success")
    assert run.updates.count() == (0 if over else 1)
