"""The worker as its own process, on the test's database."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from procrastinate.contrib.django.models import ProcrastinateJob

from earthbeam.jobs.lifecycle import start_run
from earthbeam.models import Run, RunLog
from earthbeam.runs import states
from earthbeam.tasks import purge_queue
from tests import factories
from tests.earthbeam.queue import queue  # noqa: F401


def wait_until(condition, seconds=200):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def pid_of(run):
    run.refresh_from_db()
    return int(run.launch_reference.split()[1])


def is_alive(pid):
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.fixture
def worker(tmp_path):
    """Starts workers; none outlives the test."""
    database = settings.DATABASES["default"]
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "runway.settings",
        "DATABASE_URL": f"postgres://{database['USER']}@/{database['NAME']}"
        f"?host={quote(database['OPTIONS']['host'])}&port={database['OPTIONS']['port']}",
        "PYTHONPATH": str(settings.BASE_DIR),
    }
    started = []

    def start(concurrency):
        log = (tmp_path / "worker.log").open("w")
        argv = (sys.executable, "-m", "tests.earthbeam.run_worker", str(concurrency))
        process = subprocess.Popen(argv, env=environment, stdout=log, stderr=log)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.usefixtures("queue")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_bounds_launches_keeps_house_beside_them_and_stops_with_its_children(
    worker, number
):
    first, second, third = (start_run(factories.make_job()) for _ in range(3))
    process = worker(2)
    wait_until(lambda: Run.objects.filter(launched_at__isnull=False).count() == 2)
    wait_until(lambda: RunLog.objects.filter(text__contains="working").count() == 2)
    states.begin(first.pk)
    third.refresh_from_db()
    assert third.launched_at is None
    children = [pid_of(first), pid_of(second)]
    assert all(is_alive(pid) for pid in children)
    purge_queue.defer(timestamp=0)
    wait_until(lambda: ProcrastinateJob.objects.filter(task_name="purge_queue", status="succeeded"))

    process.send_signal(number)
    assert process.wait(timeout=120) == 0
    assert not any(is_alive(pid) for pid in children)
    first.refresh_from_db()
    assert first.status == "error"
    assert "worker was stopped" in first.errors.get().payload["message"]
    assert first.log.text.endswith("told to end\n")
    # The two that had not begun wait for the next worker.
    assert set(Run.objects.filter(status="new", launched_at=None)) == {second, third}
    assert ProcrastinateJob.objects.filter(task_name="launch_run", status="todo").count() == 2


def test_a_worker_wants_to_run_something():
    with pytest.raises(CommandError, match="at least 1"):
        call_command("worker", concurrency=0)
