"""Set up a second factor: the first while signing in, further ones when signed in."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

from allauth.mfa.adapter import get_adapter
from allauth.mfa.totp.internal.auth import generate_totp_secret
from django.contrib import messages
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from access import factors, passkeys, second_step, sessions
from access.factor_views import PASSKEY_REFUSED, page
from access.forms import AppForm, PasskeyForm
from access.second_step import SecondStep
from partners import encryption

_SECRET = "new_app"  # noqa: S105 -- the session's key of an encrypted one
_SECRET_LASTS = 15 * 60


@dataclass(frozen=True)
class Setting:
    """Who sets up a factor. ``step`` is the sign-in that waits for it; None if signed in."""

    user: User
    step: SecondStep | None


View = Callable[[HttpRequest, Setting], HttpResponse]


def may_set_up(view: View) -> Callable[[HttpRequest], HttpResponse]:
    """Require a person who must set up the first one, or has entered the password again."""

    @wraps(view)
    @never_cache
    def with_setting(request: HttpRequest) -> HttpResponse:
        if isinstance(request.user, User):
            if not sessions.is_confirmed(request):
                return redirect("second_factor_confirm")
            return view(request, Setting(request.user, None))
        step = second_step.current(request)
        if step is None:
            return redirect_to_login(reverse("second_factors"))
        if factors.of(step.user):
            return redirect("second_factor")
        return view(request, Setting(step.user, step))

    return with_setting


@require_safe
@may_set_up
def choose(request: HttpRequest, setting: Setting) -> HttpResponse:
    """Choose the kind of factor."""
    context = {
        "title": "Set up a second factor" if setting.step else "Add a second factor",
        "person": setting.user,
        "setting_up": setting.step is not None,
        "has_app": any(each.type == factors.APP for each in factors.of(setting.user)),
    }
    return page(request, "access/factor_choose.html", context)


@require_http_methods(["GET", "POST"])
@may_set_up
@sensitive_variables("secret", "url")
def app(request: HttpRequest, setting: Setting) -> HttpResponse:
    """Set up an authenticator app: show its secret, and store it after a right code."""
    secret = _secret(request)
    form = AppForm(request.POST or None, user=setting.user, secret=secret)
    if request.method == "POST" and form.is_valid():
        assert form.step is not None  # the code was right
        del request.session[_SECRET]
        is_first = setting.step is not None
        return _added(
            request,
            setting,
            factors.APP,
            lambda: factors.add_app(setting.user, secret, form.step or 0, first=is_first),
        )
    url = get_adapter().build_totp_url(setting.user, secret)
    context = {
        "title": "Set up an authenticator app",
        "person": setting.user,
        "setting_up": setting.step is not None,
        "form": form,
        "picture": base64.b64encode(get_adapter().build_totp_svg(url).encode()).decode(),
        "secret": " ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
    }
    return page(request, "access/factor_app.html", context, wait=form.wait)


@require_http_methods(["GET", "POST"])
@may_set_up
def passkey(request: HttpRequest, setting: Setting) -> HttpResponse:
    """Set up a passkey: the browser creates it, and its public half is stored."""
    form, refused = PasskeyForm(request.POST or None), ""
    if request.method == "POST":
        refused = PASSKEY_REFUSED
        if form.is_valid() and passkeys.is_new(credential := form.cleaned_data["credential"]):
            name = form.cleaned_data["name"].strip() or "Passkey"
            is_first = setting.step is not None
            return _added(
                request,
                setting,
                factors.PASSKEY,
                lambda: factors.add_passkey(setting.user, name, credential, first=is_first),
            )
    context = {
        "title": "Set up a passkey",
        "person": setting.user,
        "setting_up": setting.step is not None,
        "form": form,
        "refused": refused,
        "creation_options": passkeys.new(setting.user),
    }
    return page(request, "access/factor_passkey.html", context)


def _added(
    request: HttpRequest, setting: Setting, kind: str, add: Callable[[], list[str] | None]
) -> HttpResponse:
    """Add the factor, end all other sessions, and continue. Shows new recovery codes once."""
    try:
        codes = add()
    except factors.CannotAdd:
        messages.error(request, "A second factor was set up elsewhere meanwhile. Use that one.")
        return redirect("second_factor" if setting.step else "second_factors")
    word = factors.WORDS[kind]
    if setting.step:
        second_step.finish(request, setting.step, word)
        following = setting.step.next
    else:
        sessions.end_others(request, setting.user, factor=word)
        following = reverse("second_factors")
    if codes:
        return show_codes(request, codes, following)
    messages.success(request, f"The {word} was added.")
    return redirect(following)


def show_codes(request: HttpRequest, codes: list[str], following: str) -> HttpResponse:
    """Show recovery codes. No other page does."""
    context = {"title": "Your recovery codes", "codes": codes, "following": following}
    return page(request, "access/recovery_codes.html", context)


def _secret(request: HttpRequest) -> str:
    """Return the new app's secret, kept until used, since it may have been scanned already."""
    purpose = f"authenticator app of {request.session.session_key}"
    kept = request.session.get(_SECRET)
    secret = encryption.unseal(kept, purpose, seconds=_SECRET_LASTS) if kept else None
    if secret is None:
        secret = generate_totp_secret()
        request.session[_SECRET] = encryption.seal(secret, purpose)
    return secret
