"""Somebody else's server that is told things, and answers as a test wants it to."""

import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self


@dataclass
class Message:
    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Keeps what it gets in ``messages``; answers ``status``, after ``before`` has been called.

    With a ``certificate`` (a file with its key) it speaks TLS.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self.messages: list[Message] = []
        self.status = 204
        self.headers: dict[str, str] = {}
        self.before: Any = lambda: None
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.messages.append(Message(self.path, dict(self.headers), body))
                receiver.before()
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            do_GET = do_POST

            def log_message(self, format: str, *args: Any) -> None:
                """Kept in ``messages``."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?from=runway"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Silent:
    """A server that takes connections and never answers; ``asked`` counts them."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/"
        self.asked = 0

    def _take(self) -> None:
        with suppress(OSError):
            while True:
                self._open.append(self._server.accept()[0])
                self.asked += 1

    def __enter__(self) -> Self:
        threading.Thread(target=self._take, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        for each in (self._server, *self._open):
            each.close()
