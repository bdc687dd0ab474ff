import pytest
from django.utils import timezone

from earthbeam.jobs.lifecycle import start_run
from earthbeam.jobs.status import JobStatus, has_status, status_of
from earthbeam.models import Job, Run
from earthbeam.runs import reports, states
from tests import factories

pytestmark = pytest.mark.django_db


def make(status: JobStatus) -> Job:
    """A job that stands so."""
    job = factories.make_job()
    run_status = {
        JobStatus.QUEUED: Run.Status.NEW,
        JobStatus.RUNNING: Run.Status.RUNNING,
        JobStatus.ERROR: Run.Status.ERROR,
        JobStatus.COMPLETE: Run.Status.SUCCESS,
        JobStatus.COMPLETE_WITH_ERRORS: Run.Status.SUCCESS,
        JobStatus.RESOLVED: Run.Status.ERROR,
    }.get(status)
    if run_status:
        problems = status == JobStatus.COMPLETE_WITH_ERRORS
        factories.make_run(job, run_status, has_problems=problems)
    if status == JobStatus.RESOLVED:
        Job.objects.update(resolved_at=timezone.now())
    return Job.objects.select_related("last_run").get()


@pytest.mark.parametrize("status", JobStatus)
def test_a_job_has_one_status_and_is_found_by_it_alone(status):
    job = make(status)
    assert status_of(job) == status
    assert [other for other in JobStatus if Job.objects.filter(has_status(other)).exists()] == [
        status
    ]


def test_the_last_run_decides():
    job = make(JobStatus.RESOLVED)
    start_run(job)
    assert status_of(Job.objects.select_related("last_run").get()) == JobStatus.QUEUED


@pytest.mark.parametrize(
    ("refused", "unmatched", "status"),
    [
        (0, 0, JobStatus.COMPLETE),
        (1, 0, JobStatus.COMPLETE_WITH_ERRORS),
        (0, 1, JobStatus.COMPLETE_WITH_ERRORS),
    ],
)
def test_refused_records_and_unmatched_rows_are_errors_of_a_complete_job(
    refused, unmatched, status
):
    run = factories.make_run(status=Run.Status.RUNNING)
    counts = {"records_processed": 9, "records_skipped": 0, "records_failed": refused}
    reports.record_summary(run, {"studentAssessments": counts})
    if unmatched:
        reports.record_unmatched_ids(run, "student_id", "State", unmatched)
    states.finish(run.pk, success=True)
    assert status_of(Job.objects.select_related("last_run").get()) == status
