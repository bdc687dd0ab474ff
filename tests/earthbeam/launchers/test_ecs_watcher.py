"""What becomes of runs whose task has ended, and of tasks whose run has."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob
from rest_framework.test import APIClient

from earthbeam.launchers import ecs_watcher
from earthbeam.models import OutputSet, Run, RunLog
from earthbeam.runs import reports, states, tokens
from tests import factories
from tests.at_once import overtaken
from tests.aws import Answering
from tests.earthbeam.queue import queue  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("queue")]

OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
EXITED = "Essential container in task exited"


@pytest.fixture
def run(launcher):
    """A run whose executor has been launched, and has begun."""
    run = factories.make_run()
    return begun(launcher, run)


def begun(launcher, run):
    launcher.launch(run, lambda: False)
    states.begin(run.pk)
    run.refresh_from_db()
    return run


def outcome(run):
    """Its status and, when it has ended in one, its error's code and message."""
    run.refresh_from_db()
    error = run.errors.first()
    return (run.status, error.code, error.payload["message"]) if error else (run.status,)


def queued():
    return ProcrastinateJob.objects.filter(task_name="launch_run", status="todo").count()


def test_a_run_whose_task_runs_is_left_alone(launcher, run):
    launcher.watch()
    assert outcome(run) == ("running",)


@pytest.mark.parametrize(
    ("reason", "container", "told"),
    [
        (EXITED, {"exitCode": 1}, f"{EXITED}, exit status 1."),
        (EXITED, {"exitCode": 21}, "its host name was not found. Check the app's address"),
        ("Host EC2 terminated.", {}, "Host EC2 terminated"),
        (EXITED, {"reason": "disk is full."}, f"{EXITED}, disk is full"),
    ],
)
def test_a_task_that_stopped_ends_its_run_with_the_reason(
    launcher, ecs, run, reason, container, told
):
    ecs.stop(ecs.tasks()[0], reason, **container)
    launcher.watch()
    status, code, message = outcome(run)
    assert (status, code) == ("error", "unknown")
    assert told in message


def test_a_task_that_could_not_start_ends_its_run_as_such(launcher, ecs):
    run = factories.make_run()
    launcher.launch(run, lambda: False)
    ecs.stop(ecs.tasks()[0], "CannotPullContainerError: not found", code="TaskFailedToStart")
    launcher.watch()
    status, code, message = outcome(run)
    assert (status, code) == ("error", "failed_to_start_executor")
    assert "CannotPullContainerError: not found" in message


def test_an_outcome_that_the_executor_reported_stands(launcher, ecs, run):
    states.finish(run.pk, success=True)
    ecs.stop(ecs.tasks()[0], EXITED, exitCode=0)
    launcher.watch()
    assert outcome(run) == ("success",)


@pytest.mark.parametrize(
    ("reason", "container"),
    [
        (f"{OUT_OF_MEMORY}", {}),
        (EXITED, {"reason": OUT_OF_MEMORY, "exitCode": 137}),
        (EXITED, {"exitCode": 137}),
    ],
)
def test_a_run_that_died_of_memory_starts_over_once_on_the_next_size(
    launcher, ecs, run, reason, container
):
    first = ecs.tasks()[0]
    ecs.stop(first, reason, **container)
    launcher.watch()
    run.refresh_from_db()
    assert (run.status, run.executor_size) == ("new", "large")
    assert (run.launched_at, run.started_at, run.launch_reference) == (None, None, "")
    assert "medium) ran out of memory" in RunLog.objects.get(run=run).text
    assert queued() == 1

    begun(launcher, run)
    second = ecs.tasks()[1]
    assert run.launch_reference == second.task_arn
    assert second.task_definition_arn.split("/")[-1].startswith(f"{ecs.label}-Large")
    token = ecs.environment(second)["INIT_TOKEN"]
    assert tokens.read(token, "init") == (run.pk, "large")
    ecs.stop(second, reason, **container)
    launcher.watch()
    status, code, message = outcome(run)
    assert (status, code) == ("error", "unknown")
    assert "ran out of memory" in message
    assert "smaller" in message
    assert queued() == 1


@pytest.fixture
def report(run):
    """Posts to the API as the run's executor."""

    def post(name, body):
        answer = APIClient().post(
            f"/api/earthbeam/jobs/{run.pk}/{name}",
            body,
            format="json",
            headers={"Authorization": f"Bearer {tokens.access_token(run)}"},
        )
        assert answer.status_code == 201

    return post


