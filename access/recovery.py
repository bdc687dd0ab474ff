"""Recovery for a person who lost their second factor."""

from django.contrib.auth.models import User

from access import factors, sessions


def reset_second_factor(user: User) -> int:
    """Remove it, with its recovery codes, and sign ``user`` out everywhere.

    Returns how many factors there were. A person who needs one sets it up at the next sign-in, with
    only the password. So if somebody else may know the password, change it first.
    """
    count = factors.reset(user)
    sessions.end_all(user)
    return count
