"""The project under gunicorn, on a Unix socket, against an EDU that fails on demand."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connection

from earthbeam.models import Run
from earthbeam.runs import tokens
from runway.sandbox.chunked_snowflake import lines_table
from runway.sandbox.edu import encode_key, generate_key
from tests import factories

ROOT = Path(__file__).resolve().parents[3]


def tables(number: int, rows: int) -> list[Any]:
    """That many batches of distinct lines of 300 bytes and more."""
    padding = "x" * 300
    return [
        lines_table(
            [f'{{"n":{row},"p":"{padding}"}}\n' for row in range(at * rows, (at + 1) * rows)]
        )
        for at in range(number)
    ]


def text_of(tables: list[Any]) -> bytes:
    return "".join("".join(table.column(0).to_pylist()) for table in tables).encode()


class Web:
    """The server with its log, as an executor of one run sees it."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", socket_path: Path, log: Path, run: Run
    ) -> None:
        self.process = process
        self.run = run
        self.socket_path = socket_path
        self.log_path = log
        self.path = f"/api/earthbeam/jobs/{run.pk}/roster"
        self.headers = {"Authorization": f"Bearer {tokens.access_token(run)}"}

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def open(self, path: str | None = None, **headers: str) -> http.client.HTTPResponse:
        """An answer whose body has not been read yet."""
        client = self.ask(path, **headers)
        return client.getresponse()

    def ask(self, path: str | None = None, **headers: str) -> http.client.HTTPConnection:
        """A client that has sent its request, and has read nothing."""
        client = http.client.HTTPConnection("localhost", timeout=120)
        client.sock = self.connect()
        client.request("GET", path or self.path, headers=self.headers | headers)
        return client

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(120)
        client.connect(str(self.socket_path))
        return client

    def wait_for_log(self, pattern: str, timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        while not re.search(pattern, self.log):
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)


@contextmanager
def serving(
    app: str, folder: Path, edu_port: int, *, threads: int, streams_max: int
) -> Iterator[Web]:
    """gunicorn with one process that serves ``app``, and a run that may ask for its roster."""
    factories.make_partner(cross_year_match_enabled=True)
    run = factories.make_run(status=Run.Status.RUNNING)
    database = connection.settings_dict
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "LANG", "XDG_RUNTIME_DIR")
    }
    environment |= {
        "RUNWAY_ENV": "development",
        "DJANGO_SETTINGS_MODULE": "runway.settings",
        "DATABASE_URL": "postgres://{USER}@/{NAME}?host={HOST}&port={PORT}".format(
            **database | {"HOST": database["HOST"] or database["OPTIONS"]["host"]},
        ),
        "ROSTER_STREAMS_MAX": str(streams_max),
        "EDU_SNOWFLAKE_USERNAME": "u",
        "EDU_SNOWFLAKE_ACCOUNT": "a",
        "EDU_SNOWFLAKE_DATABASE": "d",
        "EDU_SNOWFLAKE_SCHEMA": "s",
        "EDU_SNOWFLAKE_PRIVATE_KEY": encode_key(generate_key()),
        "EDU_SNOWFLAKE_HOST": "127.0.0.1",
        "EDU_SNOWFLAKE_PORT": str(edu_port),
        "EDU_SNOWFLAKE_PROTOCOL": "http",
    }
    socket_path, log = folder / "web.sock", folder / "web.log"
    command = (
        *(sys.executable, "-m", "gunicorn", app),
        *("--bind", f"unix:{socket_path}", "--workers", "1"),
        *("--worker-class", "gthread", "--threads", str(threads)),
        *("--worker-tmp-dir", str(folder), "--no-control-socket"),
    )
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    server = Web(process, socket_path, log, run)
    try:
        server.wait_for_log("Booting worker", timeout=60)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            sys.stdout.write(server.log)  # shown with a test that fails
