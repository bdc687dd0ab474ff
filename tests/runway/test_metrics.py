"""What Prometheus is told, and who else is not."""

import os
import re
import socket
import subprocess
import sys
from datetime import timedelta
from ipaddress import ip_network

import pytest
import requests
from django.conf import settings as tests_settings
from django.db import DatabaseError, connection
from django.utils import timezone
from prometheus_client import REGISTRY

from earthbeam.runs import reports, states
from partners.models import EduProcess
from runway import gauges, health
from tests import factories

pytestmark = pytest.mark.django_db
TOKEN = "metrics-token-of-the-tests"


def value(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0.0


def scraped(client, **headers):
    return client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}", **headers})


def gauge(name, **labels):
    """The value of a gauge that the database knows."""
    pairs = ",".join(f'{key}="{each}"' for key, each in labels.items())
    line = f"{name}{{{pairs}}}" if labels else name
    found = re.search(rf"^{re.escape(line)} (\S+)$", gauges.current([]).decode(), re.MULTILINE)
    return float(found[1]) if found else None


@pytest.mark.parametrize(
    ("token", "networks", "headers", "status"),
    [
        (None, "", {}, 404),
        (None, "", {"Authorization": "Bearer "}, 404),
        (TOKEN, "", {}, 404),
        (TOKEN, "", {"Authorization": f"Bearer {TOKEN}"}, 200),
        (TOKEN, "", {"Authorization": f"Bearer {TOKEN}x"}, 404),
        (TOKEN, "127.0.0.0/8", {"Authorization": "Bearer wrong"}, 404),
        (None, "127.0.0.0/8", {}, 200),
        (None, "10.0.0.0/8", {}, 404),
        (None, "127.0.0.0/8", {"X-Forwarded-For": "203.0.113.9"}, 404),
    ],
)
def test_metrics_are_for_a_token_or_a_network_alone(
    client, settings, token, networks, headers, status
):
    settings.METRICS_TOKEN = token
    settings.METRICS_NETWORKS = tuple(ip_network(each) for each in networks.split(",") if each)
    assert client.get("/metrics", headers=headers).status_code == status


def test_a_run_is_counted_once_by_how_it_ended(django_capture_on_commit_callbacks):
    run = factories.make_run(status="running")
    labels = {"partner": run.job.tenant.partner_id, "kind": "load"}
    failed = {**labels, "outcome": "error", "code": "earthmover_run"}
    before = value("runway_runs_ended_total", **failed)
    reports.record_error(run, "earthmover_run", {})
    with django_capture_on_commit_callbacks(execute=True):
        states.finish(run.pk, success=False)
        states.finish(run.pk, success=False)
        states.fail(run.pk, "unknown", {})
    assert value("runway_runs_ended_total", **failed) == before + 1


def test_the_steps_and_rows_of_a_run_are_counted_when_it_ends(django_capture_on_commit_callbacks):
    run = factories.make_run(status="running")
    for action in ("earthmover_run", "lightbeam_send"):
        reports.record_update(run, action, "begin")
    reports.record_update(run, "earthmover_run", "success")
    factories.make_matches(run, input_rows=12, ods_matched=7, cross_year_matched=2, unmatched=3)
    names = ("ods", "cross_year", "unmatched")
    rows = [value("runway_rows_total", ending=each) for each in names]
    steps = [value("runway_step_seconds_count", step=each) for each in ("earthmover_run",)]
    with django_capture_on_commit_callbacks(execute=True):
        states.finish(run.pk, success=True)
    after = [value("runway_rows_total", ending=each) for each in names]
    assert [b - a for a, b in zip(rows, after, strict=True)] == [7, 2, 3]
    assert value("runway_step_seconds_count", step="earthmover_run") == steps[0] + 1


def test_calls_of_executors_are_timed_by_kind_and_status(client):
    labels = {"call": "status", "status": "401"}
    before = value("runway_executor_call_seconds_count", **labels)
    client.post("/api/earthbeam/jobs/x/status", {}, content_type="application/json")
    assert value("runway_executor_call_seconds_count", **labels) == before + 1


def test_what_waits_is_told_with_its_age():
    factories.make_run()
    factories.make_run(status="running")
    assert gauge("runway_runs", status="new") == 1
    assert gauge("runway_runs", status="running") == 1
    assert gauge("runway_workers") == 0
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into procrastinate_jobs (queue_name, task_name, status, scheduled_at)"
            " values ('launch', 'x', 'todo', now() - interval '20 minutes')"
        )
    assert gauge("runway_queue_jobs", queue="launch", status="todo") == 1
    assert 1200 <= gauge("runway_queue_oldest_seconds", queue="launch") < 1300


def test_connections_to_edu_of_all_processes_are_summed():
    partner = factories.make_partner()
    now = timezone.now()
    for process in ("a:1", "b:2"):
        EduProcess.objects.create(
            **{"process": process, "partner": partner, "generation": 1, "made_at": now},
            **{"in_use": 2, "idle": 1, "connecting": 0, "waiting": 0, "seen_at": now},
        )
    assert gauge("runway_edu_connections", partner=partner.pk, state="in_use") == 4
    assert gauge("runway_edu_connections", partner=partner.pk, state="waiting") == 0


def test_each_check_of_readiness_is_a_gauge(client, settings):
    settings.METRICS_TOKEN = TOKEN
    body = scraped(client).content.decode()
    assert 'runway_check_ok{check="database"} 1.0' in body
    assert 'runway_check_ok{check="worker"} 0.0' in body


def test_without_a_database_there_are_still_metrics(monkeypatch):
    def fail():
        raise DatabaseError

    monkeypatch.setattr(gauges, "_of_the_database", fail)
    findings = [health.Finding("database", False, "It is gone.")]
    assert b'runway_check_ok{check="database"} 0.0' in gauges.current(findings)


@pytest.mark.slow
def test_a_worker_answers_at_a_port_of_its_own():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = (
        "import django; django.setup()\n"
        "from runway import metrics\n"
        "from earthbeam import metrics as counts\n"
        f"counts.NOTICES.labels('webhook', 'delivered').inc(); metrics.serve({port})\n"
        "input()"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(tests_settings.BASE_DIR),
        "DJANGO_SETTINGS_MODULE": "runway.settings",
        "RUNWAY_ENV": "development",
        "DATABASE_URL": "postgres:///unused",
        "METRICS_TOKEN": TOKEN,
    }
    url = f"http://127.0.0.1:{port}/metrics"
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdin=subprocess.PIPE
    ) as process:
        try:
            answer = _when_it_listens(url, {"Authorization": f"Bearer {TOKEN}"})
            assert 'runway_notices_total{outcome="delivered",to="webhook"} 1.0' in answer.text
            assert requests.get(url, timeout=10).status_code == 404
        finally:
            process.kill()


def _when_it_listens(url, headers):
    end = timezone.now() + timedelta(seconds=60)
    while True:
        try:
            return requests.get(url, headers=headers, timeout=10)
        except requests.ConnectionError:
            assert timezone.now() < end
