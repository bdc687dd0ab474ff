"""A machine's clock that jumps: what this process takes for the time, by a file's word."""

import os
import time
from datetime import datetime, timedelta
from pathlib import Path

from django.utils import timezone

FILE = "CHAOS_CLOCK"
"""The variable that names the file, with the seconds by which the clock is wrong."""


def install() -> None:
    path = Path(os.environ["CHAOS_CLOCK"])
    right_time, right_now = time.time, timezone.now

    def seconds() -> float:
        try:
            return float(path.read_text() or 0)
        except (OSError, ValueError):
            return 0.0

    def wrong_now() -> datetime:
        return right_now() + timedelta(seconds=seconds())

    time.time = lambda: right_time() + seconds()
    timezone.now = wrong_now
