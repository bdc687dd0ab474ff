import pytest
from django.utils import timezone

from earthbeam.jobs.lifecycle import start_run
from earthbeam.jobs.status import JobStatus, has_status, label_of, status_of
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
        JobStatus.COMPLETE_UNMATCHED: Run.Status.SUCCESS,
        JobStatus.PREVIEWED: Run.Status.SUCCESS,
        JobStatus.WITHDRAWN: Run.Status.SUCCESS,
        JobStatus.RESOLVED: Run.Status.ERROR,
    }.get(status)
    kinds = {JobStatus.PREVIEWED: Run.Kind.PREVIEW, JobStatus.WITHDRAWN: Run.Kind.WITHDRAW}
    kind = kinds.get(status, Run.Kind.LOAD)
    loaded = factories.make_run(job, Run.Status.SUCCESS) if kind == Run.Kind.WITHDRAW else None
    if run_status:
        errors = status == JobStatus.COMPLETE_WITH_ERRORS
        problems = errors or status == JobStatus.COMPLETE_UNMATCHED
        factories.make_run(
            *(job, run_status),
            has_errors=errors,
            has_problems=problems,
            kind=kind,
            continues=loaded,
        )
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
    ("refused", "unmatched", "status", "label"),
    [
        (0, 0, JobStatus.COMPLETE, "Complete"),
        (1, 0, JobStatus.COMPLETE_WITH_ERRORS, "Complete with errors"),
        (0, 1_700, JobStatus.COMPLETE_UNMATCHED, "Complete, 1,700 unmatched"),
        (0, None, JobStatus.COMPLETE_UNMATCHED, "Complete, some unmatched"),
        (1, 1, JobStatus.COMPLETE_WITH_ERRORS, "Complete with errors"),
    ],
)
def test_errors_are_what_the_ods_refused_and_unmatched_rows_are_counted(
    refused, unmatched, status, label
):
    run = factories.make_run(status=Run.Status.RUNNING)
    counts = {"records_processed": 9, "records_skipped": 0, "records_failed": refused}
    reports.record_summary(run, {"studentAssessments": counts})
    if unmatched != 0:
        reports.record_unmatched_ids(run, "student_id", "State", unmatched)
    states.finish(run.pk, success=True)
    job = Job.objects.select_related("last_run").get()
    assert (status_of(job), label_of(job)) == (status, label)


def test_a_run_that_is_no_load_says_what_it_does():
    loaded = factories.make_loaded_run()
    run = factories.make_run(
        loaded.job, Run.Status.RUNNING, kind=Run.Kind.WITHDRAW, continues=loaded
    )
    job = Job.objects.select_related("last_run").get(pk=run.job_id)
    assert label_of(job) == "Withdrawing"
    assert status_of(job) == JobStatus.RUNNING
