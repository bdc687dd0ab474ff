import io
import threading
import time

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from procrastinate.contrib.django.models import ProcrastinateJob

from earthbeam import paths
from earthbeam.files import open_store
from earthbeam.models import Job, Run
from earthbeam.runs import follow, reports, states
from tests import factories
from tests.earthbeam.queue import queue  # noqa: F401

pytestmark = pytest.mark.usefixtures("queue")


@pytest.fixture
def scores(tmp_path):
    path = tmp_path / "spring scores.csv"
    path.write_bytes(factories.SCORES)
    return path


@pytest.fixture(autouse=True)
def district(queue):  # noqa: F811
    """A tenant that may submit the bundle."""
    factories.make_config()
    factories.make_ods_connection()
    factories.make_bundle()


PLACE = ("ea", "grand_bend", "2526", "assessments/Reading_Check")


def submit(*arguments):
    out = io.StringIO()
    call_command("submit_job", *map(str, arguments), stdout=out)
    return out.getvalue()


@pytest.mark.parametrize("bundle", ["assessments/Reading_Check", "Reading_Check"])
def test_a_job_is_made_with_its_file_and_params_and_its_run_is_queued(scores, bundle):
    told = submit(*PLACE[:3], bundle, f"INPUT_FILE={scores}", "FORM=A")
    job = Job.objects.get()
    run = job.runs.get()
    assert told.split() == ["job", str(job.pk), "run", str(run.pk)]
    assert job.input_params == {"FORM": "A"}
    assert job.api_client.startswith("submit_job by ")
    assert job.files.get().name == "spring scores.csv"
    store = open_store(paths.app_data_base_path(job))
    assert store.open("input/INPUT_FILE__spring scores.csv").read() == factories.SCORES
    assert ProcrastinateJob.objects.get(task_name="launch_run").args == {"run_id": str(run.pk)}


@pytest.mark.parametrize(
    ("place", "values", "told"),
    [
        (("tx", *PLACE[1:]), ["INPUT_FILE={scores}"], "no partner 'tx'"),
        (("ea", "nowhere", *PLACE[2:]), ["INPUT_FILE={scores}"], "tenant 'nowhere'"),
        ((*PLACE[:2], "1920", PLACE[3]), ["INPUT_FILE={scores}"], "known are: 2526"),
        ((*PLACE[:3], "assessments/None"), ["INPUT_FILE={scores}"], "sync_bundles"),
        (PLACE, ["INPUT_FILE"], "'INPUT_FILE' is not KEY=VALUE"),
        (PLACE, ["INPUT_FILE={scores}", "INPUT_FILE={empty}"], "INPUT_FILE is given twice"),
        (PLACE, ["INPUT_FILE=/does/not/exist"], "no file '/does/not/exist'"),
        (PLACE, ["FORM=A"], "INPUT_FILE .* required"),
        (PLACE, ["INPUT_FILE={scores}", "FORM=Z"], "Use one of: A, B"),
        (PLACE, ["INPUT_FILE={scores}", "COLOUR=red"], "no param 'COLOUR'"),
        (PLACE, ["INPUT_FILE={empty}"], "is empty"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_submitted(scores, tmp_path, place, values, told):
    empty = tmp_path / "empty.csv"
    empty.touch()
    values = [value.format(scores=scores, empty=empty) for value in values]
    with pytest.raises(CommandError, match=told) as caught:
        submit(*place, *values)
    assert caught.value.returncode == 1
    assert not Job.objects.exists()
    assert not ProcrastinateJob.objects.exists()


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(CommandError, match=r"(?s)COLOUR.*FORM|FORM.*COLOUR"):
        submit(*PLACE, "COLOUR=red", "FORM=Z")


@pytest.fixture
def executor(monkeypatch):
    """Does to the run that is queued, in a thread, what a test says."""
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.02)
    threads = []

    def start(act):
        def work():
            try:
                while not (run := Run.objects.first()):
                    time.sleep(0.02)
                states.begin(run.pk)
                act(run)
            finally:
                connection.close()

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


def test_waiting_shows_the_steps_and_the_outcome(scores, executor):
    def act(run):
        for action in ("refresh_bundle_code", "earthmover_run"):
            reports.record_update(run, action, "begin")
            reports.record_update(run, action, "success")
        reports.record_summary(
            run,
            {
                "studentAssessments": {
                    "records_processed": 9,
                    "records_skipped": 1,
                    "records_failed": 2,
                }
            },
        )
        reports.record_update(run, "done", "success")
        states.finish(run.pk, success=True)

    executor(act)
    told = submit(*PLACE, f"INPUT_FILE={scores}", "--wait").splitlines()
    assert told[2:] == [
        "Queued",
        "Fetching the bundle …",
        "Matching and transforming …",
        "studentAssessments: 9 processed, 1 skipped, 2 failed",
        "Complete with errors",
    ]


def test_a_run_that_fails_is_told_with_its_reason_and_a_status_of_its_own(scores, executor):
    def act(run):
        reports.record_update(run, "earthmover_run", "begin")
        reports.record_update(run, "earthmover_run", "failure")
        reports.record_error(run, "earthmover_run", {"message": "It is not this export."})
        states.finish(run.pk, success=False)

    executor(act)
    out = io.StringIO()
    with pytest.raises(CommandError, match="failed") as caught:
        call_command("submit_job", *PLACE, f"INPUT_FILE={scores}", "--wait", stdout=out)
    assert caught.value.returncode == 3
    assert out.getvalue().splitlines()[-3:] == [
        "Matching and transforming: failed",
        "earthmover_run: It is not this export.",
        "Error",
    ]


def test_whoever_stops_waiting_is_told_that_the_run_goes_on_and_how_to_end_it(scores, monkeypatch):
    def interrupt(run):
        raise KeyboardInterrupt

    monkeypatch.setattr(follow, "follow", interrupt)
    with pytest.raises(CommandError, match="the run goes on") as caught:
        submit(*PLACE, f"INPUT_FILE={scores}", "--wait")
    run = Run.objects.get()
    assert f"cancel_run {run.pk}" in str(caught.value)
    assert (caught.value.returncode, run.status) == (130, "new")