def as_executor(token):
    return APIClient(headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("status", {"action": "done", "status": "failure"}),
        ("status", {"action": "done", "status": "success"}),
        ("error", {"code": "unknown", "payload": {"stacktrace": ""}}),
        ("unmatched-ids", {"name": "StudentID", "type": "State"}),
    ],
)
def test_late_words_of_the_first_executor_are_taken_and_change_nothing_in_the_second_try(
    launcher, run, name, body
):
    url = f"/api/earthbeam/jobs/{run.pk}"
    first = as_executor(tokens.access_token(run))
    assert states.start_over(run, executor_size="large")
    assert first.post(f"{url}/{name}", body, format="json").status_code == 201
    run.refresh_from_db()
    begun(launcher, run)
    assert first.post(f"{url}/{name}", body, format="json").status_code == 201
    assert outcome(run) == ("running",)
    assert not run.updates.exists()
    assert not hasattr(run, "unmatched_ids")
    assert first.get(url).status_code == 401
    assert first.get(f"{url}/roster").status_code == 401

    second = as_executor(tokens.access_token(run))
    assert second.get(url).status_code == 200
    done = {"action": "done", "status": "success"}
    assert second.post(f"{url}/status", done, format="json").status_code == 201
    assert outcome(run) == ("success",)


def test_the_first_executors_init_token_does_not_begin_the_second_try(launcher):
    run = factories.make_run()
    launcher.launch(run, lambda: False)
    run.refresh_from_db()
    first = as_executor(tokens.init_token(run))
    assert states.start_over(run, executor_size="large")
    assert first.get(f"/api/earthbeam/auth/{run.pk}/init").status_code == 401
    assert outcome(run) == ("new",)


def test_an_executor_may_begin_before_its_launcher_has_noted_the_task(launcher, ecs):
    run = factories.make_run()
    launcher.launch(run, lambda: False)
    (task,) = ecs.tasks()
    token = ecs.environment(task)["INIT_TOKEN"]
    assert tokens.read(token, "init").executor_size == "medium"


@pytest.mark.parametrize(
    ("size", "payload", "again"),
    [
        ("medium", {"stacktrace": "", "out_of_memory": True}, True),
        ("large", {"stacktrace": "", "out_of_memory": True}, False),
        ("", {"stacktrace": "", "out_of_memory": True}, False),
        ("medium", {"stacktrace": ""}, False),
    ],
)
def test_a_run_whose_executor_lost_a_child_to_memory_starts_over(
    launcher, run, report, size, payload, again
):
    Run.objects.update(executor_size=size)
    run.refresh_from_db()
    report("status", {"action": "earthmover_run", "status": "failure"})
    report("error", {"code": "unknown", "payload": payload})
    for _ in range(2):  # as when the first answer was lost
        report("status", {"action": "done", "status": "failure"})
    run.refresh_from_db()
    assert run.status == ("new" if again else "error")
    assert run.errors.exists() is not again
    assert queued() == (1 if again else 0)
    launcher.watch()
    assert queued() == (1 if again else 0)


def test_what_the_first_executor_reported_does_not_hinder_the_second(launcher, ecs, run):
    def report():
        factories.store_file(run.job, "output/ods/studentAssessments.jsonl")
        reports.record_update(run, "earthmover_run", "begin")
        reports.record_unmatched_ids(run, "StudentID", "State", 3)
        reports.add_output_set(run, path, sent_to_ods=True)

    path = f"{base_of(run)}/output/ods"
    report()
    ecs.stop(ecs.tasks()[0], OUT_OF_MEMORY)
    launcher.watch()
    assert not run.updates.exists()
    assert not OutputSet.objects.filter(run=run).exists()
    begun(launcher, run)
    report()
    assert run.output_sets.count() == 1


def base_of(run):
    from earthbeam import paths

    return paths.base_path(run.job)


def test_a_task_that_somebody_stopped_has_not_died_of_memory(launcher, ecs, run):
    ecs.stop(ecs.tasks()[0], "Task stopped by user", code="UserInitiated", exitCode=137)
    launcher.watch()
    assert outcome(run)[:2] == ("error", "unknown")
    assert "Task stopped by user" in outcome(run)[2]
    assert queued() == 0


