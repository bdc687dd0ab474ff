"""A database of an earlier release goes on under this one, with its jobs in flight."""

import gzip
import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jwt
import psycopg
import pytest
import requests
from django.conf import settings
from psycopg.conninfo import make_conninfo

from benchmarks.large import checkout_before
from earthbeam.files import open_store
from runway.demo.services import PROJECT, Services, free_port
from runway.sandbox.bundle_repository import create_bundle_repository
from runway.sandbox.input_files import write_interim_file
from runway.sandbox.ods import SandboxOds
from runway.sandbox.population import students
from tests.upgrades.write_database import QUEUED, RUNNING

pytestmark = pytest.mark.slow

RELEASES = {"0_1_0": "3efade6"}
"""The commit of each release."""
DATABASES = sorted(Path(__file__).parent.glob("*.sql.gz"))


@pytest.fixture(params=DATABASES, ids=lambda path: path.name.removesuffix(".sql.gz"))
def database(request) -> Any:
    """A connection to a database as that release left it."""
    server = settings.DATABASES["default"]
    place = make_conninfo(user=server["USER"], **server["OPTIONS"])
    with psycopg.connect(place, dbname="postgres", autocommit=True) as connection:
        connection.execute("create database upgrade")
        try:
            with psycopg.connect(place, dbname="upgrade", autocommit=True) as upgrade:
                upgrade.execute(gzip.decompress(request.param.read_bytes()))
                upgrade.execute("set search_path to public")
                yield upgrade
        finally:
            connection.execute("drop database upgrade with (force)")


@pytest.fixture
def ods():
    with SandboxOds(students()) as ods:
        yield ods


def run_of(database, note: str) -> dict[str, Any]:
    """The last run of the job with that note, as the database has it."""
    cursor = database.cursor(row_factory=psycopg.rows.dict_row)
    query = """
        select run.id::text, run.status, job.files_base from earthbeam_run run
        join earthbeam_job job on job.last_run_id = run.id
        join earthbeam_jobnote note on note.job_id = job.id where note.text = %s
    """
    return cursor.execute(query, [note]).fetchone()


def add_ended_run(database, *, refused: int) -> str:
    """A run that succeeded with problems: refused records, or else rows that matched no student."""
    database.execute("create temp table ended as select * from earthbeam_run limit 1")
    (run_id,) = database.execute(
        """update ended set id = gen_random_uuid(), status = 'success', has_problems = true
        returning id::text"""
    ).fetchone()
    database.execute("insert into earthbeam_run select * from ended")
    database.execute("drop table ended")
    database.execute(
        """insert into earthbeam_resourcesummary
            (run_id, resource, records_processed, records_skipped, records_failed)
        values (%s, 'studentAssessments', 9, 0, %s)""",
        [run_id, refused],
    )
    return run_id


@pytest.fixture
def sample(tmp_path):
    return write_interim_file(tmp_path)


@pytest.fixture
def environment(database, ods, sample, tmp_path) -> dict[str, str]:
    """The variables of processes on the database, whose release was stopped a moment ago."""
    files = f"file://{tmp_path}/files"
    address = f"127.0.0.1:{free_port()}"
    options = settings.DATABASES["default"]["OPTIONS"]
    environment = {
        "DJANGO_SETTINGS_MODULE": "runway.settings",
        "RUNWAY_ENV": "development",
        "DATABASE_URL": f"postgres://{settings.DATABASES['default']['USER']}@/upgrade"
        f"?host={quote(options['host'])}&port={options['port']}",
        "APP_URL": f"http://{address}",
        "ALLOWED_HOSTS": "127.0.0.1",
        "BIND": address,
        "WEB_CONCURRENCY": "1",
        "FILES_BASE": files,
        "BUNDLE_REPO": str(create_bundle_repository(tmp_path / "bundles")),
        "TMPDIR": str(tmp_path),
    }

    database.execute("update earthbeam_job set files_base = %s", [files])
    database.execute("update earthbeam_run set created_at = now()")
    database.execute("update earthbeam_run set started_at = now() where started_at is not null")
    database.execute("update partners_odsconnection set url = %s", [ods.url])
    keys = database.execute(
        """select partner_id, code, school_year_id, job.id::text, input.name, template_key
        from earthbeam_jobfile input join earthbeam_job job on job.id = input.job_id
        join partners_tenant tenant on tenant.id = job.tenant_id"""
    ).fetchall()
    for partner, tenant, year, job, name, template_key in keys:
        store = open_store(f"{files}/{partner}/{tenant}/{year}/{job}")
        store.upload(sample.path, f"input/{template_key}__{name}")
    return environment


