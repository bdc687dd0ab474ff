"""How a run fails. The codes and their fields are in the contract's list of error codes."""

import errno
import os
from typing import Any

from earthbeam.executor.unreachable import Cause

NO_SPACE = (
    "The executor ran out of disk space: run the job again, or give executors a larger disk"
    " (a run needs several times the size of its input and rosters)."
)
_NO_SPACE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class StepFailed(Exception):
    """A step cannot continue. ``code`` and ``fields`` report why, in the contract's terms.

    ``message`` is for people: what is wrong and what to do. It contains no secret and no student
    data.
    """

    def __init__(self, code: str, message: str = "", **fields: Any) -> None:
        super().__init__(message or code)
        self.code = code
        self.message = message
        self.fields = fields

    def payload(self) -> dict[str, Any]:
        """The fields of the error report, without its stack trace."""
        return {**({"message": self.message} if self.message else {}), **self.fields}


class Interrupted(BaseException):
    """The run must end now. Not an Exception, so that no library's catch-all swallows it."""


class TimedOut(Interrupted):
    """The run's time limit is over."""


class Terminated(Interrupted):
    """The executor was asked to stop (SIGTERM)."""


class AppUnreachable(Exception):
    """The app accepted no report in any try.

    Only the launcher can report it, from the exit status of the ``cause``.
    """

    def __init__(self, message: str, cause: Cause) -> None:
        super().__init__(f"{message}: {cause.words}. {cause.advice}")
        self.cause = cause


def is_no_space(error: BaseException | None) -> bool:
    """Whether an error was caused by a full disk: our own, or one that a child printed."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_SPACE_ERRORS:
            return True
        if isinstance(error, StepFailed):
            trace = str(error.fields.get("stacktrace", ""))
            if any(os.strerror(number) in trace for number in _NO_SPACE_ERRORS):
                return True
        error = error.__cause__ or error.__context__
    return False
