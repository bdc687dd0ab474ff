"""End a run from outside: the time limit and SIGTERM raise an exception wherever the program is.

A signal may come at any line, even twice: during the clean-up after the first one, or where Python
swallows exceptions (a finalizer). So code that must not be interrupted postpones it (``held``). An
interruption is raised once, then not for a while, to allow the clean-up, and again if the run is
still going after that.
"""

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from earthbeam.executor.errors import Interrupted, Terminated, TimedOut

REPEAT_SECONDS = 15.0
"""How long the program may take to leave its steps before it is interrupted again."""

_SIGNALS = (signal.SIGALRM, signal.SIGTERM, signal.SIGINT)


@dataclass
class _State:
    armed: bool = False
    held: bool = False
    cause: type[Interrupted] | None = None
    raised_at: float = -math.inf


_state = _State()


@contextmanager
def interruptible(timeout_seconds: float) -> Iterator[None]:
    """Raise TimedOut or Terminated, wherever the program is, until the block ends.

    After that, nothing interrupts any more, so that the outcome can be reported. Main thread only,
    since signals go there.
    """
    global _state
    _state = _State()
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, timeout_seconds, REPEAT_SECONDS)
    _state.armed = True
    try:
        yield
    finally:
        _state.armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def held() -> Iterator[None]:
    """Postpone interruptions until the block ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, _state.held = _state.held, True
    try:
        yield
    finally:
        _state.held = before
    _raise_if_due()


@contextmanager
def let_through() -> Iterator[None]:
    """Allow interruptions within ``held``, above all one that was postponed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, _state.held = _state.held, False
    try:
        _raise_if_due()
        yield
    finally:
        _state.held = before


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _state.cause is None:
        _state.cause = TimedOut if number == signal.SIGALRM else Terminated
        signal.setitimer(signal.ITIMER_REAL, REPEAT_SECONDS, REPEAT_SECONDS)
    _raise_if_due()


def _raise_if_due() -> None:
    if not _state.armed or _state.held or _state.cause is None:
        return
    now = time.monotonic()
    if now - _state.raised_at > REPEAT_SECONDS / 2:
        _state.raised_at = now
        raise _state.cause
