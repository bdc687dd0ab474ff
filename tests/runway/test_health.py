"""/healthz, /readyz, and `manage.py status`: whether Runway can do its work."""

import os
import socket
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone

from earthbeam import tasks
from runway import health
from runway.probes import Probes
from tests import factories
from tests.earthbeam.queue import queue  # noqa: F401

PROJECT = Path(__file__).parents[2]


def see_worker(ago=timedelta()):
    with connection.cursor() as cursor:
        cursor.execute("delete from procrastinate_workers")
        cursor.execute(
            "insert into procrastinate_workers (last_heartbeat) values (%s)", [timezone.now() - ago]
        )


def wait_in_queue(task, minutes, **arguments):
    job_id = task.defer(**arguments)
    at = timezone.now() - timedelta(minutes=minutes)
    with connection.cursor() as cursor:
        cursor.execute("update procrastinate_events set at = %s where job_id = %s", [at, job_id])


@pytest.fixture
def healthy(queue, settings, tmp_path):  # noqa: F811
    settings.FILES_BASE = f"file://{tmp_path}"
    see_worker()


def readiness(**headers):
    # A client of its own has new middleware, which has nothing in its cache.
    answer = Client().get("/readyz", headers=headers)
    checks = answer.json()["checks"]
    return answer.status_code, sorted(name for name in checks if checks[name] != "ok")


def text_of(name):
    [finding] = [each for each in health.find() if each.name == name]
    return finding.text


def test_a_runway_whose_parts_work_is_ready(healthy):
    assert readiness() == (200, [])
    assert Client().get("/readyz")["Cache-Control"] == "no-store"


def test_load_balancers_ask_by_address_and_without_tls(healthy, settings):
    settings.SECURE_SSL_REDIRECT, settings.ALLOWED_HOSTS = True, ["runway.example.org"]
    for path in ("/healthz", "/readyz"):
        assert Client().get(path, headers={"host": "10.1.2.3:8000"}).status_code == 200
    assert Client().get("/", headers={"host": "10.1.2.3:8000"}).status_code == 400


def test_without_a_worker_it_is_not_ready(healthy):
    see_worker(timedelta(minutes=3))
    assert readiness() == (503, ["worker"])
    assert "seen 3 min 00 s ago" in text_of("worker")


def test_with_a_worker_that_hangs_it_is_not_ready(healthy):
    wait_in_queue(tasks.reap_runs, 4, timestamp=0)
    assert readiness() == (200, [])
    wait_in_queue(tasks.watch_executors, 6, timestamp=0)
    assert readiness() == (503, ["queue"])


def test_a_task_that_is_put_off_is_not_late(healthy):
    tasks.reap_runs.configure(schedule_in={"hours": 1}).defer(timestamp=0)
    with connection.cursor() as cursor:
        cursor.execute("update procrastinate_events set at = at - interval '1 day'")
    assert readiness() == (200, [])


def test_with_migrations_that_are_missing_it_is_not_ready(healthy):
    recorder = MigrationRecorder(connection)
    name = recorder.migration_qs.filter(app="earthbeam").latest("id").name
    recorder.record_unapplied("earthbeam", name)
    try:
        assert readiness() == (503, ["migrations"])
        assert "manage.py migrate" in text_of("migrations")
    finally:
        recorder.record_applied("earthbeam", name)


def test_migrations_of_a_newer_release_do_no_harm(healthy):
    recorder = MigrationRecorder(connection)
    recorder.record_applied("earthbeam", "9999_of_the_next_release")
    try:
        assert readiness() == (200, [])
    finally:
        recorder.record_unapplied("earthbeam", "9999_of_the_next_release")


def test_what_others_have_broken_is_reported_but_it_stays_ready(healthy, settings, tmp_path):
    settings.OAUTH2_ISSUER = f"http://127.0.0.1:{closed_port()}"
    wait_in_queue(tasks.launch_run, 16, run_id="0" * 32)
    partner = factories.make_partner(cross_year_match_enabled=True)
    run = factories.make_run(status="error")
    type(run).objects.update(edu_unavailable="no_credentials")
    assert run.job.tenant.partner == partner
    (tmp_path / "file").touch()
    settings.FILES_BASE = f"file://{tmp_path}/file/below"
    assert readiness() == (200, ["edu", "files", "issuers", "launches"])
    assert "1 of 1 runs" in text_of("edu")
    assert partner.pk in text_of("edu")


def test_who_asks_while_another_checks_gets_what_was_found_before(healthy, monkeypatch):
    find, asked, go_on = health.find, threading.Event(), threading.Event()
    probes = Probes(lambda request: HttpResponse(status=404))
    request = RequestFactory().get("/readyz")
    assert probes(request).status_code == 200

    def slow():
        asked.set()
        assert go_on.wait(60)
        return find()

    monkeypatch.setattr("runway.health.find", slow)
    monkeypatch.setattr("runway.probes.KEPT", -1)

    def check():
        probes(request)
        connections.close_all()

    checker = threading.Thread(target=check)
    checker.start()
    assert asked.wait(60)
    assert probes(request).status_code == 200  # it does not wait
    go_on.set()
    checker.join()


def test_the_page_says_nothing_of_the_installation(healthy, settings):
    settings.OAUTH2_ISSUER = f"http://127.0.0.1:{closed_port()}"
    assert b"127.0.0.1" not in Client().get("/readyz").content


def status(capsys):
    try:
        call_command("status")
    except SystemExit as ended:
        return ended.code, capsys.readouterr().out
    return 0, capsys.readouterr().out


def test_the_command_has_one_screen_and_an_exit_status(healthy, settings, capsys):
    run = factories.make_run(status="error")
    type(run).objects.update(ended_at=timezone.now())
    run.errors.create(code="lightbeam_send")
    code, shown = status(capsys)
    assert code == 0
    assert "1 lightbeam_send" in shown
    assert len(shown.splitlines()) < 24
    settings.OAUTH2_ISSUER = f"http://127.0.0.1:{closed_port()}"
    assert status(capsys)[0] == 1
    see_worker(timedelta(hours=3))
    code, shown = status(capsys)
    assert code == 3
    assert "BAD  worker" in shown


@pytest.mark.slow
def test_the_command_says_that_there_is_no_database():
    variables = {
        "PATH": os.environ["PATH"],
        "RUNWAY_ENV": "development",
        "DATABASE_URL": f"postgres://runway:hidden@127.0.0.1:{closed_port()}/runway",
    }
    command = [sys.executable, "manage.py", "status"]
    ended = subprocess.run(command, cwd=PROJECT, env=variables, capture_output=True, text=True)
    assert ended.returncode == 3, ended.stderr
    assert "BAD  database" in ended.stdout
    assert "hidden" not in ended.stdout + ended.stderr


def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
