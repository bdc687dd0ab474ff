"""The tasks in procrastinate's own worker, inside this process."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from earthbeam import launchers
from earthbeam.files import open_store
from earthbeam.jobs.confirmed_students import Confirmed, remember
from earthbeam.jobs.lifecycle import start_run
from earthbeam.models import IdempotencyKey, RequestCount, Run
from earthbeam.paths import app_data_base_path
from earthbeam.runs import reaper
from earthbeam.tasks import delete_job_files, forget_requests, purge_queue, reap_runs
from partners.models import Partner
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


def test_the_executor_has_its_confirmed_students_when_it_starts(run, monkeypatch):
    Partner.objects.update(identity_checks="hold")
    remember(run.job.tenant, [Confirmed("StudentID", "77", "604822")], by="ana")
    choose(monkeypatch, "ReadsConfirmed")
    work()
    run.refresh_from_db()
    assert run.launch_reference == "1 lines of 1"


def test_after_the_last_try_the_run_has_failed_to_start(run, monkeypatch):
    choose(monkeypatch, "NoProgram")
    due_again(attempts=3)
    work()
    run.refresh_from_db()
    assert run.status == "error"
    error = run.errors.get()
    assert error.code == "failed_to_start_executor"
    assert "could not start a process" in error.payload["message"]


@pytest.fixture
def run_without_edu(settings):
    """A run that has no other roster than EDU's, whose credentials cannot be looked up."""
    settings.RUNWAY_ENV, settings.ENVLABEL = "production", None
    factories.make_partner(cross_year_match_enabled=True)
    return start_run(factories.make_job(send_to_ods=False))


def test_a_launch_that_needs_edu_waits_for_it(run_without_edu, monkeypatch):
    choose(monkeypatch, "Broken")  # an attempt to launch would end the run
    before = timezone.now()
    work()
    run_without_edu.refresh_from_db()
    assert (run_without_edu.status, run_without_edu.edu_unavailable) == (
        "new",
        "edu_not_configured",
    )
    (queued,) = ProcrastinateJob.objects.filter(task_name="launch_run", status="todo")
    assert queued.scheduled_at is not None
    assert before < queued.scheduled_at <= timezone.now() + timedelta(minutes=1)
    assert reaper.reap() == 0  # its launch is not lost


def test_a_launch_goes_on_when_edu_is_available_again(run_without_edu, monkeypatch):
    choose(monkeypatch, "NoProgram")
    work()
    Partner.objects.update(cross_year_match_enabled=False)
    due_again(attempts=0)
    work()
    run_without_edu.refresh_from_db()
    assert run_without_edu.waiting_for_edu_since is None
    queued = ProcrastinateJob.objects.get(task_name="launch_run", status="todo")
    assert queued.attempts == 1  # the launcher's, with all of its retries


def test_after_a_quarter_of_an_hour_without_edu_the_run_fails_and_says_why(run_without_edu):
    work()
    Run.objects.update(waiting_for_edu_since=timezone.now() - timedelta(minutes=15))
    due_again(attempts=0)
    work()
    run_without_edu.refresh_from_db()
    error = run_without_edu.errors.get()
    assert (run_without_edu.status, error.code) == ("error", "failed_to_start_executor")
    assert "EDU stayed unavailable for 15 minutes" in error.payload["message"]
    assert "ENVLABEL is not set" in error.payload["message"]
    assert not ProcrastinateJob.objects.filter(task_name="launch_run", status="todo").exists()


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


def test_the_files_of_a_deleted_job_go_although_the_worker_that_deleted_them_died(tmp_path):
    job = factories.make_job(files_base=f"file://{tmp_path}")
    factories.store_file(job, "input/INPUT_FILE__scores.csv", b"604822\n")
    location = app_data_base_path(job)
    delete_job_files.defer(job_id=str(job.pk), name=str(job), location=location)
    with connection.cursor() as cursor:
        cursor.execute("update procrastinate_jobs set status = 'doing'")
    purge_queue.defer(timestamp=0)
    work()
    assert open_store(location).list() == {}


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
