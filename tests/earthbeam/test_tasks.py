"""The tasks in procrastinate's own worker, inside this process."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from earthbeam import launchers
from earthbeam.jobs.lifecycle import start_run
from earthbeam.models import IdempotencyKey, RequestCount, Run
from earthbeam.tasks import forget_requests, purge_queue, reap_runs
from tests import factories
from tests.earthbeam.queue import queue  # noqa: F401

pytestmark = pytest.mark.usefixtures("queue", "threads_keep_no_connection")

FAKES = "tests.earthbeam.launchers.fakes"


@pytest.fixture
def threads_keep_no_connection(monkeypatch):
    """The worker's threads outlive a test, and their connections would outlive its database."""
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)


@pytest.fixture
def run():
    return start_run(factories.make_job())


def work():
    """Do what is in the queue and due."""
    with app.replace_connector(app.connector.get_worker_connector()):
        app.run_worker(wait=False, listen_notify=False, install_signal_handlers=False)


def choose(monkeypatch, fake):
    monkeypatch.setitem(launchers.LAUNCHERS, "local", f"{FAKES}.{fake}")


def due_again(attempts):
    with connection.cursor() as cursor:
        cursor.execute(
            "update procrastinate_jobs set scheduled_at = now(), attempts = %s", [attempts]
        )


def test_a_launch_that_fails_is_tried_again_later(run, monkeypatch):
    choose(monkeypatch, "NoProgram")
    before = timezone.now()
    work()
    run.refresh_from_db()
    assert run.status == "new"
    queued = ProcrastinateJob.objects.get(task_name="launch_run")
    assert (queued.status, queued.attempts) == ("todo", 1)
    assert queued.scheduled_at is not None
    assert queued.scheduled_at >= before + timedelta(seconds=5)


def test_after_the_last_try_the_run_has_failed_to_start(run, monkeypatch):
    choose(monkeypatch, "NoProgram")
    due_again(attempts=3)
    work()
    run.refresh_from_db()
    assert run.status == "error"
    error = run.errors.get()
    assert error.code == "failed_to_start_executor"
    assert "could not start a process" in error.payload["message"]


@pytest.mark.parametrize("fake", ["Broken", None])
def test_a_fault_of_the_launcher_ends_the_run_at_once(run, monkeypatch, settings, fake):
    if fake:
        choose(monkeypatch, fake)
    else:
        settings.EXECUTOR_LAUNCHER = "rocket"
    work()
    run.refresh_from_db()
    error = run.errors.get()
    assert (run.status, error.code) == ("error", "failed_to_start_executor")
    assert ("ZeroDivisionError" if fake else "EXECUTOR_LAUNCHER") in error.payload["message"]
    assert ProcrastinateJob.objects.get(task_name="launch_run").status == "failed"


def test_a_run_that_is_no_longer_new_is_not_launched(run, monkeypatch):
    choose(monkeypatch, "Broken")
    Run.objects.update(status="error")
    work()
    assert ProcrastinateJob.objects.get(task_name="launch_run").status == "succeeded"


def test_the_queue_reaps_and_forgets_what_ended_long_ago(run, monkeypatch):
    choose(monkeypatch, "NoProgram")
    with connection.cursor() as cursor:
        cursor.execute("update procrastinate_jobs set status = 'doing'")  # its worker is gone
    reap_runs.defer(timestamp=0)
    work()
    run.refresh_from_db()
    assert run.status == "error"

    purge_queue.defer(timestamp=0)
    work()
    assert ProcrastinateJob.objects.get(task_name="launch_run").status == "failed"
    with connection.cursor() as cursor:
        cursor.execute("update procrastinate_events set at = %s", [timezone.now() - timedelta(4)])
    purge_queue.defer(timestamp=1)
    work()
    assert not ProcrastinateJob.objects.filter(task_name="launch_run").exists()
    assert Run.objects.filter(pk=run.pk).exists()


@pytest.mark.django_db
def test_requests_are_forgotten_when_nobody_counts_on_them_any_more():
    job, now = factories.make_job(), timezone.now()
    for name, age in (("old", timedelta(hours=25)), ("new", timedelta(hours=23))):
        IdempotencyKey.objects.create(client="a", key=name, fingerprint="", job=job)
        IdempotencyKey.objects.filter(key=name).update(created_at=now - age)
    minute = int(now.timestamp()) // 60
    for ago in (0, 1, 5):
        RequestCount.objects.create(client="a", minute=minute - ago, count=7)
    forget_requests(timestamp=0)
    assert IdempotencyKey.objects.get().key == "new"
    assert set(RequestCount.objects.values_list("minute", flat=True)) <= {minute, minute - 1}
    assert RequestCount.objects.filter(minute=minute).exists()
