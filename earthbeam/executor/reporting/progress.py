"""Telling the app where a run is: steps in order, then how it ended."""

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
"""Of a stack trace, as JSON: its end says most."""
_FIELD_BYTES = 1024
"""Of any other text; an error report stays under 8 kB."""


class Progress:
    """Posts the steps: one succeeds when the next begins; the one current in a failure failed.

    ``redact`` takes secrets and students out of a text that is to be reported.
    """

    def __init__(self, app: AppClient, urls: AppUrls, redact: Callable[[str], str]) -> None:
        self._app = app
        self._urls = urls
        self._redact = redact
        self._current: str | None = None
        self._unconfirmed: tuple[str, str] | None = None
        self._whereabouts = app.whereabouts(urls.progress)

    def begin(self, action: str) -> None:
        """The next step begins, so the current one has succeeded."""
        self._end_current("success")
        logger.info("== %s", action)
        self._current = action
        self._post(action, "begin")
        self._whereabouts.begin(action)

    def at(self, done: int, total: int | None, unit: str, *, steps: Collection[str] = ()) -> None:
        """How far the current step is, for those who watch; see whereabouts.py.

        With ``steps`` it counts only while one of them is current: what is fetched ahead is not
        about the step that happens to be.
        """
        if not steps or self._current in steps:
            self._whereabouts.tell(done, total, unit)

    def succeed(self) -> None:
        """The run has done all it had to."""
        self._end_current("success")
        self._post("done", "success")

    def fail(self, error: StepFailed) -> None:
        """The run cannot go on: the current step failed, why, and that was it."""
        if self._unconfirmed is not None:
            # Interrupted as it was being posted; a repeat does no harm.
            self._post(*self._unconfirmed)
        payload = self._error_payload(error)
        logger.error("failed: %s %s\n%s", error.code, error.message, payload["stacktrace"])
        self._end_current("failure")
        self._app.report(self._urls.error, {"code": error.code, "payload": payload})
        self._post("done", "failure")

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
    """The end of ``text`` that takes at most ``size`` bytes as JSON, where a letter outside ASCII
    or a control character takes six."""
    end = text[-size:]
    while _size(end) > size:
        end = end[len(end) // 8 + 1 :]
    return end


def _size(text: str) -> int:
    return len(json.dumps(text))
