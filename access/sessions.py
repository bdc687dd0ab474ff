"""Who is signed in, and until when.

A session ends after a while without use or after some hours in any case (session_store.py), when
its person is signed out everywhere, and if it lacks a second factor that the person has or needs.
Every request checks this, in the query that loads the person.
"""

import time
from typing import Any

from django.conf import settings
from django.contrib import auth, messages
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.db.models import Exists, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest

from access import factors
from access.models import SessionGeneration
from access.session_store import SIGN_IN

SECOND_STEP = "second_step"
"""The session's key for a sign-in that lacks its second factor: see second_step.py."""

CONFIRMED_FOR = 10 * 60
"""For how many seconds an entered password counts as confirmed."""

# Requests that pages make by themselves, which do not count as use of a session.
BACKGROUND = {"session", "admin:earthbeam_job_live", "admin:partners_partner_edu_panel"}

_ENDED = (
    "Your session has ended: after 30 minutes without activity, 12 hours after you signed in, or "
    "because you were signed out somewhere else. Sign in to continue."
)
_NOT_SAVED = " What you submitted was not saved."
_NEEDS_FACTOR = "Your account needs a second factor now. Sign in again with both."


class Backend(ModelBackend):
    """Django's, which also loads what a person's sessions depend on."""

    def get_user(self, user_id: int) -> User | None:
        generations = SessionGeneration.objects.filter(user=OuterRef("pk"))
        user = (
            User.objects.annotate(
                generation=Coalesce(Subquery(generations.values("number")[:1]), 0),
                has_factor=Exists(factors.main_factors().filter(user=OuterRef("pk"))),
            )
            .filter(pk=user_id)
            .first()
        )
        return user if user is not None and self.user_can_authenticate(user) else None


def user_of(request: HttpRequest) -> User | AnonymousUser:
    """Return the session's user, or AnonymousUser if there is none or it has ended."""
    user = auth.get_user(request)
    reason = _ENDED
    if isinstance(user, User):
        sign_in = request.session.get(SIGN_IN)
        if isinstance(sign_in, dict) and sign_in["generation"] == user.generation:  # type: ignore[attr-defined]
            if sign_in["factor"] or not (user.has_factor or factors.required(user)):  # type: ignore[attr-defined]
                return user
            reason = _NEEDS_FACTOR
        request.session.flush()
    if settings.SESSION_COOKIE_NAME in request.COOKIES and not request.session.session_key:
        if is_use(request):
            _say(request, reason)
        else:
            # The person has not seen the message yet. Nor may the response delete a cookie that a
            # concurrent sign-in in another tab has just set.
            del request.COOKIES[settings.SESSION_COOKIE_NAME]
    return AnonymousUser()


def begin(request: HttpRequest, user: User, *, factor: str | None, generation: int | None) -> None:
    """Start the session of ``user``, who has just signed in. ``factor`` is the second one, if any.

    ``generation`` is the one from when the password was entered, if a second step followed.
    """
    request.session.pop(SECOND_STEP, None)
    request.session[SIGN_IN] = {
        "began": time.time(),
        "factor": factor,
        "generation": generation_of(user) if generation is None else generation,
    }


def generation_of(user: User) -> int:
    """Return how many times all sessions of ``user`` were ended."""
    kept = SessionGeneration.objects.filter(user=user).values_list("number", flat=True)
    return kept.first() or 0


def end_all(user: User) -> int:
    """Sign ``user`` out everywhere, and return the generation that new sessions need."""
    with transaction.atomic():
        SessionGeneration.objects.get_or_create(user=user)
        row = SessionGeneration.objects.select_for_update().get(user=user)
        row.number += 1
        row.save()
    return row.number


def end_others(request: HttpRequest, user: User, **changes: Any) -> None:
    """End all sessions of ``user`` but the request's, which gets a new key, and ``changes``."""
    kept = {**request.session[SIGN_IN], **changes, "generation": end_all(user)}
    request.session.cycle_key()
    request.session[SIGN_IN] = kept


def confirm(request: HttpRequest) -> None:
    """Note that the person has entered the password again."""
    request.session[SIGN_IN] = {**request.session[SIGN_IN], "confirmed": time.time()}


def is_confirmed(request: HttpRequest) -> bool:
    """Whether the person entered the password again a short while ago."""
    confirmed = request.session.get(SIGN_IN, {}).get("confirmed", 0)
    return bool(time.time() - confirmed < CONFIRMED_FOR)


def is_use(request: HttpRequest) -> bool:
    """Whether a person made the request, not a page by itself."""
    view = request.resolver_match.view_name if request.resolver_match else ""
    return not (request.method == "GET" and view in BACKGROUND)


def _say(request: HttpRequest, reason: str) -> None:
    if hasattr(request, "_messages"):
        messages.warning(request, reason + (_NOT_SAVED if request.method == "POST" else ""))
