import itertools
import json
import logging
import threading
import uuid

import pytest
from django.db import connection, transaction

from earthbeam import paths
from earthbeam.models import OutputFile, Run, RunError
from earthbeam.runs import reports, states
from tests import factories

NEW, RUNNING, SUCCESS, ERROR = Run.Status


@pytest.fixture
def events(caplog):
    """The events told so far, as a function: those of transactions that have committed."""
    caplog.set_level(logging.INFO, "runway.events")

    def told():
        lines = [record.message for record in caplog.records if record.name == "runway.events"]
        return [json.loads(line.removeprefix("run_complete ")) for line in lines]

    return told


def race(action, times=8):
    """What ``times`` threads, each with a database connection of its own, return at once."""
    start, results = threading.Barrier(times), []

    def take_part():
        try:
            connection.ensure_connection()
            start.wait()
            results.append(action())
        finally:
            connection.close()

    threads = [threading.Thread(target=take_part) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.django_db(transaction=True)
def test_of_many_that_begin_a_run_at_once_exactly_one_does():
    run = factories.make_run()
    assert sorted(race(lambda: states.begin(run.pk))) == [False] * 7 + [True]
    run.refresh_from_db()
    assert run.status == RUNNING


@pytest.mark.django_db(transaction=True)
def test_of_many_that_end_a_run_at_once_one_does_and_the_world_hears_of_it_once(events):
    run = factories.make_run(status=RUNNING)
    factories.store_file(run.job, "output/em-results.json", b"{}")
    assert sorted(race(lambda: states.finish(run.pk, success=True))) == [False] * 7 + [True]
    assert [event["status"] for event in events()] == ["success"]
    assert run.output_files.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_executors_end_and_the_apps_own_at_once_leave_one_end(events):
    run = factories.make_run(status=RUNNING)
    ends = itertools.cycle(
        [
            lambda: states.finish(run.pk, success=True),
            lambda: states.fail(run.pk, "executor_timeout"),
        ]
    )

    assert sorted(race(lambda: next(ends)())) == [False] * 7 + [True]
    run.refresh_from_db()
    (event,) = events()
    assert event["status"] == run.status
    timed_out = RunError.objects.filter(run=run, code="executor_timeout").count()
    assert timed_out == (1 if run.status == ERROR else 0)


@pytest.mark.django_db
@pytest.mark.parametrize("status", [RUNNING, SUCCESS, ERROR])
def test_a_run_begins_only_once(status):
    run = factories.make_run(status=status)
    assert states.begin(run.pk) is False
    run.refresh_from_db()
    assert run.status == status


@pytest.mark.django_db
@pytest.mark.parametrize(("success", "status"), [(True, SUCCESS), (False, ERROR)])
def test_a_finished_run_has_its_end_and_its_output_files(
    success, status, events, django_capture_on_commit_callbacks
):
    run = factories.make_run(status=RUNNING)
    factories.store_file(run.job, "output/em-results.json", b"{}")
    factories.store_file(run.job, "output/non-ods/studentAssessments.jsonl", b"{}\n{}\n")
    with django_capture_on_commit_callbacks(execute=True):
        assert states.finish(run.pk, success) is True
    run.refresh_from_db()
    assert run.status == status
    assert run.ended_at is not None
    assert dict(run.output_files.values_list("path", "size")) == {
        "em-results.json": 2,
        "non-ods/studentAssessments.jsonl": 6,
    }
    assert [event["runId"] for event in events()] == [str(run.pk)]


@pytest.mark.django_db
def test_a_second_end_changes_nothing(events, django_capture_on_commit_callbacks):
    run = factories.make_run(status=RUNNING)
    with django_capture_on_commit_callbacks(execute=True):
        states.finish(run.pk, success=True)
        run.refresh_from_db()
        ended_at = run.ended_at
        factories.store_file(run.job, "output/late.json")
        assert states.finish(run.pk, success=False) is False
        assert states.fail(run.pk, "executor_timeout", {"timeout_seconds": 60}) is False
    run.refresh_from_db()
    assert (run.status, run.ended_at) == (SUCCESS, ended_at)
    assert not run.errors.exists()
    assert not run.output_files.exists()
    assert len(events()) == 1


@pytest.mark.django_db
def test_a_run_that_has_not_begun_cannot_finish():
    run = factories.make_run()
    assert states.finish(run.pk, success=True) is False
    run.refresh_from_db()
    assert (run.status, run.ended_at) == (NEW, None)


@pytest.mark.django_db
def test_a_run_goes_on_when_its_files_cannot_be_listed_and_ends_with_the_next_report(events):
    run = factories.make_run(status=RUNNING)
    good, run.job.files_base = run.job.files_base, "ftp://nowhere"
    run.job.save()
    with pytest.raises(ValueError, match="not supported"):
        states.finish(run.pk, success=True)
    run.refresh_from_db()
    assert run.status == RUNNING

    run.job.files_base = good
    run.job.save()
    assert states.finish(run.pk, success=True) is True


@pytest.mark.django_db
@pytest.mark.parametrize("status", [NEW, RUNNING])
def test_the_app_ends_a_run_with_a_reason(status, events, django_capture_on_commit_callbacks):
    run = factories.make_run(status=status)
    with django_capture_on_commit_callbacks(execute=True):
        assert states.fail(run.pk, "executor_timeout", {"timeout_seconds": 60}) is True
    run.refresh_from_db()
    assert run.status == ERROR
    assert run.ended_at is not None
    assert list(run.errors.values_list("code", "payload")) == [
        ("executor_timeout", {"timeout_seconds": 60})
    ]
    (event,) = events()
    assert (event["status"], event["errorCodes"]) == ("error", ["executor_timeout"])


@pytest.mark.django_db
def test_the_app_ends_a_run_even_when_its_files_cannot_be_listed():
    run = factories.make_run(factories.make_job(files={}, files_base="ftp://nowhere"))
    assert states.fail(run.pk, "unknown") is True
    run.refresh_from_db()
    assert run.status == ERROR


@pytest.mark.django_db
def test_a_launch_that_failed_ends_a_new_run():
    run = factories.make_run()
    assert states.fail_to_start(run.pk, {"message": "no executor image"}) is True
    run.refresh_from_db()
    assert run.status == ERROR
    assert run.started_at is None
    assert run.errors.get().code == "failed_to_start_executor"


@pytest.mark.django_db
def test_a_run_that_has_begun_did_start():
    run = factories.make_run(status=RUNNING)
    assert states.fail_to_start(run.pk) is False
    run.refresh_from_db()
    assert run.status == RUNNING
    assert not run.errors.exists()


@pytest.mark.django_db(transaction=True)
def test_an_end_that_is_rolled_back_is_told_to_nobody(events):
    run = factories.make_run(status=RUNNING)

    class Undo(Exception):
        pass

    with pytest.raises(Undo), transaction.atomic():
        states.finish(run.pk, success=True)
        raise Undo
    run.refresh_from_db()
    assert run.status == RUNNING
    assert not OutputFile.objects.filter(run=run).exists()
    assert events() == []


@pytest.mark.django_db
def test_ending_an_unknown_run_is_a_fault():
    with pytest.raises(Run.DoesNotExist):
        states.finish(uuid.uuid4(), success=True)


@pytest.mark.django_db
def test_a_set_supersedes_the_same_set_of_the_jobs_last_successful_run():
    job = factories.make_job()

    def run(status, *sent):
        run = factories.make_run(job, RUNNING)
        made = [factories.make_output_set(run, sent_to_ods=each) for each in sent]
        states.finish(run.pk, success=status == SUCCESS)
        for each in made:
            each.refresh_from_db()
        return made

    first_ods, first_edu = run(SUCCESS, True, False)
    assert (first_ods.supersedes, first_edu.supersedes) == (None, None)
    run(ERROR, True, False)
    [second_ods] = run(SUCCESS, True)
    assert second_ods.supersedes == first_ods
    third_ods, third_edu = run(SUCCESS, True, False)
    assert (third_ods.supersedes, third_edu.supersedes) == (second_ods, first_edu)
    other = factories.make_run(factories.make_job(), RUNNING)
    factories.make_output_set(other)
    states.finish(other.pk, success=True)
    assert other.output_sets.get().supersedes is None


@pytest.mark.django_db
def test_output_sets_are_published_when_their_run_succeeds():
    failed, succeeded = (factories.make_run(factories.make_job(), "running") for _ in range(2))
    for run in (failed, succeeded):
        factories.store_file(run.job, "output/ods/a.jsonl")
        reports.add_output_set(run, f"{paths.base_path(run.job)}/output/ods", sent_to_ods=True)
    states.finish(failed.pk, success=False)
    states.finish(succeeded.pk, success=True)
    assert failed.output_sets.get().published_at is None
    succeeded.refresh_from_db()
    assert succeeded.output_sets.get().published_at == succeeded.ended_at
