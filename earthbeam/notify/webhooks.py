"""Send webhook messages, signed in the Standard Webhooks format, or sentences to chats.

Only to public addresses: partner admins choose the URL, so it must not lead into our own network.
Its name is looked up once, all its addresses must be public, and the connection goes to the address
that was checked.
"""

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from django.utils.encoding import iri_to_uri
from standardwebhooks import Webhook as Signer

from earthbeam.models import Webhook
from earthbeam.notify import chat
from partners import addresses

TIMEOUT = 10.0
"""Seconds for the whole request: to connect, send, and get the response."""
TYPE, TEST_TYPE = "run.completed", "webhook.test"


class NotAccepted(Exception):
    """The receiver did not accept a message. ``str()`` of it says why, for people."""

    def __init__(self, reason: str, *, gone: bool = False) -> None:
        super().__init__(reason)
        self.gone = gone
        """The receiver wants no further messages, ever."""


class NotReached(NotAccepted):
    """The receiver does not answer, so it would not accept another message now either."""


def send(
    webhook: Webhook, message_id: UUID, body: dict[str, Any], at: datetime, type_: str = TYPE
) -> int:
    """POST ``body`` about an event at the time ``at``, and return the response's status, 2xx.

    Follows no redirects. Raises NotAccepted for any status other than 2xx.
    """
    headers = {"Content-Type": "application/json", "User-Agent": "Runway"}
    if webhook.format == Webhook.Format.SIGNED:
        message = {"type": type_, "timestamp": at.isoformat(), "data": body}
        content = json.dumps(message, separators=(",", ":"))
        headers |= _signature(webhook, message_id, content)
    else:
        content = json.dumps(chat.message(webhook.format, body))
    status = _post(webhook.url, content.encode(), headers)
    if status == 410:
        raise NotAccepted("It answered 410: it wants no more messages.", gone=True)
    if not 200 <= status < 300:
        raise NotAccepted(f"It answered {status}.")
    return status


def _signature(webhook: Webhook, message_id: UUID, content: str) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": f"msg_{message_id.hex}",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(
            Signer(secret).sign(f"msg_{message_id.hex}", now, content)
            for secret in _secrets(webhook)
        ),
    }


def public_address(url: str) -> str:
    """Return an address of the URL's host if all its addresses are public. Raises NotAccepted.

    Settings allow private ones for development and tests.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not settings.WEBHOOKS_MAY_BE_PRIVATE:
        raise NotAccepted("The URL must begin with https://.")
    try:
        found = addresses.resolve(parts.hostname or "", parts.port or 443)
    except (OSError, UnicodeError, ValueError):
        raise NotReached("There is no host of that name.") from None
    if not settings.WEBHOOKS_MAY_BE_PRIVATE and not all(map(addresses.is_public, found)):
        raise NotAccepted("The host has a private address, which messages are not sent to.")
    return found[0]


def _post(url: str, content: bytes, headers: dict[str, str]) -> int:
    address, parts = public_address(url), urlsplit(url)
    secure = parts.scheme == "https"
    host = (parts.hostname or "").encode("idna").decode()
    port = parts.port or (443 if secure else 80)
    target = iri_to_uri(f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}")
    authority = parts.netloc.rpartition("@")[2].encode("idna").decode()
    try:
        with _line(address, port) as line, closing(HTTPConnection(host, port)) as connection:
            connection.sock = _encrypted(line, host) if secure else line
            connection.request("POST", target, content, headers | {"Host": authority})
            return connection.getresponse().status  # the rest of the response does not matter
    except (OSError, HTTPException) as error:
        raise NotReached(f"It cannot be reached ({type(error).__name__}).") from None


@contextmanager
def _line(address: str, port: int) -> Iterator[socket.socket]:
    """Yield a connection that ends with a TimeoutError after TIMEOUT seconds in total.

    A socket's own timeout restarts with every byte, so a receiver could draw it out.
    """
    begun, late = time.monotonic(), threading.Event()

    def cut() -> None:
        late.set()
        with suppress(OSError):  # it may have ended by itself
            same.shutdown(socket.SHUT_RDWR)

    # TLS takes over the first one.
    with (
        socket.create_connection((address, port), timeout=TIMEOUT) as line,
        line.dup() as same,
    ):
        timer = threading.Timer(max(0.0, begun + TIMEOUT - time.monotonic()), cut)
        timer.start()
        try:
            yield line
        finally:
            timer.cancel()
            timer.join()
            if late.is_set():  # to http.client, a partial response looks complete
                raise TimeoutError


def _encrypted(line: socket.socket, host: str) -> socket.socket:
    """Start TLS with a trusted certificate of ``host``. Raises OSError."""
    return ssl.create_default_context().wrap_socket(line, server_hostname=host)


def _secrets(webhook: Webhook) -> list[str]:
    until = webhook.previous_secret_until
    old = webhook.previous_secret if until and until > timezone.now() else ""
    return [webhook.secret, *([old] if old else [])]
