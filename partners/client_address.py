"""From which address a request comes, where a client cannot make it up."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str | None:
    """The client's IP address, or None where the server does not tell, as over a Unix socket.

    Every proxy appends to ``X-Forwarded-For`` whom it was called by, so only as many entries from
    its end can be believed as there are proxies of ours (``PROXY_COUNT``); without one the header
    is the client's own invention.
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
