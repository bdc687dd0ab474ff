"""The Chromium that drives the admin in tests: one that is on this machine, never a download."""

import os
import shutil
from pathlib import Path

REQUIRED = os.environ.get("REQUIRE_BROWSER") == "1"
"""Set in CI, where a missing browser is a failure and no reason to leave tests out."""

MISSING = (
    "No Chromium was found, so the admin was not tried in a browser. Install Chromium or Chrome, "
    "or set CHROMIUM to its program."
)

ARGUMENTS = [
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # What else would be processes of their own.
    "--in-process-gpu",
    "--process-per-site",
]


def program() -> str | None:
    """The path of the browser's program, or None if there is none."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if found := shutil.which(name):
            return found
    for path in (
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
    ):
        if Path(path).exists():
            return path
    return None
