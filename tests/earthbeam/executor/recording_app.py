"""The app as an executor sees it, in a thread: hands out one job and records every report."""

import json
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RUN = "2f6c0f9e-8a3c-4a0e-9df1-3f6f7f3f2b11"


@dataclass
class RecordingApp:
    """Start with ``with app:``; set ``payload`` (a dict) before the executor asks for its job."""

    payload: dict[str, Any] = field(default_factory=dict)
    roster: Callable[[], Iterable[bytes]] = lambda: ()
    roster_status: int = 200
    roster_busy: int = 0
    """So many roster requests are sent away first, as by an app that streams all it may."""
    roster_cut: bool = False
    refuse: dict[str, list[int]] = field(default_factory=dict)
    """Path's last part → statuses to answer its next posts with, before accepting."""
    on_report: Callable[[str, dict[str, Any]], None] = lambda name, body: None
    reports: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    progress: list[dict[str, Any]] = field(default_factory=list)
    """What was told of steps; beside the reports, as it comes when it may."""
    on_progress: Callable[[], int] = lambda: 201
    """Answers, with a status, what is told of steps."""
    roster_requests: int = 0
    roster_queries: list[str] = field(default_factory=list)
    """The query of each roster request."""
    no_names: bool = False
    """EDU gives no names."""
    init_status: int = 200
    init_requests: int = 0
    away: bool = False
    swallow_inits: int = 0
    """So many handshakes take effect, but their answers are lost."""
    swallow: dict[str, int] = field(default_factory=dict)
    """Path's last part → how many of its next posts are taken, but their answers are lost."""

    def __enter__(self) -> "RecordingApp":
        self._serve(0)
        return self

    def _serve(self, port: int) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def go_away(self, seconds: float) -> None:
        """Refuse connections, and drop those there are, for so long; called by a handler or not."""
        port = self.server.server_address[1]
        self.away = True
        self.server.shutdown()
        self.server.server_close()
        held = self.hold(port)

        def come_back() -> None:
            self.away = False
            self._serve(port)
            held.close()

        threading.Timer(seconds, come_back).start()

    @staticmethod
    def hold(port: int) -> socket.socket:
        """Keep the port from others, without listening, until ``_serve`` takes it again."""
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", port))
        return held

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/api/earthbeam"

    def app_urls(self, *, roster: bool) -> dict[str, str]:
        base = f"{self.url}/jobs/{RUN}"
        names = {
            "status": "status",
            "error": "error",
            "summary": "summary",
            "unmatchedIds": "unmatched-ids",
            "outputFiles": "output-files",
            "matches": "matches",
            "progress": "progress",
        } | ({"roster": "roster"} if roster else {})
        return {key: f"{base}/{path}" for key, path in names.items()}

    def posted(self, name: str) -> list[dict[str, Any]]:
        return [body for path, body in self.reports if path == name]

    def steps(self) -> list[str]:
        return [f"{body['action']} {body['status']}" for body in self.posted("status")]

    def outcome(self) -> str:
        return self.steps()[-1]

    def error(self) -> dict[str, Any]:
        (error,) = self.posted("error")
        return error

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        app = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet, or Nagle's algorithm costs 40 ms an answer

            def log_message(self, *_: object) -> None:
                pass

            def handle(self) -> None:
                with suppress(ConnectionError):  # an executor may be stopped at any moment
                    super().handle()

            def answer(self, status: int, body: Any, **headers: str) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:
                if self.path.endswith("/init"):
                    app.init_requests += 1
                    if app.swallow_inits:
                        app.swallow_inits -= 1
                        app.init_status = 401  # an init token works once
                        self.close_connection = True
                        return
                    if statuses := app.refuse.get("init"):
                        self.answer(statuses.pop(0), {})
                        return
                    url = f"{app.url}/jobs/{RUN}"
                    self.answer(app.init_status, {"token": "access-token-xyz", "jobUrl": url})
                elif self.headers["Authorization"] != "Bearer access-token-xyz":
                    self.answer(401, {})
                elif self.path.partition("?")[0].endswith("/roster"):
                    app.roster_requests += 1
                    app.roster_queries.append(self.path.partition("?")[2])
                    if app.no_names and app.roster_queries[-1]:
                        unavailable = {"code": "edu_names_unavailable", "detail": "No names."}
                        self.answer(409, unavailable)
                        return
                    self.stream_roster()
                else:
                    self.answer(200, app.payload)

            def stream_roster(self) -> None:
                if app.roster_requests <= app.roster_busy:
                    busy = {"code": "roster_streams_exhausted", "detail": "Try again later."}
                    self.answer(503, busy, Retry_After="15")
                    return
                if app.roster_status != 200:
                    self.answer(app.roster_status, {"detail": "EDU has no credentials"})
                    return
                self.send_response(200)
                self.send_header("Content-Type", "application/x-ndjson")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for line in app.roster():
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                    self.wfile.flush()
                if app.roster_cut:
                    self.close_connection = True
                else:
                    self.wfile.write(b"0\r\n\r\n")

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                name = self.path.rsplit("/", 1)[-1]
                if app.away:
                    self.close_connection = True
                    return
                if name == "progress":
                    app.progress.append(body)
                    self.answer(app.on_progress(), {})
                    return
                if statuses := app.refuse.get(name):
                    self.answer(statuses.pop(0), {})
                    return
                app.reports.append((name, body))
                app.on_report(name, body)
                if app.swallow.get(name):
                    app.swallow[name] -= 1
                    self.close_connection = True
                    return
                self.answer(201, {"uid": "0"} if name == "output-files" else {})

        return Handler
