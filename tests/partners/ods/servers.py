"""Servers that tests point ODS connections at: the sandbox's ODS, and some that answer oddly."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from runway.sandbox.ods import SandboxOds
from runway.sandbox.population import students


@contextmanager
def sandbox_ods() -> Iterator[SandboxOds]:
    with SandboxOds(students()[:30]) as ods:
        yield ods


class OddServer:
    """Answers every request by ``answer``, which gets the handler; ``seen`` are the requests."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.answer = answer
        self.seen: list[tuple[str, str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                authorization = self.headers.get("Authorization", "")
                outer.seen.append((self.command, self.path, authorization))
                outer.answer(self)

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                """Tests look at ``seen``."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "OddServer":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def send(
    handler: BaseHTTPRequestHandler, status: int, body: str | bytes = "", **headers: str
) -> None:
    body = body.encode() if isinstance(body, str) else body
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
