"""Child process: lightbeam's own command line, whose requests go only to the intended ODS.

    python -I guarded_lightbeam.py -c lightbeam.yaml send …

lightbeam repeats a failed https call over http, with its credentials in the clear, and follows any
redirect. Here, for an ODS whose URL (EDFI_API_BASE_URL) begins with https, no request is sent over
http. An http URL on the ODS's own host, as from an ODS behind a proxy that ends TLS, is requested
over https instead; any other is refused. For every ODS, redirects are followed only to the same
scheme, host, and port.

lightbeam also sends on at full speed to an ODS that asks it to wait (429), and counts what it sends
meanwhile as failed. Here, all requests wait as long as the ODS asks, and the one that it refused is
repeated.
"""

import asyncio
import os
import sys
import time
import weakref
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import aiohttp
import requests
from lightbeam.__main__ import main
from yarl import URL

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds to wait if the ODS does not say how long: doubled each time. Longer ones are cut."""

LONGEST_WAIT = 5 * 60.0
"""Seconds without any request that the ODS takes, until it is asked no more."""


class Pace:
    """How long an ODS wants to be left alone."""

    def __init__(self) -> None:
        self._until = 0.0
        self._pause = FIRST_PAUSE
        self._taken_at = time.monotonic()

    async def wait(self) -> None:
        while (left := self._until - time.monotonic()) > 0:
            await asyncio.sleep(left)

    def slow_down(self, status: int, headers: Mapping[str, str]) -> bool:
        """Take notice of an answer. True if its request must be repeated after ``wait``."""
        asked = headers.get("Retry-After", "")
        if status != 429 and not (status == 503 and asked):
            self._taken_at, self._pause = time.monotonic(), FIRST_PAUSE
            return False
        if time.monotonic() - self._taken_at > LONGEST_WAIT:
            return False
        if time.monotonic() >= self._until:  # else it is an answer from before the pause
            # Dates, which Retry-After may be too, are rare: they count as no number.
            pause = min(float(asked) if asked.isdecimal() else self._pause, LONGEST_PAUSE)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            self._until = time.monotonic() + pause
            sys.stdout.write(f"The ODS asks to wait: {pause:g} s\n")
            sys.stdout.flush()
        return True


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
    pace = Pace()
    # lightbeam starts thousands of requests at once, which wait for a connection. Here they wait
    # before that, so that a pause is for all but those on their way.
    places: weakref.WeakKeyDictionary[Any, asyncio.Semaphore] = weakref.WeakKeyDictionary()

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
        target = URL(safe_url(str(url), base), encoded=True)
        if self not in places:
            places[self] = asyncio.Semaphore(self.connector.limit)
        async with places[self]:
            while True:
                await pace.wait()
                response = await request(self, method, target, **kwargs)
                if not pace.slow_down(response.status, response.headers):
                    return response
                response.release()

    adapter.send = guarded_send
    session.get_redirect_target = same_origin_target
    client._request = guarded_request


if __name__ == "__main__":
    guard(os.environ["EDFI_API_BASE_URL"])
    sys.argv[0] = "lightbeam"
    sys.exit(main())
