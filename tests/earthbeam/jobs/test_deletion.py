import io
import os
import signal
import subprocess
import sys
from datetime import timedelta
from functools import partial

import pytest
from auditlog.models import LogEntry
from django.contrib.sessions.models import Session
from django.urls import reverse
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from earthbeam import errors, tasks
from earthbeam.files import open_store
from earthbeam.jobs import deletion
from earthbeam.jobs.lifecycle import start_run
from earthbeam.models import Job, Run, Submission
from earthbeam.paths import app_data_base_path
from earthbeam.tasks import delete_job_files
from tests import factories, people
from tests.at_once import at_once
from tests.e2e.stack import database_url

CHANGELIST = reverse("admin:earthbeam_job_changelist")


def make_job_with_files():
    job = factories.make_job()
    store = open_store(app_data_base_path(job))
    for key in ("input/INPUT_FILE__scores.csv", "output/lb-send-results.json"):
        store.save(io.BytesIO(b"x"), key)
    return job, store


def events():
    return list(
        LogEntry.objects.filter(action=LogEntry.Action.ACCESS)
        .order_by("pk")
        .values_list("additional_data__event", "object_pk")
    )


def delete_page(job):
    return reverse("admin:earthbeam_job_delete", args=[job.pk])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("where", ["page", "list"])
def test_a_deleted_jobs_files_go_with_it_and_the_trail_tells_who(where):
    job, store = make_job_with_files()
    factories.make_run(job, Run.Status.SUCCESS)
    client = people.logged_in(people.make_superuser())
    LogEntry.objects.all().delete()
    if where == "page":
        client.post(delete_page(job), {"post": "yes"})
    else:
        data = {"action": "delete_selected", "_selected_action": [str(job.pk)], "post": "yes"}
        client.post(CHANGELIST, data)
    assert not Job.objects.exists()
    for queued in ProcrastinateJob.objects.filter(task_name=deletion.TASK):
        delete_job_files(**queued.args)
    assert store.list() == {}
    assert events() == [
        ("job deleted", str(job.pk)),
        ("files of a deleted job deleted", str(job.pk)),
    ]
    entry = LogEntry.objects.get(additional_data__event="job deleted")
    assert entry.additional_data["actor"] == "root"
    last = LogEntry.objects.latest("pk")
    assert last.additional_data["files"] == 2
    assert "scores" not in str(last.additional_data) + last.object_repr


@pytest.mark.django_db
def test_a_job_whose_run_is_in_progress_stays():
    job, store = make_job_with_files()
    factories.make_run(job, Run.Status.RUNNING)
    client = people.logged_in(people.make_superuser())
    assert "its run is in progress" in client.get(delete_page(job)).content.decode()
    client.post(delete_page(job), {"post": "yes"})
    assert Job.objects.get() == job
    assert len(store.list()) == 2
    with pytest.raises(deletion.CannotDelete):
        deletion.delete_jobs([job.pk])


@pytest.mark.django_db
def test_a_storage_that_is_away_is_asked_again_later(monkeypatch, settings):
    job, _ = make_job_with_files()
    location = app_data_base_path(job)

    def fails(self):
        raise OSError("no answer")

    monkeypatch.setattr("earthbeam.files.directory.DirectoryStore.clear", fails)
    with pytest.raises(OSError, match="no answer"):
        delete_job_files(job_id=str(job.pk), name=str(job), location=location)
    retry = delete_job_files.retry_strategy
    assert retry is not None
    assert OSError in retry.retry_exceptions


@pytest.mark.django_db(transaction=True)
def test_a_job_is_either_started_or_deleted():
    for _ in range(10):
        job = factories.make_job()
        job.files.update(size=1)
        started, deleted = at_once(
            [partial(start_run, job), partial(deletion.delete_jobs, [job.pk])]
        )
        if isinstance(started, Run):
            assert isinstance(deleted, deletion.CannotDelete)
            Run.objects.all().delete()
            Job.objects.filter(pk=job.pk).delete()
        else:
            assert isinstance(started, errors.JobGone), started
            assert deleted == 1
        assert not Job.objects.filter(pk=job.pk).exists()


KILLED = """
import io, os, signal, sys
import django
django.setup()
from earthbeam.files import DirectoryStore
from earthbeam.jobs.lifecycle import submit
from earthbeam.jobs.rules import JobRequest
from earthbeam.models import Bundle
from partners.models import SchoolYear, Tenant

save = DirectoryStore.save
def killed(self, stream, key):
    save(self, stream, key)
    os.kill(os.getpid(), signal.SIGKILL)
DirectoryStore.save = killed
submit(
    JobRequest(
        tenant=Tenant.objects.get(), school_year=SchoolYear.objects.get(),
        bundle=Bundle.objects.get(), files={"INPUT_FILE": "a.csv"}, params={"API_YEAR": "2026"},
    ),
    {"INPUT_FILE": io.BytesIO(b"a\\n1\\n")},
)
"""


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_files_of_a_submission_that_was_killed_are_removed_after_a_day(settings):
    made = factories.make_job()
    kept = open_store(app_data_base_path(made)).list()
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "runway.settings",
        "RUNWAY_ENV": "development",
        "DATABASE_URL": database_url(),
        "FILES_BASE": settings.FILES_BASE,
    }
    done = subprocess.run(
        (sys.executable, "-c", KILLED),
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = Submission.objects.get()
    assert len(open_store(left.location).list()) == 1

    tasks.tidy_up(timestamp=0)  # it may be at work yet
    assert len(open_store(left.location).list()) == 1
    Submission.objects.update(at=timezone.now() - timedelta(days=1, seconds=1))
    tasks.tidy_up(timestamp=0)
    assert not Submission.objects.exists()
    assert open_store(left.location).list() == {}
    assert open_store(app_data_base_path(made)).list() == kept


@pytest.mark.django_db
def test_sessions_that_have_ended_are_forgotten():
    people.logged_in(people.make_user())
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    people.logged_in(people.make_partner_admin())
    tasks.tidy_up(timestamp=0)
    assert Session.objects.count() == 1
