"""The user who runs a command."""

import getpass
import os


def operator() -> str:
    """Return the user's name, or their number if the system has no name for it (in a container)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
