"""Exit statuses that tell a launcher why the executor could not reach the app.

Launchers put the status into words (``words_for``).
"""

import socket
import ssl
from dataclasses import dataclass

import requests

_CHECK_URL = "Check the app's address for executors (EXECUTOR_APP_URL, or APP_URL) and the network."


@dataclass(frozen=True)
class Cause:
    """``may_pass``: whether waiting can help, since the app may only be restarting."""

    exit_status: int
    words: str
    advice: str
    may_pass: bool = True


CERTIFICATE = Cause(
    20,
    "its certificate is not trusted",
    "If your own certificate authority signed it, set REQUESTS_CA_BUNDLE.",
    may_pass=False,
)
NAME = Cause(21, "its host name was not found", _CHECK_URL, may_pass=False)
REFUSED = Cause(22, "the connection was refused", _CHECK_URL)
TIMED_OUT = Cause(23, "it did not answer in time", _CHECK_URL)
FAILED = Cause(24, "it answered with errors", "Check the web processes and their log.")
BROKEN = Cause(25, "the connection failed", _CHECK_URL)

_CAUSES = {
    each.exit_status: each for each in (CERTIFICATE, NAME, REFUSED, TIMED_OUT, FAILED, BROKEN)
}


def words_for(exit_status: int) -> str | None:
    """Describe an exit status. None if it is not about reaching the app."""
    cause = _CAUSES.get(exit_status)
    if cause is None:
        return None
    return f"The run could not reach Runway: {cause.words}. {cause.advice}"


def cause_of(error: requests.RequestException) -> Cause:
    """Return the cause of a request's failure."""
    if isinstance(error, requests.Timeout):
        return TIMED_OUT
    for each in _chain(error):
        if isinstance(each, ssl.SSLCertVerificationError):
            return CERTIFICATE
        if isinstance(each, socket.gaierror):
            # A name server that is temporarily unavailable returns EAI_AGAIN.
            return BROKEN if each.errno == socket.EAI_AGAIN else NAME
        if isinstance(each, ConnectionRefusedError):
            return REFUSED
    return BROKEN


def _chain(error: BaseException) -> list[BaseException]:
    """Return the error and all it wraps: requests' errors hold urllib3's, and those hold others."""
    found: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        each = todo.pop()
        if isinstance(each, BaseException) and each not in found:
            found.append(each)
            todo += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]
    return found
