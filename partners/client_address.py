"""The address that a request comes from, which a client cannot forge."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str | None:
    """Return the client's IP address, or None if the server does not know, as over a Unix socket.

    Every proxy appends the address of its own client to ``X-Forwarded-For``. So only the last
    entries can be trusted, as many as there are proxies of ours (``PROXY_COUNT``). Without proxies,
    the client controls the whole header.
    """
    candidates = [request.META.get("REMOTE_ADDR", "")]
    if settings.PROXY_COUNT:
        hops = request.headers.get("X-Forwarded-For", "").split(",")
        if len(hops) >= settings.PROXY_COUNT:
            candidates.insert(0, hops[-settings.PROXY_COUNT])
    return next((found for each in candidates if (found := _address(each))), None)


def _address(text: str) -> str | None:
    text = text.strip()
    if text.startswith("["):  # an IPv6 address with its port
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # an IPv4 address with its port
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