def manage(command: str, environment: dict[str, str]) -> None:
    done = subprocess.run(
        (sys.executable, "manage.py", command), cwd=PROJECT, env=environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()


def test_a_queued_launch_and_a_running_run_go_on_after_an_upgrade(
    database, environment, sample, tmp_path
):
    address = environment["BIND"]
    ended = {add_ended_run(database, refused=1): True, add_ended_run(database, refused=0): False}
    for command in ("migrate", "sync_bundles"):
        manage(command, environment)

    has_errors = "select id::text, has_errors from earthbeam_run where id::text = any(%s)"
    assert dict(database.execute(has_errors, [list(ended)]).fetchall()) == ended

    with Services(tmp_path / "logs") as services:
        services.start(
            "web",
            "-m",
            "gunicorn",
            "runway.wsgi",
            env=environment,
            answers_at=f"http://{address}/healthz",
        )
        services.start("worker", "manage.py", "worker", env=environment)

        running = run_of(database, RUNNING)
        report_success(f"http://{address}/api/earthbeam/jobs/{running['id']}", running["id"])
        assert run_of(database, RUNNING)["status"] == "success"

        end = time.monotonic() + 120
        while run_of(database, QUEUED)["status"] in ("new", "running"):
            assert time.monotonic() < end, (tmp_path / "logs" / "worker.log").read_text()[-3000:]
            time.sleep(0.1)
    assert run_of(database, QUEUED)["status"] == "success"
    matched = "select ods_matched, cross_year_matched from earthbeam_runmatches where run_id = %s"
    queued = run_of(database, QUEUED)["id"]
    assert database.execute(matched, [queued]).fetchone()[0] == sample.expected.ods


def test_the_web_of_the_release_works_on_while_the_database_is_that_of_the_next(
    database, environment, tmp_path
):
    """As during an upgrade: migrate first, then exchange the processes one by one."""
    manage("migrate", environment)
    address = environment["BIND"]
    with checkout_before(RELEASES["0_1_0"]) as checkout:
        if checkout is None:
            pytest.skip("needs the repository's history")
        with Services(tmp_path / "logs") as services:
            services.start(
                "web",
                "-m",
                "gunicorn",
                "runway.wsgi",
                env=environment | {"PYTHONPATH": str(checkout)},
                cwd=checkout,
                answers_at=f"http://{address}/healthz",
            )
            page = requests.get(f"http://{address}/admin/login/", timeout=60)
            assert page.status_code == 200
            assert "X-Request-ID" not in page.headers  # it is the earlier release's
            running = run_of(database, RUNNING)
            report_success(f"http://{address}/api/earthbeam/jobs/{running['id']}", running["id"])
    assert run_of(database, RUNNING)["status"] == "success"


def report_success(base: str, run_id: str) -> None:
    """What an executor that the earlier release started reports, with the token it got then."""
    claims = {
        "runId": run_id,
        "type": "access",
        "exp": datetime.now(UTC) + timedelta(hours=20),
        "size": "",
    }
    token = jwt.encode(claims, settings.EXECUTOR_JWT_KEY, algorithm="HS256")
    headers = {"Authorization": f"Bearer {token}"}
    job = requests.get(base, headers=headers, timeout=60)
    assert job.status_code == 200, job.text
    summary = {
        "studentAssessments": {"records_processed": 9, "records_skipped": 0, "records_failed": 0}
    }
    for call, body in (
        ("status", {"action": "earthmover_run", "status": "begin"}),
        ("status", {"action": "earthmover_run", "status": "success"}),
        ("summary", summary),
        ("status", {"action": "done", "status": "success"}),
    ):
        answer = requests.post(f"{base}/{call}", json=body, headers=headers, timeout=60)
        assert answer.status_code == 201, (call, json.dumps(body), answer.text)
