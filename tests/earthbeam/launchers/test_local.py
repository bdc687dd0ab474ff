"""The local launcher with real processes; tests/earthbeam/launchers/program.py is the executor."""

import json
import os
import re
import sys
import threading
import time
from pathlib import Path

import pytest
from django.db import connection

from earthbeam.errors import LaunchFailed
from earthbeam.launchers.local import LocalLauncher
from earthbeam.models import Run, RunLog
from earthbeam.runs import states
from tests import factories

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

PROGRAM = Path(__file__).with_name("program.py")
AUTHORITIES = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "GIT_SSL_CAINFO"),
)


def launcher(act, **options):
    return LocalLauncher((sys.executable, str(PROGRAM), act), **options)


def never():
    return False


@pytest.fixture(autouse=True)
def no_sandbox(settings):
    """In which processes have other numbers, and which test_sandbox.py is about."""
    settings.EXECUTOR_SANDBOX = "none"


@pytest.fixture
def run():
    return factories.make_run()


def running(run):
    """The same run after the handshake that the program does not do."""
    states.begin(run.pk)
    return run


def error_of(run):
    error = run.errors.get()
    return error.code, error.payload


def log_of(run):
    return RunLog.objects.get(run=run).text


def alive(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_until(condition, seconds=200):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def other_connections():
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and pid != pg_backend_pid()"
        )
        return cursor.fetchone()[0]


