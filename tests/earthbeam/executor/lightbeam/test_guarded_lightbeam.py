"""The ODS's credentials go to the ODS alone: not in the clear, and not where a redirect leads."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from earthbeam.executor.job import Ods
from earthbeam.executor.lightbeam.commands import Lightbeam
from earthbeam.executor.lightbeam.config import BundleSettings
from earthbeam.executor.lightbeam.guarded_lightbeam import Refused, safe_url, same_origin
from earthbeam.executor.workspace.folders import Workspace

ROSTER = "studentEducationOrganizationAssociations"


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://ods.example.org/oauth/token", "https://ods.example.org/oauth/token"),
        ("https://login.example.org/token", "https://login.example.org/token"),
        ("http://ods.example.org/oauth?a=1", "https://ods.example.org:8443/oauth?a=1"),
        ("http://ods.example.org:80/x", "https://ods.example.org:8443/x"),
        ("http://ods.example.org:8443/x", "https://ods.example.org:8443/x"),
    ],
)
def test_an_https_ods_is_asked_by_https_alone(url, safe):
    assert safe_url(url, "https://ods.example.org:8443/api") == safe


@pytest.mark.parametrize("url", ["http://elsewhere.example.org/token", "ftp://ods.example.org/x"])
def test_an_https_ods_cannot_name_an_unsafe_address(url):
    with pytest.raises(Refused):
        safe_url(url, "https://ods.example.org/api")


def test_an_http_ods_of_development_is_left_as_it_is():
    assert safe_url("http://other/x", "http://127.0.0.1:1/api") == "http://other/x"


def test_an_origin_is_scheme_host_and_port():
    assert same_origin("https://a/x", "https://a:443/y")
    for other in ("http://a/x", "https://b/x", "https://a:444/x"):
        assert not same_origin("https://a/x", other)


def fetch(url: str) -> str:
    """What lightbeam prints as it fetches the roster from an ODS at ``url``."""
    with Workspace() as workspace:
        ods = Ods("2026", url, "the-key", "the-secret")
        settings = BundleSettings(mode="district_specific", num_retries=1)
        lightbeam = Lightbeam(ods, settings, workspace)
        folder = workspace.folder("roster")
        return lightbeam.run("fetch", "-s", ROSTER, data=folder).tail


@contextmanager
def broken_tls() -> Iterator[tuple[str, list[bytes]]]:
    """A port at which TLS fails and that answers http; its URL, and the http requests it got."""
    clear: list[bytes] = []
    root = json.dumps({"urls": dict.fromkeys(("oauth", "dependencies", "openApiMetadata"), "x")})

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(30)
                try:
                    first = connection.recv(65536)
                    if not first.startswith(b"\x16"):  # no TLS hello
                        clear.append(first)
                        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + root.encode())
                except OSError:
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}", clear
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.slow
def test_nothing_leaves_in_the_clear_when_tls_fails():
    with broken_tls() as (url, clear):
        printed = fetch(url)
    assert clear == [], printed


class _Recorder(BaseHTTPRequestHandler):
    """Answers as an ODS does, or redirects the paths that ``server.redirects`` names."""

    server: "_Server"

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        self.server.requests.append((self.path, dict(self.headers)))
        for path, target in self.server.redirects.items():
            if self.path.startswith(path):
                self.send_response(302)
                self.send_header("Location", target + self.path)
                self.end_headers()
                return
        own = self.server.url
        body: object = {"access_token": "the-token"}
        if self.path == "/":
            named = {"oauth": "oauth/token", "dependencies": "dependencies", "openApiMetadata": "m"}
            body = {"urls": {name: f"{own}/{path}" for name, path in named.items()}}
        elif self.path == "/dependencies":
            body = [{"resource": f"/ed-fi/{ROSTER}", "order": 1, "operations": ["Create"]}]
        elif self.path == "/m":
            endpoints = ("resources", "descriptors")
            body = [{"name": name, "endpointUri": f"{own}/swagger"} for name in endpoints]
        elif self.path == "/swagger":
            body = {"paths": {}, "definitions": {}}
        elif self.path.startswith("/data"):
            body = [{"studentReference": {"studentUniqueId": "1"}}]
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Total-Count", "1")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer

    def log_message(self, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Recorder)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.redirects: dict[str, str] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def server_close(self) -> None:
        self.shutdown()
        super().server_close()


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/", "/oauth", "/data"])
def test_no_redirect_takes_anything_to_another_server(path):
    with _Server() as ods, _Server() as elsewhere:
        ods.redirects = {path: elsewhere.url}
        printed = fetch(ods.url)
        assert elsewhere.requests == [], printed
        assert ods.requests


@pytest.mark.slow
def test_a_redirect_on_the_odss_own_server_is_followed():
    with _Server() as ods:
        ods.redirects = {"/dependencies": f"{ods.url}/m"}
        fetch(ods.url)
        assert [path for path, _ in ods.requests if path.startswith("/m/dependencies")]
