"""Several jobs at once: they do not disturb each other, and wait for their turn."""

import os
import signal

import pytest

from earthbeam.errors import RunInProgress
from earthbeam.jobs.lifecycle import start_run
from runway.sandbox.ods import Faults
from tests.e2e.holds import without_the_end_of
from tests.e2e.jobs import executor_pid, life, submit, wait_for_end, wait_for_step, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_two_jobs_at_once_both_succeed(stack, ods, interim, summative):
    samples = (interim, summative)
    with without_the_end_of("refresh_bundle_code"):
        runs = [start_run(submit(sample)) for sample in samples]
        for run in runs:
            wait_for_step(run, "refresh_bundle_code")
    for run in runs:
        wait_for_end(run)

    assert [run.status for run in runs] == ["success", "success"]
    (_, _, *first), (_, _, *second) = map(life, runs)
    assert max(first[0], second[0]) < min(first[1], second[1])
    for run, sample in zip(runs, samples, strict=True):
        expected = sample.expected
        assert (run.matches.ods_matched, run.matches.cross_year_matched) == (
            *(expected.ods, expected.cross_year),
        )
    received = len(ods.received("studentAssessments"))
    assert received == sum(sample.expected.ods for sample in samples)
    assert stack.left_behind() == []


def test_a_busy_worker_lets_the_next_run_wait_and_a_job_has_one_run_at_a_time(
    stack, ods, interim, summative
):
    stack.start_worker("manage.py", "worker", "--concurrency", "1")
    ods.faults = Faults(delay_seconds=3)
    job = submit(interim)
    first, second = start_run(job), start_run(submit(summative))
    wait_for_step(first, "get_student_roster")

    with pytest.raises(RunInProgress):
        start_run(job)
    second.refresh_from_db()
    assert (second.status, second.launched_at) == ("new", None)

    os.killpg(executor_pid(first), signal.SIGKILL)
    wait_for_end(first)
    wait_until("the second begins", lambda: second.updates.exists())
    os.killpg(executor_pid(second), signal.SIGKILL)
    wait_for_end(second)
    assert life(first)[-1] < life(second)[1]
    assert stack.left_behind() == []