def test_an_executor_gets_the_contracts_variables_and_nothing_of_ours(run, settings, monkeypatch):
    for name in ("DATABASE_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "must not be seen")
    for name in AUTHORITIES:
        monkeypatch.delenv(name, raising=False)
    settings.APP_URL, settings.BUNDLE_REPO = "http://app.test", "/srv/bundles"
    run.timeout_seconds = 77
    launcher("environment").launch(run, never)
    seen = json.loads(log_of(run))
    environment = seen["environment"]
    environment.pop("LC_CTYPE", None)  # Python's own
    assert set(environment) == {
        *("INIT_TOKEN", "INIT_JOB_URL", "TIMEOUT_SECONDS", "BUNDLE_REPO"),
        *("PATH", "HOME", "TMPDIR", "LANG", "PYTHONUTF8", "PYTHONUNBUFFERED"),
    }
    assert environment["INIT_JOB_URL"] == f"http://app.test/api/earthbeam/auth/{run.id}/init"
    assert environment["TIMEOUT_SECONDS"] == "77"
    assert environment["BUNDLE_REPO"] == "/srv/bundles"
    assert seen["sid"] != os.getsid(0)
    assert seen["cwd"] == environment["HOME"] == environment["TMPDIR"]
    assert Path(seen["cwd"]).name == Path(seen["cwd"]).name.lower()  # bundles read facts from paths
    assert not Path(seen["cwd"]).exists()


def test_executors_are_told_what_the_app_is_set_to(run, settings):
    settings.ROSTER_GZIP = True
    settings.ODS_REQUESTS_AT_ONCE = 32
    launcher("environment").launch(run, never)
    environment = json.loads(log_of(run))["environment"]
    assert (environment["ROSTER_GZIP"], environment["ODS_REQUESTS_AT_ONCE"]) == ("1", "32")


def test_executors_may_reach_the_app_by_an_address_of_their_own(run, settings):
    settings.APP_URL, settings.EXECUTOR_APP_URL = "https://runway.test", "https://inside.test"
    launcher("environment").launch(run, never)
    environment = json.loads(log_of(run))["environment"]
    assert environment["INIT_JOB_URL"].startswith("https://inside.test/api/")


def test_executors_trust_the_certificate_authorities_that_the_worker_trusts(
    run, monkeypatch, tmp_path
):
    authorities = tmp_path / "authorities.pem"
    authorities.write_text("")
    for name in AUTHORITIES:
        monkeypatch.setenv(name, str(authorities))
    launcher("environment").launch(run, never)
    environment = json.loads(log_of(run))["environment"]
    found = {name for name, value in environment.items() if value == str(authorities)}
    assert found == set(AUTHORITIES)


def test_an_executor_that_ends_before_it_reports_has_failed_to_start(run):
    launcher("exit_three").launch(run, never)
    run.refresh_from_db()
    assert run.status == "error"
    code, payload = error_of(run)
    assert code == "failed_to_start_executor"
    assert "exit status 3" in payload["message"]
    assert log_of(run) == "giving up\n"
    assert run.launched_at is not None
    assert run.launch_reference.startswith("process ")


def test_a_running_executor_that_dies_is_reported_with_its_signal(run):
    launcher("killed").launch(running(run), never)
    code, payload = error_of(run)
    assert code == "unknown"
    assert "SIGKILL" in payload["message"]


def test_an_executor_that_cannot_reach_the_app_says_why(run):
    launcher("untrusting").launch(run, never)
    code, payload = error_of(run)
    assert code == "failed_to_start_executor"
    assert payload["message"] == (
        "The run could not reach Runway: its certificate is not trusted. "
        "If your own certificate authority signed it, set REQUESTS_CA_BUNDLE."
    )


def test_an_outcome_that_the_executor_reported_stands(run):
    running(run)
    states.finish(run.pk, success=True)
    launcher("exit_three").launch(run, never)
    run.refresh_from_db()
    assert run.status == "success"
    assert not run.errors.exists()


def test_a_program_that_is_not_there_leaves_the_run_new_for_another_try(run):
    with pytest.raises(LaunchFailed, match="No such file"):
        LocalLauncher(("/does/not/exist",)).launch(run, never)
    run.refresh_from_db()
    assert (run.status, run.launched_at) == ("new", None)


def test_of_a_long_log_the_ends_are_kept(run):
    launcher("megabytes").launch(run, never)
    text = log_of(run)
    assert text.startswith("first line\n000000 ")
    assert text.endswith(" …\nlast line\n")
    assert len(text.encode()) < 520 * 1024
    left_out = re.search(r"\[… (\d+) kB left out …\]\n", text)
    assert left_out is not None
    assert 2_000 < int(left_out[1]) < 3_000


def test_secrets_never_reach_the_log(run):
    launcher("secrets").launch(run, never)
    text = log_of(run)
    assert "ods-client" in text
    for secret in ("ods-s", "eyJ", "b2RzLWNs"):
        assert secret not in text
    assert text.count("[masked]") == 5


def test_a_log_may_hold_any_bytes(run):
    launcher("odd_bytes").launch(run, never)
    assert log_of(run) == "nul � and �\nno end of line\n"


def test_an_executor_past_its_time_is_ended_with_all_it_started(run):
    run.timeout_seconds = 0
    launcher("stubborn", overtime_seconds=12, stop_seconds=0.5).launch(running(run), never)
    assert error_of(run) == ("executor_timeout", {"timeout_seconds": 0})
    grandchild = int(log_of(run).split()[1])
    wait_until(lambda: not alive(grandchild))


def test_what_an_executor_leaves_behind_ends_with_it(run):
    launcher("leave_child").launch(run, never)
    wait_until(lambda: not alive(int(log_of(run).split()[1])))


def test_people_can_follow_the_log_while_no_connection_is_held(run):
    stop = threading.Event()

    def launch():
        try:
            launcher("graceful").launch(running(run), stop.is_set)
        finally:
            connection.close()

    thread = threading.Thread(target=launch)
    thread.start()
    try:
        wait_until(lambda: RunLog.objects.filter(run=run, text="working\n").exists())
        wait_until(lambda: other_connections() == 0)
    finally:
        stop.set()
        thread.join()
    assert log_of(run) == "working\ntold to end\n"
    code, payload = error_of(run)
    assert code == "unknown"
    assert "worker was stopped" in payload["message"]


@pytest.mark.parametrize("status", ["new", "running"])
def test_an_executor_whose_run_was_cancelled_is_ended_with_all_it_started(run, status):
    if status == "running":
        running(run)

    def launch():
        try:
            launcher("stubborn", stop_seconds=0.5).launch(run, never)
        finally:
            connection.close()

    thread = threading.Thread(target=launch)
    thread.start()
    wait_until(lambda: RunLog.objects.filter(run=run, text__startswith="grandchild").exists())
    states.fail(run.pk, "unknown", {"message": "Cancelled by ops."})
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert error_of(run) == ("unknown", {"message": "Cancelled by ops."})
    wait_until(lambda: not alive(int(log_of(run).split()[1])))


@pytest.mark.parametrize("development", [True, False])
def test_only_in_development_executors_get_the_workers_access_to_s3(
    run, settings, monkeypatch, development
):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of the worker")
    settings.IN_DEVELOPMENT = development
    run.job.files_base = "s3://bucket"
    launcher("environment").launch(run, never)
    environment = json.loads(log_of(run))["environment"]
    assert environment.get("AWS_SESSION_TOKEN") == ("of the worker" if development else None)


def test_a_worker_that_stops_before_the_handshake_leaves_the_run_for_the_next_one(run):
    with pytest.raises(LaunchFailed, match="stopped"):
        launcher("sleep").launch(run, lambda: True)
    run.refresh_from_db()
    assert (run.status, run.launched_at) == ("new", None)


def test_the_runs_of_a_launcher_do_not_share_their_scratch(run):
    launcher("environment").launch(run, never)
    other = factories.make_run(factories.make_job())
    launcher("environment").launch(other, never)
    homes = {json.loads(log_of(each))["environment"]["HOME"] for each in (run, other)}
    assert len(homes) == 2
    assert Run.objects.filter(status="error").count() == 2


def test_an_executor_of_a_deleted_job_is_ended(run):
    threading.Timer(1, lambda: Run.objects.filter(pk=run.pk).delete()).start()
    launcher("sleep").launch(running(run), never)
    assert not Run.objects.exists()
