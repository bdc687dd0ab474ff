import io
from functools import partial

import pytest
from auditlog.models import LogEntry
from django.urls import reverse
from procrastinate.contrib.django.models import ProcrastinateJob

from earthbeam import errors
from earthbeam.files import open_store
from earthbeam.jobs import deletion
from earthbeam.jobs.lifecycle import start_run
from earthbeam.models import Job, Run
from earthbeam.paths import app_data_base_path
from earthbeam.tasks import delete_job_files
from tests import factories, people
from tests.at_once import at_once

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
    with pytest.raises(deletion.JobsInProgress):
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
            assert isinstance(deleted, deletion.JobsInProgress)
            Run.objects.all().delete()
            Job.objects.filter(pk=job.pk).delete()
        else:
            assert isinstance(started, errors.JobGone), started
            assert deleted == 1
        assert not Job.objects.filter(pk=job.pk).exists()
