"""Local executors whose worker was killed, with real processes and folders."""

import os
import subprocess
import tempfile

import pytest
from django.utils import timezone

from earthbeam.jobs.lifecycle import start_run
from earthbeam.launchers import orphans
from earthbeam.launchers.local import LocalLauncher
from earthbeam.models import Run
from earthbeam.runs import states
from tests import factories
from tests.earthbeam.queue import queue  # noqa: F401
from tests.earthbeam.runs.test_reaper import queue_job, silent_worker

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("queue")]


@pytest.fixture
def executor():
    with subprocess.Popen(("sleep", "60"), start_new_session=True) as process:
        yield process
        process.kill()


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / "runway-run-abc"
    (folder / "input").mkdir(parents=True)
    (folder / "input" / "scores.csv").write_text("604822")
    return folder


@pytest.fixture
def run(executor, scratch):
    """A run that a worker, which has been silent for long, has launched."""
    run = start_run(factories.make_job())
    assert states.begin(run.pk)
    Run.objects.update(
        launched_at=timezone.now(), launch_reference=orphans.reference(executor.pid, str(scratch))
    )
    queue_job(status="doing", worker_id=silent_worker(90))
    return run


def end(process):
    process.kill()
    process.wait()


def status(run):
    run.refresh_from_db()
    return run.status


def test_a_run_whose_executor_and_worker_are_gone_is_ended_and_its_files_are_removed(
    run, executor, scratch
):
    end(executor)
    LocalLauncher().watch()
    assert status(run) == "error"
    error = run.errors.get()
    assert error.code == "unknown"
    assert "Run the job again" in error.payload["message"]
    assert not scratch.exists()


def test_a_run_whose_executor_went_with_its_worker_before_it_reported_has_failed_to_start(
    run, executor, scratch
):
    Run.objects.update(status=Run.Status.NEW, started_at=None)
    LocalLauncher().watch()
    assert status(run) == "new"
    end(executor)
    LocalLauncher().watch()
    assert run.errors.get().code == "failed_to_start_executor"
    assert status(run) == "error"
    assert not scratch.exists()


def test_a_worker_that_is_killed_before_it_starts_a_process_leaves_nothing(run, scratch):
    Run.objects.update(
        status=Run.Status.NEW,
        started_at=None,
        launched_at=None,
        launch_reference=orphans.reference(None, str(scratch)),
    )
    LocalLauncher().watch()
    assert run.errors.get().code == "failed_to_start_executor"
    assert not scratch.exists()


def test_an_empty_folder_that_no_run_knows_of_goes_after_a_minute(run, scratch):
    empty = scratch.with_name("runway-run-empty")
    empty.mkdir()
    LocalLauncher().watch()
    assert empty.exists()
    os.utime(empty, (0, 0))
    os.utime(scratch, (0, 0))
    Run.objects.update(launch_reference="")
    LocalLauncher().watch()
    assert scratch.exists() and not empty.exists()


def test_an_executor_that_has_lost_its_worker_may_finish(run, executor, scratch):
    LocalLauncher().watch()
    assert status(run) == "running"
    assert scratch.exists()

    states.finish(run.pk, success=True)
    LocalLauncher().watch()
    assert scratch.exists()  # it is about to exit
    end(executor)
    LocalLauncher().watch()
    assert status(run) == "success"
    assert not scratch.exists()


def test_an_executor_that_nobody_has_waited_for_yet_counts_as_gone(run, executor):
    executor.kill()
    os.waitid(os.P_PID, executor.pid, os.WEXITED | os.WNOWAIT)
    LocalLauncher().watch()
    assert status(run) == "error"


def test_a_run_whose_worker_lives_is_left_to_it(run, executor, scratch):
    queue_job(worker_id=silent_worker(5))
    end(executor)
    LocalLauncher().watch()
    assert status(run) == "running"
    assert scratch.exists()


def test_a_run_of_another_machine_is_left_alone(run, executor, scratch):
    other = f"process {executor.pid} on elsewhere in {scratch}"
    Run.objects.update(launch_reference=other)
    end(executor)
    LocalLauncher().watch()
    assert status(run) == "running"
    assert scratch.exists()


def test_folders_of_others_are_left_alone(scratch):
    LocalLauncher().watch()
    assert scratch.exists()


def test_a_launch_says_where_its_files_lie(scratch):
    run = factories.make_run()
    LocalLauncher(("/bin/true",)).launch(run, lambda: False)
    run.refresh_from_db()
    parts = run.launch_reference.split()
    assert parts[0] == "process"
    assert parts[-1].startswith(f"{scratch.parent}/runway-run-")
