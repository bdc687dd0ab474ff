"""A stand-in for an OpenID Connect issuer: people sign in on a page, machines by their secret.

``python -m runway.sandbox.oidc`` serves one with the people and the clients of oidc_issuer.py. It
implements OpenID Connect Core 1.0 (code flow, with PKCE if the client uses it), Discovery 1.0, and
RFC 6749 (client credentials). Machines' access tokens are JWTs (RS256), as in RFC 9068.
"""

import argparse
import base64
import json
import signal
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from runway.sandbox.oidc_issuer import PEOPLE, Issuer, Machine, Person, Refused

__all__ = ["Machine", "Person", "SandboxOidc"]


class SandboxOidc(Issuer):
    """An issuer on loopback. Usable as a context manager, which serves in a thread.

    ``broken`` names paths that respond 500 from now on; ``asked`` counts requests by path.
    """

    def __init__(
        self,
        people: Iterable[Person] = PEOPLE,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        **clients: Any,
    ) -> None:
        super().__init__(people, **clients)
        self.broken: set[str] = set()
        self.asked: Counter[str] = Counter()
        self._server = _Server((host, port), self)
        address = self._server.server_address
        self.url = f"http://{address[0]!s}:{address[1]}"

    def serve_forever(self) -> None:
        """Serve in this thread until another one calls ``close``."""
        self._server.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, name="sandbox-oidc", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], issuer: SandboxOidc) -> None:
        self.issuer = issuer
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do not log clients that disconnect."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    wbufsize = -1
    timeout = 30

    def do_GET(self) -> None:
        issuer, parts = self.server.issuer, urlsplit(self.path)
        issuer.asked[parts.path] += 1
        length = int(self.headers.get("Content-Length") or 0)
        form = dict(parse_qsl(self.rfile.read(length).decode()))
        if parts.path in issuer.broken:
            self._json({"error": "server_error"}, 500)
            return
        try:
            match self.command, parts.path:
                case "GET", "/.well-known/openid-configuration":
                    self._json(issuer.discovery())
                case "GET", "/jwks":
                    self._json(issuer.jwks())
                case "GET", "/authorize":
                    page = issuer.login_page(dict(parse_qsl(parts.query)))
                    self._send(200, "text/html; charset=utf-8", page.encode())
                case "POST", "/authorize":
                    self._send(302, "text/plain", b"", Location=issuer.authorize(form))
                case "POST", "/token":
                    self._json(issuer.token(form, self._credentials(form)))
                case "GET" | "POST", "/userinfo":
                    token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                    self._json(issuer.userinfo(token))
                case _:
                    self._json({"error": "not_found"}, 404)
        except Refused as refused:
            self._json({"error": str(refused)}, refused.status)

    do_POST = do_GET

    def _credentials(self, form: Mapping[str, str]) -> tuple[str, str]:
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            name, _, secret = base64.b64decode(value).decode().partition(":")
            return name, secret
        return form.get("client_id", ""), form.get("client_secret", "")

    def _json(self, body: Any, status: int = 200) -> None:
        self._send(status, "application/json", json.dumps(body).encode())

    def _send(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Do not log requests: ``asked`` counts them."""


def main() -> None:
    """Print the issuer as the first line, and serve until terminated."""
    parser = argparse.ArgumentParser(prog="python -m runway.sandbox.oidc")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    options = parser.parse_args()
    issuer = SandboxOidc(**vars(options))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(issuer.url, flush=True)
    try:
        issuer.serve_forever()
    except KeyboardInterrupt:
        issuer.close()


if __name__ == "__main__":
    main()
