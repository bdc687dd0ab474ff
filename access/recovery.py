"""The way back in for somebody who lost the second factor."""

from django.contrib.auth.models import User

from access import factors, sessions


def reset_second_factor(user: User) -> int:
    """Remove it, with its recovery codes, and sign ``user`` out everywhere.

    Returns how many factors there were. Who needs one sets it up at the next sign-in, with the
    password alone: so somebody who may know the password gets a new one first.
    """
    count = factors.reset(user)
    sessions.end_all(user)
    return count
