"""An app that cannot be reached: what the executor says, and how soon where waiting cannot help."""

import socket
import ssl
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from earthbeam.executor import unreachable
from earthbeam.executor.errors import AppUnreachable
from earthbeam.executor.reporting import app_client
from earthbeam.executor.reporting.app_client import AppClient
from earthbeam.executor.reporting.app_session import app_session
from tests.certificates import make_authority, make_certificate


@pytest.fixture
def pauses(monkeypatch):
    found: list[float] = []
    monkeypatch.setattr("earthbeam.executor.processes.running.wait", found.append)
    return found


def cause_of_init(url):
    with pytest.raises(AppUnreachable) as raised:
        AppClient().init(f"{url}/auth/run/init", "token")
    return raised.value.cause


@contextmanager
def app_with(certificate):
    """An app that answers every request with 501."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_certificate_that_is_not_trusted_is_named_soon(tmp_path, pauses):
    with app_with(make_certificate(tmp_path, "127.0.0.1")) as url:
        found = cause_of_init(url)
    assert found is unreachable.CERTIFICATE
    assert sum(pauses) < 15


def test_an_authority_of_the_deployments_own_is_trusted(tmp_path, pauses, monkeypatch):
    authority, certificate = make_authority(tmp_path, "127.0.0.1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    with app_with(certificate) as url:
        assert app_session().get(url).status_code == 501


def test_a_name_that_is_not_found_is_named_soon(pauses, monkeypatch):
    def look_up(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    assert cause_of_init("http://runway.invalid") is unreachable.NAME
    assert sum(pauses) < 15


def test_a_name_server_that_is_away_is_waited_for(pauses, monkeypatch):
    def look_up(*args, **kwargs):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    assert cause_of_init("http://runway.invalid") is unreachable.BROKEN
    assert sum(pauses) >= 60


def test_an_app_that_refuses_is_waited_for(pauses):
    assert cause_of_init("http://127.0.0.1:1") is unreachable.REFUSED
    assert sum(pauses) >= 60


def test_an_app_that_does_not_answer_is_waited_for(pauses, monkeypatch):
    monkeypatch.setattr(app_client, "_TIMEOUT", (1, 0.1))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert cause_of_init(url) is unreachable.TIMED_OUT
    assert sum(pauses) >= 60


@pytest.mark.slow
def test_the_executor_ends_with_the_status_of_its_cause(workbench):
    ended = workbench.run(INIT_JOB_URL="http://runway.invalid/auth/x/init")
    found = unreachable.words_for(ended.exit_status)
    assert found == (
        "The run could not reach Runway: its host name was not found. "
        "Check the app's address for executors (EXECUTOR_APP_URL, or APP_URL) and the network."
    ), ended.log
    assert "Traceback" not in ended.log


def test_other_statuses_say_nothing_of_the_app():
    assert [status for status in (0, 1, 2, 137) if unreachable.words_for(status)] == []
