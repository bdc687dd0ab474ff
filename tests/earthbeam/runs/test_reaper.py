from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from earthbeam.jobs.lifecycle import start_run
from earthbeam.models import Run
from earthbeam.runs import reaper
from tests import factories

pytestmark = pytest.mark.django_db


def ago(**parts):
    return timezone.now() - timedelta(**parts)


def queue_job(**columns):
    """Change the queued launches as a worker would."""
    with connection.cursor() as cursor:
        for name, value in columns.items():
            cursor.execute(f"update procrastinate_jobs set {name} = %s", [value])


def silent_worker(seconds):
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into procrastinate_workers (last_heartbeat) values (%s) returning id",
            [ago(seconds=seconds)],
        )
        return cursor.fetchone()[0]


def outcome(run):
    run.refresh_from_db()
    error = run.errors.first()
    return run.status, error and error.code


def test_a_run_that_outlived_its_time_limit_is_ended_with_it():
    run = factories.make_run(
        status=Run.Status.RUNNING, timeout_seconds=600, started_at=ago(seconds=600, minutes=6)
    )
    assert reaper.reap() == 1
    assert outcome(run) == ("error", "executor_timeout")
    assert run.errors.get().payload == {"timeout_seconds": 600}
    assert reaper.reap() == 0


def test_a_worker_whose_clock_is_wrong_ends_no_run(monkeypatch):
    running = factories.make_run(status=Run.Status.RUNNING, started_at=timezone.now())
    launched = factories.make_run(launched_at=timezone.now())
    later = timezone.now() + timedelta(hours=5)
    monkeypatch.setattr("django.utils.timezone.now", lambda: later)
    assert reaper.reap() == 0
    assert (outcome(running), outcome(launched)) == (("running", None), ("new", None))


def test_a_run_within_its_limit_and_the_margin_is_left_to_its_executor():
    run = factories.make_run(
        status=Run.Status.RUNNING, timeout_seconds=600, started_at=ago(seconds=600, minutes=4)
    )
    assert reaper.reap() == 0
    assert outcome(run) == ("running", None)


def test_a_run_whose_executor_never_reported_has_failed_to_start():
    run = factories.make_run(launched_at=ago(minutes=7))
    assert reaper.reap() == 1
    assert outcome(run) == ("error", "failed_to_start_executor")
    assert "APP_URL" in run.errors.get().payload["message"]


def test_a_run_whose_executor_was_just_launched_is_waited_for():
    run = factories.make_run(launched_at=ago(minutes=5))
    assert reaper.reap() == 0
    assert outcome(run) == ("new", None)


def test_a_queued_run_waits_for_its_worker():
    run = start_run(factories.make_job())
    Run.objects.update(created_at=ago(hours=23))
    assert reaper.reap() == 0
    assert outcome(run) == ("new", None)


def test_a_run_that_waited_for_a_day_says_to_check_the_worker():
    run = start_run(factories.make_job())
    Run.objects.update(created_at=ago(hours=25))
    assert reaper.reap() == 1
    assert outcome(run) == ("error", "failed_to_start_executor")
    assert "worker is running" in run.errors.get().payload["message"]


@pytest.mark.parametrize("status", ["failed", "aborted", "cancelled"])
def test_a_run_whose_launch_left_the_queue_has_failed_to_start(status):
    run = start_run(factories.make_job())
    queue_job(status=status)
    assert reaper.reap() == 1
    assert outcome(run) == ("error", "failed_to_start_executor")
    assert "worker is running" in run.errors.get().payload["message"]


def test_a_run_whose_launch_is_gone_has_failed_to_start():
    run = start_run(factories.make_job())
    with connection.cursor() as cursor:
        cursor.execute("delete from procrastinate_jobs")
    assert reaper.reap() == 1
    assert outcome(run) == ("error", "failed_to_start_executor")


@pytest.mark.parametrize(("silence", "reaped"), [(5, 0), (90, 1)])
def test_a_launch_lives_as_long_as_its_worker(silence, reaped):
    run = start_run(factories.make_job())
    queue_job(status="doing", worker_id=silent_worker(silence))
    assert reaper.reap() == reaped
    assert outcome(run)[0] == ("error" if reaped else "new")


def test_a_launch_whose_worker_was_forgotten_is_lost():
    run = start_run(factories.make_job())
    queue_job(status="doing")
    assert reaper.reap() == 1
    assert outcome(run) == ("error", "failed_to_start_executor")


def test_runs_that_have_ended_are_not_touched():
    for status in ("success", "error"):
        factories.make_run(status=status, started_at=ago(days=9), launched_at=ago(days=9))
    assert reaper.reap() == 0
