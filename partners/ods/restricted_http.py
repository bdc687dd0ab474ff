"""Requests to a server that a person named, limited in time and size, and safe with credentials.

Anyone who may add an ODS connection makes the app call the URL they enter. Private networks are
allowed if ODS_NETWORKS includes them, since ODSs run there too. This machine itself is not, nor are
addresses at which a cloud provides credentials. Redirects are followed only to the same server, and
never with credentials.
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
"""How many checks one process runs. A check that takes longer than TOTAL_SECONDS still counts."""

T = TypeVar("T")
_places = threading.BoundedSemaphore(MAX_AT_ONCE)


class TookTooLong(Exception):
    """Not done within TOTAL_SECONDS, or all of MAX_AT_ONCE places were taken."""


@dataclass(frozen=True)
class Answer:
    """A response. ``body`` is cut at MAX_BYTES; ``location`` is a redirect's full target URL."""

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
    """The token, and nothing from the machine's .netrc."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _NoAuth(AuthBase):
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def get(url: str, auth: AuthBase | None = None) -> Answer:
    """Send a GET request. Without ``auth``, follows MAX_REDIRECTS, on the same server only.

    Raises requests.RequestException, and ForbiddenAddress.
    """
    answer = _send("GET", url, auth or _NoAuth())
    for _ in range(MAX_REDIRECTS if auth is None else 0):
        if not answer.is_redirect or origin(answer.location) != origin(url):
            break
        answer = _send("GET", answer.location, _NoAuth())
    return answer


def post_form(url: str, fields: dict[str, str], auth: HTTPBasicAuth) -> Answer:
    """POST a form with credentials. Returns a redirect as it is. Raises as ``get`` does."""
    return _send("POST", url, auth, fields)


def within_time(work: Callable[[], T], seconds: float = TOTAL_SECONDS) -> T:
    """Return or raise what ``work`` does. Raises TookTooLong after ``seconds``.

    A socket's timeout restarts with every byte, so a server could draw out its response for ever.
    Such work continues in a separate thread, and keeps its place until it ends.
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
            # A few compressed bytes could expand to many.
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
    """Return scheme, host, and port, which identify a server."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _connect(connection: HTTPConnection) -> socket.socket:
    """Connect to the one address that was checked; nothing is sent before that."""
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
