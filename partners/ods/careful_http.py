"""Requests to a server that somebody named: bounded in time and size, and careful with credentials.

Whoever may add an ODS connection makes the app call the address that they enter. Private networks
are allowed where ODS_NETWORKS says so, since ODSs stand there too; this machine itself is not, nor
are addresses by which a cloud hands out credentials. Redirects are followed to the same server
only, and never with credentials.
"""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

from partners import addresses
from partners.addresses import ForbiddenAddress

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
TOTAL_SECONDS = 25.0
MAX_BYTES = 256 * 1024
MAX_REDIRECTS = 3
MAX_AT_ONCE = 40
"""Checks of one process; what a server draws out beyond TOTAL_SECONDS still counts."""

T = TypeVar("T")
_places = threading.BoundedSemaphore(MAX_AT_ONCE)


class TookTooLong(Exception):
    """No end within TOTAL_SECONDS, or none of MAX_AT_ONCE places was free to begin."""


@dataclass(frozen=True)
class Answer:
    """``body`` is cut at MAX_BYTES; ``location`` is where a redirect leads, as a whole address."""

    url: str
    status: int
    reason: str
    headers: dict[str, str]
    body: bytes
    location: str = ""

    @property
    def is_redirect(self) -> bool:
        return 300 <= self.status < 400


class BearerAuth(AuthBase):
    """The token, and nothing that a .netrc of the machine might know."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _NoAuth(AuthBase):
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def get(url: str, auth: AuthBase | None = None) -> Answer:
    """GET; without ``auth`` up to MAX_REDIRECTS are followed, on the same server only.

    Raises requests.RequestException, and ForbiddenAddress.
    """
    answer = _send("GET", url, auth or _NoAuth())
    for _ in range(MAX_REDIRECTS if auth is None else 0):
        if not answer.is_redirect or origin(answer.location) != origin(url):
            break
        answer = _send("GET", answer.location, _NoAuth())
    return answer


def post_form(url: str, fields: dict[str, str], auth: HTTPBasicAuth) -> Answer:
    """POST a form with credentials; a redirect is the answer. Raises as ``get`` does."""
    return _send("POST", url, auth, fields)


def within_time(work: Callable[[], T], seconds: float = TOTAL_SECONDS) -> T:
    """What ``work`` returns or raises; TookTooLong if that takes longer than ``seconds``.

    A time limit of sockets starts anew with every byte, so a server could draw an answer out for
    ever. Such work is left behind in a thread of its own, and keeps its place until it ends.
    """
    if not _places.acquire(blocking=False):
        raise TookTooLong
    outcome: list[Callable[[], T]] = []

    def run() -> None:
        try:
            result = work()
            outcome.append(lambda: result)
        except BaseException as raised:  # noqa: BLE001 -- raised again for the caller
            error = raised
            outcome.append(lambda: _throw(error))
        finally:
            _places.release()

    thread = threading.Thread(target=run, name="ods-check", daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TookTooLong
    return outcome[0]()


def _throw(error: BaseException) -> Any:
    raise error


def _send(method: str, url: str, auth: AuthBase, fields: dict[str, str] | None = None) -> Answer:
    with requests.Session() as session:
        session.mount("http://", _Adapter())
        session.mount("https://", _Adapter())
        with session.request(
            method,
            url,
            data=fields,
            auth=auth,
            allow_redirects=False,
            stream=True,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            # A few bytes could unpack to many.
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        ) as response:
            location = response.headers.get("Location", "")
            return Answer(
                url=url,
                status=response.status_code,
                reason=str(response.reason or ""),
                headers={name.lower(): value for name, value in response.headers.items()},
                body=_body(response),
                location=urljoin(url, location) if location else "",
            )


def _body(response: requests.Response) -> bytes:
    try:
        return response.raw.read(MAX_BYTES, decode_content=False) or b""
    except OSError as error:
        raise requests.ConnectionError(error) from error


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host, and port: what makes two addresses lead to the same server."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _connect(connection: HTTPConnection) -> socket.socket:
    """A connection to the one address that was checked, before anything is sent or connected."""
    host, port = connection._dns_host, connection.port or connection.default_port
    try:
        found = addresses.resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise NameResolutionError(host, connection, socket.gaierror(str(error))) from error
    if not all(addresses.is_allowed(address, settings.ODS_NETWORKS) for address in found):
        raise ForbiddenAddress(host)
    try:
        return create_connection(
            (found[0], port), connection.timeout, socket_options=connection.socket_options
        )
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, "took no connection") from error
    except OSError as error:
        raise NewConnectionError(connection, f"no connection: {error}") from error


class _Http(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _Https(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
