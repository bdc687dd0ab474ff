"""Telling a webhook: signed by the Standard Webhooks convention, and only to public addresses.

The URL is a partner admin's, so it must not lead into our own network: its name is looked up once,
every address it has must be public, and the connection goes to the very address that was checked.
"""

import ipaddress
import json
import socket
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import urllib3
from django.conf import settings
from django.utils import timezone
from standardwebhooks import Webhook as Signer

from earthbeam.models import Webhook

TIMEOUT = 10.0
"""Seconds to connect, and to wait for an answer."""
TYPE, TEST_TYPE = "run.completed", "webhook.test"


class NotAccepted(Exception):
    """The receiver did not take a message; ``str()`` of it says why, for people."""

    def __init__(self, reason: str, *, gone: bool = False) -> None:
        super().__init__(reason)
        self.gone = gone
        """The receiver says that it wants no more, ever."""


def send(
    webhook: Webhook, message_id: UUID, body: dict[str, Any], at: datetime, type_: str = TYPE
) -> int:
    """POST ``body``, what happened at ``at``; returns the status of the answer, 2xx.

    Redirects are not followed. Raises NotAccepted for everything else than 2xx.
    """
    content = json.dumps(
        {"type": type_, "timestamp": at.isoformat(), "data": body}, separators=(",", ":")
    )
    now = datetime.now(UTC)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Runway",
        "webhook-id": f"msg_{message_id.hex}",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(
            Signer(secret).sign(f"msg_{message_id.hex}", now, content)
            for secret in _secrets(webhook)
        ),
    }
    status = _post(webhook.url, content.encode(), headers)
    if status == 410:
        raise NotAccepted("It answered 410: it wants no more messages.", gone=True)
    if not 200 <= status < 300:
        raise NotAccepted(f"It answered {status}.")
    return status


def public_address(url: str) -> str:
    """An address of the URL's host, all of whose addresses are public. Raises NotAccepted.

    Private ones are allowed where the settings say so: for development and tests.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not settings.WEBHOOKS_MAY_BE_PRIVATE:
        raise NotAccepted("The URL must begin with https://.")
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, ValueError):
        raise NotAccepted("There is no host of that name.") from None
    addresses = [str(info[4][0]) for info in found]
    if not settings.WEBHOOKS_MAY_BE_PRIVATE and not all(map(_is_public, addresses)):
        raise NotAccepted("The host has a private address, which messages are not sent to.")
    return addresses[0]


def _is_public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return parsed.is_global and not parsed.is_multicast


def _post(url: str, content: bytes, headers: dict[str, str]) -> int:
    parts = urlsplit(url)
    address = public_address(url)
    host = parts.hostname or ""
    options: dict[str, Any] = {"timeout": TIMEOUT, "retries": False, "maxsize": 1}
    pool: urllib3.HTTPConnectionPool = (
        urllib3.HTTPSConnectionPool(
            address, parts.port or 443, server_hostname=host, assert_hostname=host, **options
        )
        if parts.scheme == "https"
        else urllib3.HTTPConnectionPool(address, parts.port or 80, **options)
    )
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    try:
        with pool:
            answer = pool.urlopen(
                "POST",
                target,
                body=content,
                headers=headers | {"Host": parts.netloc.rpartition("@")[2]},
                redirect=False,
                preload_content=False,  # what it says does not matter, and may be long
            )
            answer.close()
    except urllib3.exceptions.HTTPError as error:
        raise NotAccepted(f"It cannot be reached ({type(error).__name__}).") from None
    return int(answer.status)


def _secrets(webhook: Webhook) -> list[str]:
    until = webhook.previous_secret_until
    old = webhook.previous_secret if until and until > timezone.now() else ""
    return [webhook.secret, *([old] if old else [])]
