import threading

import pytest
from django.db import connection

from earthbeam.jobs.lifecycle import start_run
from earthbeam.jobs.resolution import resolve, unresolve
from earthbeam.jobs.status import JobStatus
from earthbeam.models import Job, Run
from tests import factories, people


@pytest.mark.django_db
def test_a_resolved_job_says_who_did_it_and_stands_as_before_when_it_is_taken_back():
    job, user = factories.make_job(), people.make_user()
    factories.make_run(job, Run.Status.ERROR)
    assert resolve([job.pk], by=user) == {job: JobStatus.ERROR}
    job.refresh_from_db()
    assert job.resolved_by == user
    assert resolve([job.pk], by=user) == {job: JobStatus.RESOLVED}
    assert unresolve([job.pk]) == {job: JobStatus.RESOLVED}
    job.refresh_from_db()
    assert (job.resolved_at, job.resolved_by) == (None, None)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_job_that_is_run_again_meanwhile_is_never_left_resolved_with_a_run_in_progress():
    user = people.make_superuser()
    for _ in range(10):
        job = factories.make_job()
        factories.make_run(job, Run.Status.ERROR)
        start = threading.Barrier(2)

        def at_once(do, start=start):
            start.wait()
            try:
                do()
            finally:
                connection.close()

        threads = [
            threading.Thread(target=at_once, args=[do])
            for do in (
                lambda job=job: start_run(job),
                lambda job=job: resolve([job.pk], by=user),
            )
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        job = Job.objects.select_related("last_run").get(pk=job.pk)
        assert job.last_run is not None
        assert job.last_run.status == Run.Status.NEW
        assert job.resolved_at is None


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_of_many_who_resolve_a_job_at_once_one_does():
    job = factories.make_job()
    factories.make_run(job, Run.Status.ERROR)
    won = []

    def once(user):
        won.append(resolve([job.pk], by=user)[job] == JobStatus.ERROR)
        connection.close()

    users = [people.make_user(f"user{number}") for number in range(6)]
    threads = [threading.Thread(target=once, args=[user]) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 5 + [True]
