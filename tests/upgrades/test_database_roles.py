"""The roles of docs/deploy.md: the app works with one that cannot change tables."""

import re
import subprocess
import sys
from urllib.parse import quote

import psycopg
import pytest
from django.conf import settings
from psycopg.conninfo import make_conninfo

pytestmark = pytest.mark.slow

DOC = (settings.BASE_DIR / "docs/deploy.md").read_text().split("## Roles in PostgreSQL")[1]
STATEMENTS = re.search(r"((?:^    .*\n)+)", DOC, re.MULTILINE)
WORK = """
import django
django.setup()
from django.contrib.auth.models import User
from procrastinate.contrib.django import app
from earthbeam.tasks import reap_runs
from partners.models import Partner, Tenant
person = User.objects.create_superuser("ops")
partner = Partner.objects.create(id="ea")
tenant = Tenant.objects.create(partner=partner, code="grand_bend")
tenant.delete()
reap_runs.defer(timestamp=0)
with app.replace_connector(app.connector.get_worker_connector()):
    app.run_worker(wait=False, queues=["housekeeping"], install_signal_handlers=False)
from procrastinate.contrib.django.models import ProcrastinateJob
print(*ProcrastinateJob.objects.filter(task_name="reap_runs").values_list("status", flat=True))
"""


@pytest.fixture
def place():
    server = settings.DATABASES["default"]
    return make_conninfo(user=server["USER"], **server["OPTIONS"])


@pytest.fixture
def database(place):
    """A database that was made word for word as the document says."""
    assert STATEMENTS is not None
    before, after = STATEMENTS[1].replace("…", "x").split("\\c runway")
    with psycopg.connect(place, dbname="postgres", autocommit=True) as connection:
        try:
            for statement in before.split(";")[:-1]:
                connection.execute(statement)
            with psycopg.connect(place, dbname="runway", autocommit=True) as inside:
                inside.execute(after)
            yield place
        finally:
            connection.execute("drop database if exists runway with (force)")
            connection.execute("drop role if exists runway_app")
            connection.execute("drop role if exists runway_owner")


def run_as(role, *argv):
    options = settings.DATABASES["default"]["OPTIONS"]
    environment = {
        "DJANGO_SETTINGS_MODULE": "runway.settings",
        "RUNWAY_ENV": "development",
        "DATABASE_URL": f"postgres://{role}:x@/runway?host={quote(options['host'])}"
        f"&port={options['port']}",
    }
    return subprocess.run(
        (sys.executable, *argv),
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
    )


def test_the_owner_migrates_and_the_app_reads_writes_and_works_its_queue(database):
    migrated = run_as("runway_owner", "manage.py", "migrate")
    assert migrated.returncode == 0, migrated.stderr
    worked = run_as("runway_app", "-c", WORK)
    assert worked.stdout.split()[:1] == ["succeeded"], worked.stderr
    with psycopg.connect(database, dbname="runway", user="runway_app") as connection:
        for statement in (
            "alter table earthbeam_job add column x int",
            "drop table earthbeam_job",
            "create table public.x (n int)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
            connection.rollback()
