"""Each person's page of their own second factors, and of their session."""

from collections.abc import Callable
from functools import wraps

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access import factors, sessions
from access.factor_views import page
from access.forms import ConfirmForm
from access.set_up_views import show_codes
from partners import audit
from partners.client_address import client_address

View = Callable[..., HttpResponse]


def signed_in(view: View) -> View:
    """Require a signed-in person, member or not."""

    @wraps(view)
    @never_cache
    def with_person(request: HttpRequest, **kwargs: int) -> HttpResponse:
        if not isinstance(request.user, User):
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        return view(request, request.user, **kwargs)

    return with_person


def confirmed(view: View) -> View:
    """Require a signed-in person who has entered the password again."""

    @wraps(view)
    @signed_in
    def with_password(request: HttpRequest, user: User, **kwargs: int) -> HttpResponse:
        if not sessions.is_confirmed(request):
            return redirect("second_factor_confirm")
        return view(request, user, **kwargs)

    return with_password


@require_safe
@signed_in
def overview(request: HttpRequest, user: User) -> HttpResponse:
    """Show the person's factors and what can be done with them."""
    there = factors.of(user)
    required = factors.required(user)
    context = {
        "title": "Sign-in and security",
        "by_issuer": not user.has_usable_password(),
        "required": required,
        "factors": [
            {"row": each, "name": factors.name_of(each), "kind": factors.WORDS[each.type]}
            for each in there
        ],
        "may_remove": len(there) > 1 or not required,
        "codes_left": factors.recovery_codes_left(user),
    }
    return page(request, "access/own_factors.html", context)


@require_http_methods(["GET", "POST"])
@signed_in
def confirm(request: HttpRequest, user: User) -> HttpResponse:
    """Ask for the password again."""
    if not user.has_usable_password():
        return redirect("second_factors")
    form = ConfirmForm(request.POST or None, user=user, address=client_address(request))
    if request.method == "POST" and form.is_valid():
        sessions.confirm(request)
        return redirect("second_factors" if factors.of(user) else "second_factor_set_up")
    context = {"title": "Enter your password again", "form": form}
    return page(request, "access/confirm.html", context, wait=form.wait)


@require_POST
@confirmed
def remove(request: HttpRequest, user: User, key: int) -> HttpResponse:
    """Remove a factor, and end all other sessions, since they may have been opened with it."""
    try:
        if factors.remove(user, key):
            sessions.end_others(request, user)
            messages.success(request, "It was removed. All your other sessions have ended.")
    except factors.IsNeeded:
        messages.error(
            request, "Your account needs a second factor. Add another one, then remove this one."
        )
    return redirect("second_factors")


@require_POST
@confirmed
def new_codes(request: HttpRequest, user: User) -> HttpResponse:
    """Replace the recovery codes. This page is the only one that shows the new ones."""
    codes = factors.new_recovery_codes(user)
    if codes is None:
        return redirect("second_factors")
    return show_codes(request, codes, reverse("second_factors"))


@require_POST
@signed_in
def sign_out_everywhere(request: HttpRequest, user: User) -> HttpResponse:
    """End all sessions of the person, including this one."""
    sessions.end_all(user)
    audit.record(user, "signed out everywhere", actor=user)
    logout(request)
    return redirect("admin:login")


@never_cache
@require_http_methods(["GET", "POST"])
def session(request: HttpRequest) -> JsonResponse:
    """Return how many seconds the session lasts without activity. A POST counts as activity.

    For pages' scripts, even after the session has ended: 0.
    """
    if not request.user.is_authenticated:
        return JsonResponse({"secondsLeft": 0})
    if request.method == "POST":
        request.session.extend()  # type: ignore[attr-defined]
    return JsonResponse({"secondsLeft": request.session.seconds_left()})  # type: ignore[attr-defined]
