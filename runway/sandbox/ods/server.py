"""The ODS stand-in as an HTTP server."""

import json
import os
import socket
import struct
import threading
from collections.abc import Iterable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from runway.sandbox.ods.api import Answer, Api, ConnectionReset, Request
from runway.sandbox.ods.faults import FaultCounter, Faults
from runway.sandbox.ods.roster import names, roster
from runway.sandbox.ods.store import Store
from runway.sandbox.population import CURRENT_YEAR, Student

CLIENT_ID = "sandbox-key"
CLIENT_SECRET = "sandbox-secret"  # noqa: S105 -- of a server that lives on this machine only


class SandboxOds:
    """An Ed-Fi ODS with a roster made from ``students``, serving on ``host`` and ``port``.

    Port 0 takes a free one. The ODS already has the descriptors of ``descriptor_namespaces``; any
    other descriptor must be sent before it is used. Usable as a context manager, which serves in a
    thread and stops at the end.
    """

    def __init__(
        self,
        students: Iterable[Student],
        *,
        year: int = CURRENT_YEAR,
        host: str = "127.0.0.1",
        port: int = 0,
        client_id: str = CLIENT_ID,
        client_secret: str = CLIENT_SECRET,
        descriptor_namespaces: tuple[str, ...] = ("uri://ed-fi.org",),
        faults: Faults | None = None,
    ) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        everybody = list(students)
        self._store = Store(roster(everybody, year), names(everybody, year), descriptor_namespaces)
        self._api = Api(self._store, client_id, client_secret, faults or Faults())
        self._server = _Server((host, port), self._api)

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def faults(self) -> Faults:
        """The current faults. Setting them resets all counts."""
        return self._api.faults.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._api.faults = FaultCounter(faults)

    def received(self, resource: str) -> list[dict[str, Any]]:
        """Return the accepted records of a resource, in order of arrival, each key once."""
        return self._store.received(resource)

    def received_counts(self) -> dict[str, int]:
        """Return how many records of each resource were accepted."""
        return self._store.counts()

    def serve_forever(self) -> None:
        """Serve in this thread until another one calls ``close``."""
        self._server.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        """Stop serving, close open connections, and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._server.close_connections()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, name="sandbox-ods", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], api: Api) -> None:
        self.api = api
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):  # it is closing already
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do not log clients that disconnect."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet, or Nagle's algorithm costs 40 ms per response
    timeout = 60

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        base_url = f"http://{self.headers.get('Host', 'localhost')}"
        body = self.rfile.read(length)
        request = Request(
            self.command, self.path, self.headers.get("Authorization", ""), body, base_url
        )
        try:
            self._send(self.server.api.answer(request))
        except ConnectionReset:
            self._reset()

    do_POST = do_DELETE = do_GET

    def _send(self, answer: Answer) -> None:
        body = b"" if answer.body is None else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if body:
            self.send_header("Content-Type", "application/json; charset=utf-8")
        if answer.status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        # Closing a socket with a linger time of 0 sends RST instead of FIN.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Do not log requests: /sandbox has the counts."""
