"""Strangers who send slowly, or much, keep nobody else waiting: over real sockets."""

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from runway.request_bodies import STRANGERS_BYTES
from tests.e2e.jobs import wait_until
from tests.e2e.stack import Stack
from tests.runway import nginx

pytestmark = pytest.mark.slow

THREADS, ATTACKERS = 4, 8
HALF_A_HEADER = b"GET /admin/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
HALF_A_BODY = (
    b"POST /admin/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000\r\n\r\n"
)


@pytest.fixture
def stack(transactional_db, tmp_path) -> Iterator[Stack]:
    stack = Stack(tmp_path, tmp_path, {})
    stack.start_web(edu={"WEB_THREADS": str(THREADS), "ROSTER_STREAMS_MAX": "1"})
    yield stack
    stack.stop("web")


Connect = Callable[[], socket.socket]


@contextmanager
def slow_clients(connect: Connect) -> Iterator[list[socket.socket]]:
    """Sockets that have begun a request, and go on with a byte a second."""
    done = threading.Event()
    sockets = []
    for number in range(ATTACKERS):
        client = connect()
        client.sendall(HALF_A_BODY if number % 2 else HALF_A_HEADER)
        sockets.append(client)

    def trickle() -> None:
        for _ in range(300):
            if done.wait(1):
                return
            for client in sockets:
                with suppress(OSError):
                    client.send(b"x")

    thread = threading.Thread(target=trickle, daemon=True)
    thread.start()
    try:
        yield sockets
    finally:
        done.set()
        thread.join()
        for client in sockets:
            client.close()


def was_ended(client: socket.socket) -> bool:
    """Whether the server has closed it; waits for up to a minute and a half."""
    client.settimeout(90)
    try:
        while client.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def status(connect: Connect, path: str = "/healthz") -> int:
    client = http.client.HTTPConnection("127.0.0.1", timeout=120)
    client.sock = connect()
    client.request("GET", path)
    return client.getresponse().status


def test_slow_clients_lose_their_threads(stack):
    address = ("127.0.0.1", int(stack.url.rpartition(":")[2]))

    def connect() -> socket.socket:
        return socket.create_connection(address, timeout=120)

    with slow_clients(connect) as clients:
        assert status(connect) == 200
        assert all(was_ended(client) for client in clients)


@nginx.needs_nginx
def test_behind_nginx_slow_clients_never_get_a_thread(stack, tmp_path):
    folder = tmp_path / "nginx"
    folder.mkdir()
    with nginx.in_front_of(stack.url.removeprefix("http://"), folder) as (port, log):
        context = ssl.create_default_context(cafile=str(folder / "127.0.0.1.pem"))

        def connect() -> socket.socket:
            line = socket.create_connection(("127.0.0.1", port), timeout=120)
            return context.wrap_socket(line, server_hostname="127.0.0.1")

        with slow_clients(connect):
            assert [status(connect) for _ in range(5)] == [200] * 5
            assert status(connect, "/api/v1/files/a-link-that-opens-a-file?token=hush") == 403
        # nginx writes the line after the answer.
        wait_until("it is logged", lambda: '"GET /api/v1/files/..." 403' in log.read_text())
        logged = log.read_text()
        assert "hush" not in logged
        assert "a-link-that" not in logged + stack.log("web")


@nginx.needs_nginx
def test_a_roster_that_is_cut_is_cut_behind_nginx_too(tmp_path):
    half = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"

    def serve() -> None:
        client, _ = listener.accept()
        with client:
            client.recv(65536)
            client.sendall(half)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        upstream = f"127.0.0.1:{listener.getsockname()[1]}"
        with nginx.in_front_of(upstream, tmp_path) as (port, _):
            context = ssl.create_default_context(cafile=str(tmp_path / "127.0.0.1.pem"))
            client = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=120)
            client.request("GET", "/api/earthbeam/jobs/1/roster")
            with pytest.raises(http.client.IncompleteRead):
                client.getresponse().read()


def test_a_strangers_large_form_is_refused_before_it_is_sent(stack, tmp_path):
    length = 149 * 1024 * 1024
    address = ("127.0.0.1", int(stack.url.rpartition(":")[2]))
    for path in ("/admin/login/", "/admin/earthbeam/job/add/"):
        with socket.create_connection(address, timeout=120) as client:
            client.sendall(
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n"
                "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n".encode()
                + b'Content-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
                + b"x" * STRANGERS_BYTES
            )
            assert client.recv(65536).startswith(b"HTTP/1.1 413 "), path
