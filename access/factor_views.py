"""Ask for the second factor while signing in, or for setting up the first one."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from access import factors, passkeys, second_step
from access.forms import CodeForm, PasskeyForm
from access.second_step import SecondStep
from partners import audit

PASSKEY_REFUSED = "This passkey was not accepted. Try again."


def in_second_step(
    view: Callable[[HttpRequest, SecondStep], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Require that the right password was entered a short while ago, or redirect to sign in."""

    @wraps(view)
    @never_cache
    def with_step(request: HttpRequest) -> HttpResponse:
        step = second_step.current(request)
        return redirect("admin:login") if step is None else view(request, step)

    return with_step


@require_http_methods(["GET", "POST"])
@in_second_step
def ask(request: HttpRequest, step: SecondStep) -> HttpResponse:
    """Ask for a passkey or a code, and sign in with it."""
    there = factors.of(step.user)
    if not there:
        return redirect("second_factor_set_up")
    form, refused = CodeForm(user=step.user), ""
    if "credential" in request.POST:
        if _passkey(request, step):
            return _signed_in(request, step, factors.WORDS[factors.PASSKEY])
        refused = PASSKEY_REFUSED
    elif request.method == "POST":
        form = CodeForm(request.POST, user=step.user)
        if form.is_valid():
            return _signed_in(request, step, factors.WORDS[form.factor.type])
    request_options = passkeys.ask(step.user)
    if request_options:
        del form.fields["code"].widget.attrs["autofocus"]  # the button has it
    context = {
        "title": "Second step",
        "person": step.user,
        "form": form,
        "refused": refused,
        "has_app": any(each.type == factors.APP for each in there),
        "request_options": request_options,
    }
    return page(request, "access/second_step.html", context, wait=form.wait)


def _passkey(request: HttpRequest, step: SecondStep) -> bool:
    """Whether the browser's answer is from one of the person's passkeys."""
    form = PasskeyForm(request.POST)
    if not form.is_valid():
        return False
    if passkeys.is_right(step.user, form.cleaned_data["credential"]):
        return True
    audit.record(step.user, "second factor refused")
    return False


def _signed_in(request: HttpRequest, step: SecondStep, factor: str) -> HttpResponse:
    second_step.finish(request, step, factor)
    return redirect(step.next)


@require_POST
def cancel(request: HttpRequest) -> HttpResponse:
    """Return to the sign-in page, for another person or another way to sign in."""
    if second_step.current(request) is not None:
        second_step.cancel(request)
    return redirect("admin:login")


def page(
    request: HttpRequest, template: str, context: dict[str, Any], *, wait: int | None = None
) -> HttpResponse:
    """Return a page in the admin's design. ``wait`` is the number of seconds until the next try."""
    everywhere = admin.site.each_context(request)
    answer = render(request, template, {**everywhere, **context}, status=429 if wait else 200)
    if wait:
        answer["Retry-After"] = str(wait)
    return answer
