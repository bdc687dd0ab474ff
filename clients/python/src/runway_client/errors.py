"""What can go wrong. ``str()`` of each says what, and what to do."""

from typing import Any


class RunwayError(Exception):
    """The base of all errors of this package."""


class Unreachable(RunwayError):
    """Runway, its issuer, or its file storage did not answer, in several tries."""


class Refused(RunwayError):
    """Runway refused a request. ``fields`` has its sentences by field, if it named any."""

    def __init__(self, status: int, message: str, fields: dict[str, Any]) -> None:
        super().__init__(f"{message} (status {status})")
        self.status = status
        self.fields = fields


class JobFailed(RunwayError):
    """The job's run ended with an error. ``job`` is the job as it is then."""

    def __init__(self, message: str, job: Any) -> None:
        super().__init__(message)
        self.job = job


class NotInTime(RunwayError):
    """The job had not ended when the caller's time was over. It goes on."""


class Damaged(RunwayError):
    """A downloaded file is not the one that Runway has stored. Nothing of it was kept."""
