"""The admin site: who may enter, and how."""

from typing import Any

from csp.decorators import csp_update
from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

from access import issuers
from partners import scoping

# Models are not loaded yet when the site is created, so imports that need them are local.


class RunwayAdminSite(admin.AdminSite):
    """Django's, for members and superusers, with this project's sign-in.

    Anyone else who signs in learns on the sign-in page what is missing.
    """

    def has_permission(self, request: HttpRequest) -> bool:
        if not super().has_permission(request):
            return False
        # Called several times per page, so the answer is cached with the request and its user.
        known: tuple[Any, bool] | None = getattr(request, "_is_member", None)
        if known is None or known[0] != request.user.pk:
            known = request.user.pk, scoping.is_member(request.user, admins_only=False)
            request._is_member = known  # type: ignore[attr-defined]
        return known[1]

    @method_decorator(never_cache)
    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        from access.forms import SignInForm
        from access.sign_in import SignInView, in_second_step, say_when

        start = reverse("admin:index")
        if request.method == "GET" and self.has_permission(request):
            return redirect(start)
        if in_second_step(request):
            return redirect("second_factor")
        asked_for = {**request.GET.dict(), **request.POST.dict()}
        context = {
            **self.each_context(request),
            "title": "Sign in",
            "subtitle": None,
            "app_path": request.get_full_path(),
            "issuers": issuers.configured(),
            **({} if REDIRECT_FIELD_NAME in asked_for else {REDIRECT_FIELD_NAME: start}),
            **(extra_context or {}),
        }
        request.current_app = self.name
        view = SignInView.as_view(
            extra_context=context,
            authentication_form=SignInForm,
            template_name="access/sign_in.html",
        )
        # A browser follows the form that leads to an issuer only where the policy lets it.
        to_issuers = csp_update({"form-action": issuers.form_targets()})
        return say_when(to_issuers(view)(request))

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        from access.forms import OwnPasswordForm
        from access.sign_in import ChangePasswordView, say_when

        request.current_app = self.name
        view = ChangePasswordView.as_view(
            form_class=OwnPasswordForm,
            success_url=reverse("admin:password_change_done"),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        return say_when(view(request))
