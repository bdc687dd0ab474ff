"""Killing Runway's own processes in the middle of a run: it ends, and says what happened."""

import os
import signal
import tempfile
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from earthbeam.jobs.lifecycle import start_run
from earthbeam.launchers import orphans
from earthbeam.launchers.local import LocalLauncher
from earthbeam.models import Run, RunLog
from earthbeam.runs import reaper
from runway.sandbox.input_files import InputFile
from runway.sandbox.ods import SandboxOds
from tests.e2e import impatient
from tests.e2e.holds import (
    halted_roster,
    slow_roster,
    slow_to_take,
    without_output_sets,
    without_the_end_of,
)
from tests.e2e.jobs import (
    ALL_STEPS,
    executor_pid,
    nothing_was_sent,
    only_error,
    steps,
    submit,
    wait_for_end,
    wait_for_step,
    wait_until,
)

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def succeeded(run: Run, sample: InputFile, ods: SandboxOds) -> None:
    """Everything is there, and nothing twice."""
    expected = sample.expected
    assert run.status == "success", run.log.text
    assert not run.errors.exists()
    assert steps(run) == [*ALL_STEPS, "done success"]
    assert sorted(each.sent_to_ods for each in run.output_sets.all()) == [False, True]
    assert (run.matches.ods_matched, run.matches.cross_year_matched, run.matches.unmatched) == (
        *(expected.ods, expected.cross_year, expected.unmatched),
    )
    records = run.summary.get(resource="studentAssessments")
    assert records.records_processed == expected.ods + expected.cross_year
    assert records.records_failed == 0
    assert len(ods.received("studentAssessments")) == expected.ods


def test_an_executor_killed_at_any_kind_of_work_ends_its_run_and_the_job_can_be_run_again(
    stack, ods, interim
):
    job = submit(interim)
    sending_had_begun = False
    # The step, what holds the run in it, and the child that is at work then.
    for step, held, child in (
        ("earthmover_deps", without_the_end_of("earthmover_deps"), "earthmover_server"),
        ("get_student_roster", slow_roster(ods), "lightbeam"),
        ("earthmover_run", without_the_end_of("earthmover_run"), ""),
        ("lightbeam_send", slow_to_take(ods), "lightbeam"),
        ("upload_output", without_output_sets(), ""),
    ):
        # To the run's very end, as what the executor has just said may still be on its way.
        with held:
            run = start_run(job)
            wait_for_step(run, step)
            wait_until(f"{child} runs", partial(stack.is_running, child))
            os.killpg(executor_pid(run), signal.SIGKILL)
            wait_for_end(run)

        code, payload = only_error(run)
        assert code == "unknown"
        assert "SIGKILL" in payload["message"]
        assert steps(run)[-1] == f"{step} begin"
        assert stack.left_behind() == []
        if not sending_had_begun and "lightbeam_send begin" not in steps(run):
            assert nothing_was_sent(ods)
        sending_had_begun |= "lightbeam_send begin" in steps(run)

    succeeded(wait_for_end(start_run(job)), interim, ods)


def test_a_web_process_killed_and_restarted_in_the_middle_of_a_run_costs_it_nothing(
    stack, ods, interim
):
    with slow_to_take(ods):
        run = start_run(submit(interim))
        wait_for_step(run, "lightbeam_send")
        stack.kill("web")
    wait_until("a report that nobody takes", lambda: ": ConnectionError; again" in log_of(run))
    stack.start_web()
    succeeded(wait_for_end(run), interim, ods)
    assert stack.left_behind() == []


def test_a_web_process_killed_while_it_streams_a_roster_and_restarted_costs_the_run_nothing(
    stack, halting_edu, ods, interim
):
    stack.start_web(edu=stack.edu_at(halting_edu.port))
    with halted_roster(halting_edu) as asked:
        run = start_run(submit(interim))
        assert asked.wait(60)
        stack.kill("web")
    stack.start_web(edu=stack.edu_at(halting_edu.port))

    succeeded(wait_for_end(run), interim, ods)
    assert "EDU's roster: the roster stream broke off" in run.log.text
    assert stack.left_behind() == []


