"""Report to the app how far a step is, for people who watch. Optional, and never blocks a run.

The latest count is posted from a separate thread and connection, at most every two seconds, and
less often the longer a step takes. What cannot be posted at once is dropped. Only counts are sent,
nothing of a file's content.
"""

import threading
import time
from typing import Any

import requests

from earthbeam.executor.reporting.app_session import app_session

PAUSE = 2.0
"""Seconds between two reports on a step, at first."""
_LONGEST_PAUSE = 15.0
_SLOWER = 1.2
_TIMEOUT = (1.0, 2.0)
_FAILURES_MAX = 3


class CountReporter:
    """Posts to ``url`` with ``headers``. Without a URL it does nothing."""

    def __init__(self, url: str | None, headers: dict[str, str]) -> None:
        self._url = url
        self._headers = headers
        self._changed = threading.Condition()
        self._latest: dict[str, Any] | None = None
        self._action = ""
        self._thread: threading.Thread | None = None

    def begin(self, action: str) -> None:
        """Start the next step, and drop what is left to report on the previous one."""
        with self._changed:
            self._action, self._latest = action, None

    def report(self, done: int, total: int | None, unit: str) -> None:
        """Report ``done``, of ``total`` if that is known, for the current step. Returns at once."""
        if self._url is None or not self._action:
            return
        with self._changed:
            self._latest = {"action": self._action, "done": done, "total": total, "unit": unit}
            if self._thread is None:
                # A daemon, so that the executor's end does not wait for it.
                self._thread = threading.Thread(target=self._post, name="counts", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _post(self) -> None:
        session = app_session()
        failures, last_action, pause = 0, "", PAUSE
        while failures < _FAILURES_MAX:
            with self._changed:
                while self._latest is None:
                    self._changed.wait()
                counts, self._latest = self._latest, None
            pause = (
                min(pause * _SLOWER, _LONGEST_PAUSE) if counts["action"] == last_action else PAUSE
            )
            last_action = counts["action"]
            failures = 0 if self._posted(session, counts) else failures + 1
            time.sleep(pause)
        with self._changed:
            self._url = None

    def _posted(self, session: requests.Session, counts: dict[str, Any]) -> bool:
        assert self._url is not None
        try:
            answer = session.post(
                self._url,
                json=counts,
                headers=self._headers,
                timeout=_TIMEOUT,
                allow_redirects=False,
            )
        except requests.RequestException:
            return False
        return answer.status_code == 201
