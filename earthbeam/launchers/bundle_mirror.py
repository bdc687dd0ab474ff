"""Update the mirror of the bundle repository before an executor is started.

Executors see it read-only. If a bundle's code could change it, that would be code of later runs.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from earthbeam.launchers import children

FETCH_SECONDS = 300.0
"""Longer than a first fetch takes, and short enough for a launch."""


def refresh(
    environment: dict[str, str], branch: str, commit: str, should_stop: Callable[[], bool]
) -> Path | None:
    """Return the mirror of BUNDLE_REPO with ``commit``, or with ``branch`` as of now.

    ``branch`` is used if ``commit`` is empty. None if it could not be fetched or ``should_stop``
    returned True. The fetch is a separate process, so that it can be killed, with only
    ``environment``. Its output is discarded, since git quotes URLs in full; the executor fetches
    again and logs git's output.
    """
    try:
        child = subprocess.Popen(
            (
                *(sys.executable, "-m", "earthbeam.executor.bundle.refresh_mirror"),
                *(settings.BUNDLE_REPO, branch, *filter(None, [commit])),
            ),
            cwd=settings.BASE_DIR,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return None
    deadline = time.monotonic() + FETCH_SECONDS
    path = b""
    try:
        while child.returncode is None and not should_stop() and time.monotonic() < deadline:
            with suppress(subprocess.TimeoutExpired):
                path, _ = child.communicate(timeout=0.2)
    finally:
        children.kill(child)
    return Path(path.decode()) if child.returncode == 0 else None
