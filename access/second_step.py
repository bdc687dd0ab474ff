"""The step between password and second factor, in a session without a user.

The session holds who entered the right password, and when. The step expires after ten minutes, when
the password changes, or when the person is signed out everywhere.
"""

import time
from dataclasses import asdict, dataclass

from django.contrib import auth
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from access import factors, sessions

_SECONDS = 10 * 60


@dataclass(frozen=True)
class SecondStep:
    """A sign-in that lacks its second factor. ``next`` is the page that was requested."""

    user: User
    next: str
    generation: int


@dataclass(frozen=True)
class _Kept:
    user: int
    password: str
    """The hash that binds sessions to a password."""
    generation: int
    next: str
    began: float


def is_needed(user: User) -> bool:
    """Whether a password alone is not enough to sign ``user`` in."""
    return bool(factors.of(user)) or factors.required(user)


def begin(request: HttpRequest, user: User, next_page: str) -> None:
    """Begin the second step of ``user`` after the right password. Ends the browser's session."""
    auth.logout(request)
    kept = _Kept(
        user.pk,
        user.get_session_auth_hash(),
        sessions.generation_of(user),
        next_page,
        time.time(),
    )
    request.session[sessions.SECOND_STEP] = asdict(kept)


def current(request: HttpRequest) -> SecondStep | None:
    """Return the sign-in in progress, if it is still valid."""
    if sessions.SECOND_STEP not in request.session:
        return None
    kept = _Kept(**request.session[sessions.SECOND_STEP])
    user = User.objects.filter(pk=kept.user, is_active=True).first()
    if (
        user is None
        or time.time() - kept.began > _SECONDS
        or not _is_password(user, kept.password)
        or kept.generation != sessions.generation_of(user)
    ):
        cancel(request)
        return None
    return SecondStep(user, kept.next, kept.generation)


def _is_password(user: User, kept: str) -> bool:
    """Whether the user's password is that of ``kept``, by any of Django's keys."""
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return any(constant_time_compare(kept, each) for each in hashes)


def finish(request: HttpRequest, step: SecondStep, factor: str) -> None:
    """Sign in with a new session key, after the second factor was right or has been set up."""
    request.session.flush()
    request.second_factor = factor  # type: ignore[attr-defined]
    request.generation = step.generation  # type: ignore[attr-defined]
    auth.login(request, step.user)


def cancel(request: HttpRequest) -> None:
    """Cancel the sign-in."""
    request.session.flush()
