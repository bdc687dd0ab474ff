"""Report to the app where a run is: its steps in order, then how it ended."""

import json
import logging
import traceback
from collections.abc import Callable, Collection
from typing import Any

from earthbeam.executor.errors import StepFailed
from earthbeam.executor.job import AppUrls
from earthbeam.executor.reporting.app_client import AppClient

logger = logging.getLogger(__name__)

STACK_TRACE_BYTES = 6 * 1024
"""The limit for a stack trace, as JSON. Its end is kept, since that is the most useful part."""
_FIELD_BYTES = 1024
"""The limit for any other text. An error report stays under 8 kB."""


class Progress:
    """Posts the steps. One succeeds when the next begins; the current one fails with the run.

    ``redact`` removes secrets and student data from a text to report.
    """

    def __init__(self, app: AppClient, urls: AppUrls, redact: Callable[[str], str]) -> None:
        self._app = app
        self._urls = urls
        self._redact = redact
        self._current: str | None = None
        self._unconfirmed: tuple[str, str] | None = None
        self._counts = app.count_reporter(urls.progress)

    def begin(self, action: str) -> None:
        """Report the next step as begun, and the current one as succeeded."""
        self._end_current("success")
        logger.info("== %s", action)
        self._current = action
        self._post(action, "begin")
        self._counts.begin(action)

    def at(self, done: int, total: int | None, unit: str, *, steps: Collection[str] = ()) -> None:
        """Report how far the current step is; see counts.py.

        With ``steps``, only while one of them is current: what is fetched ahead does not belong to
        whatever step is running.
        """
        if not steps or self._current in steps:
            self._counts.report(done, total, unit)

    def succeed(self) -> None:
        """Report that the run has succeeded."""
        self._end_current("success")
        self._post("done", "success")

    def fail(self, error: StepFailed) -> None:
        """Report why the current step, and with it the run, has failed."""
        if self._unconfirmed is not None:
            # Interrupted while it was being posted; a repeat does no harm.
            self._post(*self._unconfirmed)
        payload = self._error_payload(error)
        logger.error("failed: %s %s\n%s", error.code, error.message, payload["stacktrace"])
        self._end_current("failure")
        self._app.report(self._urls.error, {"code": error.code, "payload": payload})
        self._post("done", "failure")

    def note_failure(self, message: str, error: StepFailed) -> None:
        """Log a failure that may not end the run, with as little about students as ``fail``."""
        logger.info("%s\n%s", message, self._error_payload(error)["stacktrace"])

    def _error_payload(self, error: StepFailed) -> dict[str, Any]:
        payload = error.payload()
        trace = payload.pop("stacktrace", None) or "".join(traceback.format_exception(error))
        return {
            **{key: self._bounded_field(value) for key, value in payload.items()},
            "stacktrace": _end_of(self._redact(trace), STACK_TRACE_BYTES),
        }

    def _bounded_field(self, value: object) -> object:
        if not isinstance(value, str):
            return value
        text = self._redact(value)
        while _size(text) > _FIELD_BYTES:
            text = text[: len(text) * 7 // 8]
        return text

    def _end_current(self, status: str) -> None:
        if self._current is not None:
            action, self._current = self._current, None
            self._post(action, status)

    def _post(self, action: str, status: str) -> None:
        self._unconfirmed = action, status
        self._app.report(self._urls.status, {"action": action, "status": status})
        self._unconfirmed = None


def _end_of(text: str, size: int) -> str:
    """Return the end of ``text`` that takes at most ``size`` bytes as JSON.

    There, a non-ASCII letter or a control character takes six.
    """
    end = text[-size:]
    while _size(end) > size:
        end = end[len(end) // 8 + 1 :]
    return end


def _size(text: str) -> int:
    return len(json.dumps(text))
