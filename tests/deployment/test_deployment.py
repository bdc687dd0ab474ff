"""docs/deploy.md: its database roles, and all of it on a machine of its own."""

import os
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from urllib.parse import quote

import psycopg
import pytest
from django.conf import settings
from psycopg.conninfo import make_conninfo

from tests import bubblewrap
from tests.certificates import make_authority
from tests.deployment import machine
from tests.runway.nginx import needs_nginx

pytestmark = pytest.mark.slow

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
    """The server, in which nothing of the document's stays."""
    server = settings.DATABASES["default"]
    place = make_conninfo(user=server["USER"], **server["OPTIONS"])
    yield place
    with psycopg.connect(place, dbname="postgres", autocommit=True) as connection:
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


def test_the_owner_migrates_and_the_app_reads_writes_and_works_its_queue(place):
    machine.make_database(place)
    migrated = run_as("runway_owner", "manage.py", "migrate")
    assert migrated.returncode == 0, migrated.stderr
    worked = run_as("runway_app", "-c", WORK)
    assert worked.stdout.split()[:1] == ["succeeded"], worked.stderr
    with psycopg.connect(place, dbname="runway", user="runway_app") as connection:
        for statement in (
            "alter table earthbeam_job add column x int",
            "drop table earthbeam_job",
            "create table public.x (n int)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
            connection.rollback()


@bubblewrap.needed
@needs_nginx
@pytest.mark.timeout(1200)
def test_the_document_leads_to_a_deployment_that_does_a_whole_job_over_tls(place, tmp_path):
    server = settings.DATABASES["default"]
    argv = [sys.executable, "-m", "tests.deployment.machine", "--user", server["USER"]]
    with reachable_server(tmp_path / "database"):
        done = subprocess.run(
            [*own_machine(tmp_path), *argv, "--socket", "/run/database"],
            env={"PATH": f"{os.environ['PATH']}:/usr/sbin", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=900,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("all is well\n")


@contextmanager
def reachable_server(folder):
    """The tests' PostgreSQL by a socket that may be opened from another user namespace."""
    options = settings.DATABASES["default"]["OPTIONS"]
    folder.mkdir()
    behind = f"{options['host']}/.s.PGSQL.{options['port']}"

    def pump(source, target):
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            with socket.socket(socket.AF_UNIX) as database:
                database.connect(behind)
                back = threading.Thread(target=pump, args=(database, self.request))
                back.start()
                pump(self.request, database)
                back.join()

    # A socket's path may have a hundred characters, which the folder's own may exceed.
    opened = os.open(folder, os.O_RDONLY)
    path = f"/proc/self/fd/{opened}/.s.PGSQL.5432"
    with socketserver.ThreadingUnixStreamServer(path, Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        yield
        server.shutdown()
    os.close(opened)


def own_machine(folder):
    """bubblewrap's command for a machine with a network of its own and a file system that cannot be
    written to, but for what stands for volumes."""
    authority, certificate = make_authority(folder, *machine.NAMES)
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{machine.ADDRESS} {' '.join(machine.NAMES)}\n")
    program = shutil.which("bwrap")
    assert program is not None
    # What Python and the tests are made of, if they lie in a folder that is hidden.
    seen = {str(settings.BASE_DIR), sys.base_prefix, str(folder)}
    return [
        *(program, "--unshare-all", "--die-with-parent", "--uid", "0", "--gid", "0"),
        *("--cap-add", "CAP_NET_ADMIN", "--cap-add", "CAP_NET_BIND_SERVICE"),
        *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
        *(word for volume in ("/tmp", "/run") for word in ("--tmpfs", volume)),
        *(word for path in sorted(seen) for word in ("--ro-bind", path, path)),
        *("--tmpfs", "/var/log", "--tmpfs", "/var/lib/nginx", "--tmpfs", "/etc/nginx"),
        *("--ro-bind", str(settings.BASE_DIR / "ops/nginx.conf"), "/etc/nginx/conf.d/runway.conf"),
        *("--ro-bind", str(certificate), "/etc/nginx/runway.pem"),
        *("--ro-bind", str(certificate), "/etc/nginx/runway.key"),
        *("--ro-bind", str(folder / "database"), "/run/database", "--tmpfs", "/etc/ssl"),
        *("--ro-bind", str(authority), "/etc/ssl/certs/ca-certificates.crt"),
        *("--ro-bind", str(hosts), "/etc/hosts", "--chdir", str(settings.BASE_DIR)),
    ]