def test_of_many_watchers_one_starts_a_run_over(launcher, ecs, run):
    ecs.stop(ecs.tasks()[0], OUT_OF_MEMORY)
    start = threading.Barrier(6)

    def watch():
        try:
            connection.ensure_connection()
            start.wait()
            launcher.watch()
        finally:
            connection.close()

    threads = [threading.Thread(target=watch) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.refresh_from_db()
    assert (run.status, run.executor_size) == ("new", "large")
    assert queued() == 1


def test_the_end_of_the_first_task_does_not_end_the_second_try(launcher, ecs, run):
    ecs.stop(ecs.tasks()[0], EXITED, exitCode=0)
    overtaken(launcher.watch, by=lambda: states.start_over(run, executor_size="large"))
    assert outcome(run) == ("new",)


def test_a_run_that_was_ended_meanwhile_does_not_start_over(run):
    stale = Run.objects.get(pk=run.pk)
    states.fail(run.pk, "unknown", {"message": "Cancelled by ops."})
    assert states.start_over(stale, executor_size="large") is False
    assert outcome(run)[2] == "Cancelled by ops."


def test_a_run_that_has_started_over_does_not_do_so_again(launcher, run):
    stale = Run.objects.get(pk=run.pk)
    Run.objects.filter(pk=run.pk).update(progress={"cross_year_at": "of the first executor"})
    assert states.start_over(stale, executor_size="large") is True
    assert Run.objects.get(pk=run.pk).progress is None
    begun(launcher, run)
    assert states.start_over(stale, executor_size="large") is False
    assert outcome(run) == ("running",)


@pytest.mark.parametrize("status", ["new", "running"])
def test_the_task_of_a_run_that_was_ended_is_stopped(launcher, ecs, status):
    run = factories.make_run()
    launcher.launch(run, lambda: False)
    if status == "running":
        states.begin(run.pk)
    states.fail(run.pk, "unknown", {"message": "Cancelled by ops."})
    launcher.watch()
    (task,) = ecs.tasks()
    assert task.desired_status == "STOPPED"
    assert task.stopped_reason == "The run has ended."
    launcher.watch()
    assert outcome(run) == ("error", "unknown", "Cancelled by ops.")


def test_a_task_that_ecs_has_forgotten_ends_its_run_but_not_at_once(launcher, ecs, run):
    unknown = f"arn:aws:ecs:us-east-1:123456789012:task/{ecs.label}/0"
    Run.objects.update(launch_reference=unknown)
    for task in ecs.tasks():
        ecs.stop(task, EXITED)
    launcher.watch()
    assert outcome(run) == ("running",)
    Run.objects.update(launched_at=timezone.now() - timedelta(minutes=6))
    launcher.watch()
    assert "does not know the task" in outcome(run)[2]


def test_a_run_that_another_of_its_tasks_carries_out_goes_on(launcher, ecs, run):
    # ECS took a first task, its answer was lost, and the launch was tried again.
    first = run.launch_reference
    launcher.launch(run, lambda: False)
    run.refresh_from_db()
    assert run.launch_reference != first
    turned_away = ecs.tasks()[1]
    ecs.stop(turned_away, EXITED, exitCode=1)
    launcher.watch()
    assert outcome(run) == ("running",)
    assert run.launch_reference == first
    ecs.stop(ecs.tasks()[0], EXITED, exitCode=1)
    launcher.watch()
    assert outcome(run)[:2] == ("error", "unknown")


def test_tasks_are_described_a_hundred_at_a_time(launcher, ecs, change_aws):
    job = factories.make_job()
    Run.objects.bulk_create(
        Run(
            job=job,
            status="error",
            timeout_seconds=1,
            ended_at=timezone.now(),
            launch_reference=f"arn:aws:ecs:us-east-1:123456789012:task/{ecs.label}/{number}",
        )
        for number in range(205)
    )
    with Answering({"tasks": [], "failures": []}) as server:
        change_aws(AWS_ENDPOINT_URL_ECS=server.url)
        launcher.watch()
    described = [request["tasks"] for name, request in server.calls if name == "DescribeTasks"]
    assert [len(batch) for batch in described] == [100, 100, 5]


def test_runs_of_other_launchers_and_of_long_ago_are_none_of_its_business(launcher, ecs, run):
    local = factories.make_run(
        factories.make_job(), status="running", launch_reference="process 7 on host"
    )
    states.fail(run.pk, "unknown")
    Run.objects.filter(pk=run.pk).update(ended_at=timezone.now() - ecs_watcher.STRAGGLERS)
    launcher.watch()
    assert ecs.tasks()[0].desired_status == "RUNNING"
    assert outcome(local) == ("running",)
