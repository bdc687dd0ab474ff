"""Faults of the ODS stand-in, on demand."""

import threading
import time
from dataclasses import dataclass, fields
from typing import Any, Literal, Self


@dataclass(frozen=True)
class Faults:
    """Settings for the ways in which an ODS fails. By default, everything works.

    A "data request" is one below ``/data/v3`` that has a valid token. Pages count from 1.
    """

    refuse_credentials: bool = False
    """The token endpoint refuses every client."""

    empty_roster: bool = False
    """The ODS has no students."""

    refuse_students: bool = False
    """The client may not read students, only their associations."""

    roster_page: int = 1
    """The roster page that ``roster_page_status`` is about."""

    roster_page_status: int | None = None
    """Respond to that page with this status, such as 403 or 500."""

    roster_page_times: int | None = None
    """Do so this many times, then respond properly. None means always."""

    token_requests: int | None = None
    """A token is valid for this many data requests. After that, they get 401 and need a new one."""

    throttle_every: int | None = None
    """Every this many data requests, one gets 429 with a Retry-After of one second."""

    posts_per_second: int | None = None
    """More POSTs than this in a second get 429 with a Retry-After of one second."""

    reject_posts: bool = False
    """Refuse every POST with a validation error."""

    reject_every: int | None = None
    """Refuse one of every this many POSTs with a validation error."""

    reject_resource: str = ""
    """Refuse and count POSTs of this resource only. Empty means every resource."""

    refuse_delete_every: int | None = None
    """Refuse one of every this many DELETEs."""

    delay_seconds: float = 0.0
    """Delay the response to every data request by this long."""

    post_delay_seconds: float = 0.0
    """Delay every POST by this long, in addition to ``delay_seconds``."""

    reset_after: int | None = None
    """After this many data requests, reset the connection of every further one."""

    @classmethod
    def from_json(cls, knobs: Any) -> Self:
        """Read faults from a JSON object. Raises ValueError that names a wrong fault or value."""
        if not isinstance(knobs, dict):
            raise ValueError('Faults are a JSON object, such as {"reject_posts": true}.')
        known = {field.name: field.default for field in fields(cls)}
        for name, value in knobs.items():
            if name not in known:
                raise ValueError(f"There is no fault {name!r}; there are {', '.join(known)}.")
            if not _fits(value, known[name]):
                raise ValueError(f"The fault {name!r} cannot be {value!r}.")
        return cls(**knobs)


def _fits(value: Any, default: Any) -> bool:
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if isinstance(default, str):
        return isinstance(value, str)
    if isinstance(default, float):
        return isinstance(value, int | float) and value >= 0
    if default is None:
        return value is None or (isinstance(value, int) and value >= 0)
    return isinstance(value, int) and value >= 1


class FaultCounter:
    """Counts requests, and decides which of them fail. Thread-safe."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._data_requests = 0
        self._posts = 0
        self._deletes = 0
        self._second, self._in_second = 0, 0
        self._failed_pages = 0
        self._token_uses: dict[str, int] = {}
        self._lock = threading.Lock()

    def token_expired(self, token: str) -> bool:
        """Count one use of a token. True if that is one too many."""
        with self._lock:
            self._token_uses[token] = uses = self._token_uses.get(token, 0) + 1
        return self.faults.token_requests is not None and uses > self.faults.token_requests

    def data_request(self) -> Literal["reset", "throttle"] | None:
        """Count a data request, and return its fault, if any."""
        with self._lock:
            self._data_requests += 1
            count = self._data_requests
        if self.faults.reset_after is not None and count > self.faults.reset_after:
            return "reset"
        if self.faults.throttle_every and count % self.faults.throttle_every == 0:
            return "throttle"
        return None

    def post_throttled(self) -> bool:
        """Count a POST. True if there were too many in this second."""
        if self.faults.posts_per_second is None:
            return False
        with self._lock:
            if self._second != int(time.monotonic()):
                self._second, self._in_second = int(time.monotonic()), 0
            self._in_second += 1
            return self._in_second > self.faults.posts_per_second

    def post_refused(self, resource: str) -> bool:
        """Count a POST of a resource. True if it must be refused."""
        if self.faults.reject_resource not in ("", resource):
            return False
        with self._lock:
            self._posts += 1
            count = self._posts
        every = self.faults.reject_every
        return self.faults.reject_posts or (every is not None and count % max(every, 1) == 0)

    def delete_refused(self) -> bool:
        """Count a DELETE. True if it must be refused."""
        with self._lock:
            self._deletes += 1
            count = self._deletes
        every = self.faults.refuse_delete_every
        return every is not None and count % max(every, 1) == 0

    def page_status(self, page: int) -> int | None:
        """Return the status with which this roster page fails, or None. Counts the failures."""
        faults = self.faults
        if faults.roster_page_status is None or page != faults.roster_page:
            return None
        with self._lock:
            if faults.roster_page_times is not None:
                if self._failed_pages >= faults.roster_page_times:
                    return None
                self._failed_pages += 1
        return faults.roster_page_status
