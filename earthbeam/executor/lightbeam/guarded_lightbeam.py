"""Child process: lightbeam's own command line, whose requests go only to the intended ODS.

    python -I guarded_lightbeam.py -c lightbeam.yaml send …

lightbeam repeats a failed https call over http, with its credentials in the clear, and follows any
redirect. Here, for an ODS whose URL (EDFI_API_BASE_URL) begins with https, no request is sent over
http. An http URL on the ODS's own host, as from an ODS behind a proxy that ends TLS, is requested
over https instead; any other is refused. For every ODS, redirects are followed only to the same
scheme, host, and port.
"""

import os
import sys
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import aiohttp
import requests
from lightbeam.__main__ import main
from yarl import URL


class Refused(requests.ConnectionError):
    """A request would use http although the ODS's URL is https."""


def safe_url(url: str, base: str) -> str:
    """Return ``url``, with https if ``base`` has it. Raises Refused for another host's http URL."""
    asked, ods = urlsplit(url), urlsplit(base)
    if ods.scheme != "https" or asked.scheme == "https":
        return url
    if asked.scheme != "http" or asked.hostname != ods.hostname:
        raise Refused("the ODS is reached by https, and named an address that is not")
    netloc = ods.netloc if asked.port in (None, 80) else asked.netloc
    return urlunsplit(asked._replace(scheme="https", netloc=netloc))


def same_origin(url: str, other: str) -> bool:
    """Whether both have the same scheme, host, and port."""
    return _origin(urlsplit(url)) == _origin(urlsplit(other))


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def guard(base: str) -> None:
    """Make all requests of this process, by requests or by aiohttp, follow the rules above."""
    adapter: Any = requests.adapters.HTTPAdapter
    session: Any = requests.Session
    client: Any = aiohttp.ClientSession
    send, redirect_target, request = adapter.send, session.get_redirect_target, client._request

    def guarded_send(self: Any, prepared: Any, *args: Any, **kwargs: Any) -> Any:
        prepared.url = safe_url(prepared.url, base)
        return send(self, prepared, *args, **kwargs)

    def same_origin_target(self: Any, response: Any) -> str | None:
        target = redirect_target(self, response)
        if target is None or not same_origin(urljoin(response.url, target), response.url):
            return None
        return str(target)

    async def guarded_request(self: Any, method: str, url: Any, **kwargs: Any) -> Any:
        kwargs["allow_redirects"] = False
        return await request(self, method, URL(safe_url(str(url), base), encoded=True), **kwargs)

    adapter.send = guarded_send
    session.get_redirect_target = same_origin_target
    client._request = guarded_request


if __name__ == "__main__":
    guard(os.environ["EDFI_API_BASE_URL"])
    sys.argv[0] = "lightbeam"
    sys.exit(main())
