"""Ending a run from outside: its time limit and SIGTERM, as an exception wherever the program is.

A signal may come at any line, and twice: into the clean-up after the first one, or where Python
swallows what is raised (a finalizer). So what must not be torn apart is put off (``held``), a cause
is raised once and then leaves the clean-up alone for a while, and it is raised again if the run
should still be going after that.
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
    """Raise TimedOut or Terminated, wherever the program is, until the block is left.

    Afterwards nothing interrupts any more, so that the outcome can be reported in peace. For the
    main thread, which signals reach.
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
    """Put interruptions off until the block is left."""
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
    """Within ``held``: interruptions may come here, before all one that was put off."""
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
