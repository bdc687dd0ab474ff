"""Sign in by name and password, and change one's own password."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from access import second_step
from partners.client_address import client_address


class SignInView(LoginView):
    """Signs in by password if that is enough, or begins the second step."""

    def form_valid(self, form: Any) -> HttpResponse:
        user = form.get_user()
        is_weak = _is_weak(form.cleaned_data["password"], user)
        if second_step.is_needed(user):
            second_step.begin(self.request, user, self.get_success_url())
            answer: HttpResponse = redirect("second_factor")
        else:
            answer = super().form_valid(form)
        if is_weak:
            messages.warning(
                self.request,
                "Your password does not meet today's rules. Choose a new one: Change password.",
            )
        return answer


class ChangePasswordView(PasswordChangeView):
    """Django's, which also ends the person's other sessions and counts wrong old passwords."""

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "address": client_address(self.request)}


def say_when(answer: HttpResponseBase) -> TemplateResponse:
    """Set status 429 and Retry-After if a form was tried too often."""
    if isinstance(answer, TemplateResponse) and answer.context_data:
        wait = getattr(answer.context_data.get("form"), "wait", None)
        if wait is not None:
            answer.status_code = 429
            answer["Retry-After"] = str(wait)
    return cast("TemplateResponse", answer)


def in_second_step(request: HttpRequest) -> bool:
    """Whether the password has already been entered."""
    return request.method == "GET" and second_step.current(request) is not None


def _is_weak(password: str, user: Any) -> bool:
    try:
        validate_password(password, user)
    except ValidationError:
        return True
    return False
