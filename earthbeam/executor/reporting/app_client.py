"""The executor's client of the app: the handshake, the job, reports, and the roster stream."""

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests
from urllib3.exceptions import HTTPError, NewConnectionError

from earthbeam.executor.errors import AppUnreachable
from earthbeam.executor.job import KINDS
from earthbeam.executor.processes import running
from earthbeam.executor.reporting.app_session import app_session
from earthbeam.executor.reporting.counts import CountReporter
from earthbeam.executor.rosters.gzip_stream import BrokenGzip, inflate
from earthbeam.executor.unreachable import FAILED, cause_of

logger = logging.getLogger(__name__)

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds between tries of a report. An app that restarts within a minute loses nothing."""
_FEW_TRIES = 3
"""If waiting cannot help, as with a certificate that is not trusted."""

_TIMEOUT = (10, 60)  # seconds to connect, seconds without a byte
_ROSTER_TIMEOUT = (10, 300)  # EDU's warehouse may have to wake up before the first byte
_CHUNK = 1024 * 1024
BUSY = re.compile(r'"code": ?"(roster_streams|edu_pool)_exhausted"')
"""The app's answer while it has no capacity for another stream."""
NO_NAMES = re.compile(r'"code": ?"(edu_names_unavailable|identity_checks_disabled)"')
"""The app's answer if it cannot or may not give students' names."""


class Refused(Exception):
    """The app's answer is not what the contract promises. ``status`` is its HTTP status."""

    def __init__(self, what: str, response: requests.Response) -> None:
        super().__init__(f"the app answered {what} with status {response.status_code}")
        self.status = response.status_code


