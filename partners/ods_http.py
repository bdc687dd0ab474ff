"""Requests to a server that somebody named: bounded in time and size, and careful with credentials.

Whoever may add an ODS connection makes the app call the address that they enter. Addresses of the
own network are fine, since ODSs stand there too; addresses by which a cloud hands out credentials
are not. Redirects are never followed with credentials.
"""

import ipaddress
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
TOTAL_SECONDS = 25.0
MAX_BYTES = 256 * 1024
MAX_REDIRECTS = 3
MAX_AT_ONCE = 40
"""Checks of one process; what a server draws out beyond TOTAL_SECONDS still counts."""

# fe80::/10 and 169.254/16 are link-local; AWS has this one beside them.
_METADATA = {ipaddress.ip_address("fd00:ec2::254")}

T = TypeVar("T")
_places = threading.BoundedSemaphore(MAX_AT_ONCE)


class ForbiddenAddress(Exception):
    """The name leads to an address that only this machine's cloud answers at."""


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
    """GET; without ``auth`` up to MAX_REDIRECTS are followed, to http and https only.

    Raises requests.RequestException, and ForbiddenAddress.
    """
    answer = _send("GET", url, auth or _NoAuth())
    for _ in range(MAX_REDIRECTS if auth is None else 0):
        if not answer.is_redirect or not _is_http(answer.location):
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


def _is_http(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _refuse_metadata(sock: socket.socket) -> socket.socket:
    """Asked of the connection itself, as a name may lead elsewhere the next time."""
    address = ipaddress.ip_address(sock.getpeername()[0].partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_link_local or address in _METADATA:
        sock.close()
        raise ForbiddenAddress(str(address))
    return sock


class _Http(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _refuse_metadata(super()._new_conn())


class _Https(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _refuse_metadata(super()._new_conn())


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
