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

lightbeam does not tell which records were lost on their way, and tells nothing of what it deleted.
Here, its results have both.
"""

import asyncio
import json
import os
import sys
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import aiohttp
import requests
from yarl import URL

# jsonschema imports it where it is installed, and it takes several times what all else here does.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

from lightbeam.__main__ import main  # noqa: E402
from lightbeam.delete import Deleter  # noqa: E402
from lightbeam.send import Sender  # noqa: E402

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds to wait if the ODS does not say how long: doubled each time. Longer ones are cut."""

LONGEST_WAIT = 5 * 60.0
"""Seconds without any request that the ODS takes, until it is asked no more."""


LOST = 0
"""The status of a record that got no answer."""


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


def tell_lost_records() -> None:
    """Have the results list the lines of records that got no answer, or one that is not JSON."""
    sender: Any = Sender
    post = sender.do_post

    async def told_post(
        self: Any, endpoint: str, file_name: str, data: str, line: int, data_hash: bytes
    ) -> None:
        before = self.hashlog_data.get(data_hash)
        try:
            await post(self, endpoint, file_name, data, line, data_hash)
        finally:
            # Answers are in the hash log, except for 400, which are among the failures only.
            failures = self.lightbeam.metadata["resources"][endpoint].setdefault("failures", [])
            if self.hashlog_data.get(data_hash) is before and not any(
                failure["line_numbers"][-1] == line for failure in failures
            ):
                _add_lost(failures, file_name, line)

    sender.do_post = told_post


def _add_lost(failures: list[dict[str, Any]], file_name: str, line: int) -> None:
    for failure in failures:
        if failure["status_code"] == LOST and failure["file"] == file_name:
            failure["line_numbers"].append(line)
            failure["count"] += 1
            return
    failures.append(
        {
            "status_code": LOST,
            "message": "The record was lost on its way.",
            "file": file_name,
            "line_numbers": [line],
            "count": 1,
        }
    )


def tell_deleted_records() -> None:
    """Have a results file written with how many records are gone, by resource."""
    deleter: Any = Deleter
    do_deletes = deleter.do_deletes
    results: dict[str, dict[str, int]] = {}

    async def told_deletes(self: Any, endpoint: str) -> None:
        try:
            await do_deletes(self, endpoint)
        finally:  # lightbeam ends its process at the first connection that breaks
            statuses, reasons = self.lightbeam.status_counts, self.lightbeam.status_reasons
            results[endpoint] = {
                "deleted": statuses.get(204, 0),
                "missing": statuses.get(404, 0) + reasons.get("payload not found in API", 0),
            }
            Path(self.lightbeam.results_file).write_text(json.dumps(results))

    deleter.do_deletes = told_deletes


if __name__ == "__main__":
    tell_lost_records()
    tell_deleted_records()
    guard(os.environ["EDFI_API_BASE_URL"])
    sys.argv[0] = "lightbeam"
    sys.exit(main())