def test_a_web_process_that_does_not_come_back_ends_the_run(
    impatient_stack, halting_edu, ods, interim
):
    impatient_stack.start_web(impatient.WEB, edu=impatient_stack.edu_at(halting_edu.port))
    with halted_roster(halting_edu) as asked:
        run = start_run(submit(interim))
        assert asked.wait(60)
        impatient_stack.kill("web")
    wait_for_end(run)

    code, payload = only_error(run)
    assert code == "unknown"
    assert "could not reach Runway: the connection was refused" in payload["message"]
    assert "The outcome could not be reported" in run.log.text
    assert nothing_was_sent(ods)
    assert impatient_stack.left_behind() == []


def test_without_a_web_process_a_run_does_not_begin_and_says_so(impatient_stack, ods, interim):
    stack = impatient_stack
    stack.stop("web")
    run = wait_for_end(start_run(submit(interim)))

    code, payload = only_error(run)
    assert code == "failed_to_start_executor"
    assert "could not reach Runway: the connection was refused" in payload["message"]
    assert run.started_at is None
    assert "The run cannot begin" in run.log.text
    assert stack.left_behind() == []


def test_an_executor_whose_worker_was_killed_finishes_by_itself(stack, ods, interim):
    with without_the_end_of("earthmover_run"):
        run = start_run(submit(interim))
        wait_for_step(run, "earthmover_run")
        stack.kill("worker")
    wait_until("the run's end", lambda: status(run) != "running")
    wait_until("the executor's end", lambda: not stack.processes())
    succeeded(run, interim, ods)


def test_a_run_whose_worker_and_executor_were_killed_is_ended_and_the_job_can_be_run_again(
    stack, ods, interim, monkeypatch
):
    job = submit(interim)
    with without_the_end_of("earthmover_run"):
        run = start_run(job)
        wait_for_step(run, "earthmover_run")
        stack.kill("worker")
        os.killpg(executor_pid(run), signal.SIGKILL)
    assert (reaper.reap(), status(run)) == (0, "running")
    with connection.cursor() as cursor:
        cursor.execute(
            "update procrastinate_workers set last_heartbeat = %s",
            [timezone.now() - 2 * reaper.WORKER_SILENCE],
        )
    # As the next worker does each minute, on the same machine.
    monkeypatch.setattr(tempfile, "tempdir", str(stack.scratch))
    wait_until("the executor's end", lambda: not stack.processes())
    LocalLauncher().watch()
    assert status(run) == "error"
    assert only_error(run) == ("unknown", {"message": orphans.GONE})
    assert stack.left_behind() == []

    stack.start_worker()
    succeeded(wait_for_end(start_run(job)), interim, ods)
    assert stack.left_behind() == []


def test_the_late_success_of_an_executor_that_was_given_up_changes_nothing(stack, ods, interim):
    with slow_to_take(ods):
        run = start_run(submit(interim))
        wait_for_step(run, "lightbeam_send")
        stack.kill("worker")
        time_passes(run)
        assert reaper.reap() == 1
    wait_until("the executor's end", lambda: not stack.processes())

    assert "done success" in steps(run)
    assert status(run) == "error"
    assert only_error(run)[0] == "executor_timeout"


def time_passes(run: Run) -> None:
    """As long as a run may take, and a little more."""
    limit = timedelta(seconds=run.timeout_seconds) + reaper.OVERTIME
    Run.objects.filter(pk=run.pk).update(started_at=timezone.now() - limit - timedelta(seconds=1))


def status(run: Run) -> str:
    run.refresh_from_db()
    return run.status


def log_of(run: Run) -> str:
    return "".join(RunLog.objects.filter(run=run).values_list("text", flat=True))