class BrokenRoster(Exception):
    """The roster stream failed or was incomplete.

    Unless ``final``, a retry may help, after ``retry_after`` seconds if the app sent that. With
    ``busy``, other runs are using all of the app's streams. With ``no_names``, the app refuses
    only the names that were asked for.
    """

    def __init__(
        self,
        message: str,
        retry_after: float | None = None,
        *,
        final: bool = False,
        busy: bool = False,
        no_names: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.final = final
        self.busy = busy
        self.no_names = no_names


class AppClient:
    """Sends one run's requests. Reports are sent in order, each until the app accepts it.

    With ``roster_gzip`` it asks the app to compress the roster, for a slow link between the two.
    """

    def __init__(self, *, roster_gzip: bool = False) -> None:
        self._roster_encoding = "gzip, identity;q=0.5" if roster_gzip else "identity"
        self._session = app_session()

    def init(self, url: str, token: str) -> tuple[str, str]:
        """Trade the init token for an access token, and return that and the job's URL.

        Retries while the app cannot be reached or fails. The app accepts a token only once. So if a
        retry is refused, an earlier try whose response was lost may have begun the run. Then
        nothing carries the run out, since no executor has its access token. Raises Refused or
        AppUnreachable.
        """
        answer_lost = False
        for tries, pause in enumerate((*PAUSES, None), start=1):
            try:
                headers = _bearer(token) | {"Runway-Kinds": ",".join(KINDS)}
                response = self._session.get(
                    url, headers=headers, timeout=_TIMEOUT, allow_redirects=False
                )
            except requests.RequestException as error:
                problem, cause = type(error).__name__, cause_of(error)
                answer_lost |= not _was_never_sent(error)
            else:
                if response.status_code == 200:
                    return self._begin(response)
                if response.status_code < 500 and response.status_code != 429:
                    what = "the init handshake"
                    if answer_lost:
                        what += ", of which an earlier try may have counted though its answer was"
                        what += " lost,"
                    raise Refused(what, response)
                problem, cause = f"status {response.status_code}", FAILED
                answer_lost = True
            if pause is None or (not cause.may_pass and tries == _FEW_TRIES):
                break
            logger.warning("init handshake: %s; again in %.0f s", problem, pause)
            running.wait(pause)
        raise AppUnreachable(f"init handshake: {problem}, in {tries} tries", cause)

    def _begin(self, response: requests.Response) -> tuple[str, str]:
        try:
            body = response.json()
            access_token, job_url = str(body["token"]), str(body["jobUrl"])
        except (requests.JSONDecodeError, TypeError, KeyError):
            raise Refused("the init handshake with no token and job URL, but", response) from None
        self._session.headers.update(_bearer(access_token))
        return access_token, job_url

    def job(self, url: str) -> Any:
        """Return the job payload, unchecked. Raises Refused or AppUnreachable."""
        return self._until_answered("GET", url, None, 200).json()

    def report(self, url: str, body: dict[str, Any], *, once: bool = False) -> None:
        """Post a report. Raises Refused (the app will never accept it) or AppUnreachable.

        ``once``: the app answers a repeat with 409, so after a lost response that means it has the
        report.
        """
        self._until_answered("POST", url, body, *((201, 409) if once else (201,)))

    def offer(self, url: str | None, body: dict[str, Any]) -> None:
        """Post a report that the app may not support. No answer to it fails the run."""
        if url is None:
            return
        try:
            self.report(url, body)
        except (Refused, AppUnreachable) as error:
            logger.warning("an optional report was not taken: %s", error)

    def _until_answered(
        self, method: str, url: str, body: Any, *expected: int
    ) -> requests.Response:
        for tries, pause in enumerate((*PAUSES, None), start=1):
            try:
                response = self._session.request(
                    method, url, json=body, timeout=_TIMEOUT, allow_redirects=False
                )
            except requests.RequestException as error:
                problem, cause = type(error).__name__, cause_of(error)
            else:
                if response.status_code in expected:
                    return response
                if response.status_code < 500 and response.status_code != 429:
                    raise Refused(f"{method} {url}", response)
                problem, cause = f"status {response.status_code}", FAILED
            if pause is None or (not cause.may_pass and tries == _FEW_TRIES):
                break
            logger.warning("%s %s: %s; again in %.0f s", method, url, problem, pause)
            running.wait(pause)
        raise AppUnreachable(f"{method} {url}: {problem}, in {tries} tries", cause)

    def count_reporter(self, url: str | None) -> CountReporter:
        """Return a reporter of a step's progress, which does nothing if ``url`` is None."""
        return CountReporter(url, {"Authorization": str(self._session.headers["Authorization"])})

    def download_roster(
        self, url: str, target: Path, on_progress: Callable[[int], None] = lambda students: None
    ) -> None:
        """Stream EDU's roster to ``target``: all of it, or BrokenRoster and no file.

        ``on_progress`` is called repeatedly with the number of students so far.

        The stream cannot report an error itself, so every sign of a cut counts as one: an
        incomplete read, a body whose end is not marked, or a last line without its end.
        """
        partial = target.with_suffix(".partial")
        headers = {
            **self._session.headers,
            "Accept": "application/x-ndjson",
            "Accept-Encoding": self._roster_encoding,
        }
        try:
            # A separate session, since reports may be posted meanwhile.
            with (
                app_session() as session,
                session.get(
                    url,
                    headers=headers,
                    timeout=_ROSTER_TIMEOUT,
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                _check_roster_answer(response)
                last, students = b"", 0
                with partial.open("wb") as file:
                    for chunk in _roster_lines(response):
                        file.write(chunk)
                        last = chunk[-1:] or last
                        students += chunk.count(b"\n")
                        on_progress(students)
            if last not in (b"", b"\n"):
                raise BrokenRoster("the roster ended in the middle of a line")
            partial.replace(target)
        except (requests.RequestException, HTTPError) as error:
            raise BrokenRoster(f"the roster stream broke off ({type(error).__name__})") from None
        except BrokenGzip as error:
            raise BrokenRoster(f"the roster's gzip stream is broken: {error}") from None
        finally:
            partial.unlink(missing_ok=True)


def _check_roster_answer(response: requests.Response) -> None:
    if response.status_code != 200:
        seconds = response.headers.get("Retry-After", "")
        reason = ""
        if response.headers.get("Content-Type", "").startswith("application/json"):
            reason = f": {response.text[:500]}"
        busy = response.status_code == 503 and BUSY.search(reason) is not None
        raise BrokenRoster(
            f"the app answered the roster request with status {response.status_code}{reason}",
            retry_after=float(seconds) if seconds.isdecimal() else None,
            final=response.status_code < 500 and response.status_code not in (408, 429),
            busy=busy,
            no_names=NO_NAMES.search(reason) is not None,
        )
    ends_marked = (
        response.headers.get("Transfer-Encoding") == "chunked"
        or response.headers.get("Content-Length", "").isdecimal()
    )
    if not ends_marked:
        raise BrokenRoster("the roster's end is not marked (a proxy that speaks HTTP/1.0?)")


def _roster_lines(response: requests.Response) -> Iterator[bytes]:
    """Yield the decompressed body. urllib3 would accept a gzip stream that was cut off."""
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding == "identity":
        yield from _roster_bytes(response)
    elif encoding == "gzip":
        yield from inflate(_roster_bytes(response), _CHUNK)
    else:
        raise BrokenRoster(
            f"the roster came in an encoding that was not asked for: {encoding[:40]}", final=True
        )


def _roster_bytes(response: requests.Response) -> Iterator[bytes]:
    """Yield the body as received. Raises BrokenRoster if it is not complete."""
    received = 0
    for chunk in response.raw.stream(_CHUNK, decode_content=False):
        received += len(chunk)
        yield chunk
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) != received:
        raise BrokenRoster("the roster is not as long as was announced")


def _was_never_sent(error: requests.RequestException) -> bool:
    """Whether the request cannot have reached the app, since there was no connection."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
