"""How many cores this process may use: the container's limit, not the machine's count."""

import math
import os
from pathlib import Path

_V2 = "cpu.max"
_V1 = ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")


def cores(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the number of cores, at least 1. ``cgroup`` is where Linux shows the limits.

    A limit of 1.5 cores counts as two, since two processes can share it.
    """
    available = len(os.sched_getaffinity(0))
    limit = _limit(cgroup)
    return available if limit is None else max(1, min(available, math.ceil(limit)))


def _limit(cgroup: Path) -> float | None:
    """Return how many cores' time the cgroup may use, or None without a limit."""
    try:
        quota, period = (cgroup / _V2).read_text().split()
    except (OSError, ValueError):
        try:
            quota, period = ((cgroup / name).read_text().strip() for name in _V1)
        except OSError:
            return None
    try:
        limit = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max" in version 2
        return None
    return limit if limit > 0 else None  # -1 in version 1
