"""The admin site: who comes in, and how."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from access import issuers
from partners import scoping


class RunwayAdminSite(admin.AdminSite):
    """Django's, for members and superusers, with the sign-in of this project.

    Somebody else who signs in learns at the sign-in page what is missing.
    """

    login_template = "access/sign_in.html"

    def has_permission(self, request: HttpRequest) -> bool:
        if not super().has_permission(request):
            return False
        # Asked several times for a page; the answer stays with the request and its user.
        known: tuple[Any, bool] | None = getattr(request, "_is_member", None)
        if known is None or known[0] != request.user.pk:
            known = request.user.pk, scoping.is_member(request.user, admins_only=False)
            request._is_member = known  # type: ignore[attr-defined]
        return known[1]

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        from access.forms import SignInForm  # models are not there yet when the site is made

        self.login_form = SignInForm
        context = {"title": "Sign in", "issuers": issuers.configured(), **(extra_context or {})}
        answer = super().login(request, context)
        if isinstance(answer, TemplateResponse) and answer.context_data:
            wait = getattr(answer.context_data.get("form"), "wait", None)
            if wait is not None:
                answer.status_code = 429
                answer["Retry-After"] = str(wait)
        return answer
