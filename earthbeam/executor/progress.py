"""Telling the app where a run is: steps in order, then how it ended."""

import logging
import traceback

from earthbeam.executor.app_client import AppClient
from earthbeam.executor.errors import StepFailed
from earthbeam.executor.job import AppUrls
from earthbeam.executor.log import Redactor

logger = logging.getLogger(__name__)

STACK_TRACE_BYTES = 6 * 1024
"""An error report stays under 8 kB: the end of a stack trace says most."""


class Progress:
    """Posts the steps: one succeeds when the next begins; the one current in a failure failed."""

    def __init__(self, app: AppClient, urls: AppUrls, redactor: Redactor) -> None:
        self._app = app
        self._urls = urls
        self._redactor = redactor
        self._current: str | None = None

    def begin(self, action: str) -> None:
        """The next step begins, so the current one has succeeded."""
        self._end_current("success")
        logger.info("== %s", action)
        self._post(action, "begin")
        self._current = action

    def succeed(self) -> None:
        """The run has done all it had to."""
        self._end_current("success")
        self._post("done", "success")

    def fail(self, error: StepFailed) -> None:
        """The run cannot go on: the current step failed, why, and that was it."""
        self._end_current("failure")
        payload = error.payload()
        trace = payload.pop("stacktrace", None) or "".join(traceback.format_exception(error))
        body = {
            "code": error.code,
            "payload": {
                **{key: self._redacted(value) for key, value in payload.items()},
                "stacktrace": _end_of(self._redactor.redact(trace)),
            },
        }
        logger.error("failed: %s %s", error.code, error.message)
        self._app.report(self._urls.error, body)
        self._post("done", "failure")

    def _redacted(self, value: object) -> object:
        return self._redactor.redact(value) if isinstance(value, str) else value

    def _end_current(self, status: str) -> None:
        if self._current is not None:
            action, self._current = self._current, None
            self._post(action, status)

    def _post(self, action: str, status: str) -> None:
        self._app.report(self._urls.status, {"action": action, "status": status})


def _end_of(trace: str) -> str:
    return trace.encode()[-STACK_TRACE_BYTES:].decode(errors="ignore")
