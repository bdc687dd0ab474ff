"""What a service for errors gets: the error, and nothing of a student or a secret."""

import gzip
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.conf import settings

PROGRAM = """
import logging
import django
django.setup()
from django.test import Client
from structlog.contextvars import bind_contextvars
bind_contextvars(run="41fd")
from runway import probes

def fail(findings):
    student = "Hidden Local"
    raise RuntimeError("studentUniqueId: hidden-in-text")

probes.health.is_ready = fail
probes.health.find = lambda: []
client = Client(raise_request_exception=False, headers={"Authorization": "Bearer hidden-header"})
client.cookies["sessionid"] = "hidden-cookie"
client.get("/readyz?student=hidden-query")
logging.getLogger("earthbeam").error("token=hidden-in-log")
import sentry_sdk
sentry_sdk.flush(20)
"""


@pytest.fixture
def service():
    """A service that keeps what it gets."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(gzip.decompress(body).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, got
        server.shutdown()


@pytest.mark.slow
def test_errors_are_sent_without_students_secrets_and_variables(service):
    port, got = service
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(settings.BASE_DIR),
        "DJANGO_SETTINGS_MODULE": "runway.settings",
        "RUNWAY_ENV": "development",
        "DATABASE_URL": "postgres:///unused",
        "ALLOWED_HOSTS": "testserver",
        "SENTRY_DSN": f"http://public@127.0.0.1:{port}/1",
    }
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True, timeout=60)
    events = [json.loads(line) for body in got for line in body.splitlines()]
    errors = [event for event in events if "exception" in event or "logentry" in event]
    assert [each["value"] for event in errors for each in _exceptions(event)] == [
        "studentUniqueId: [masked]"
    ]
    assert "token=[masked]" in json.dumps(errors)
    assert errors[0]["tags"] == {"run": "41fd"}
    for text in ("idden", "vars", "cookie"):
        assert text not in "".join(got), text


def _exceptions(event):
    return event.get("exception", {}).get("values", [])
