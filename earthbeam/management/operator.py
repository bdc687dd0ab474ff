"""Who runs a command."""

import getpass
import os


def operator() -> str:
    """The user's name as the system knows it; a number, where it has none (in a container)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
