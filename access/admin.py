"""Superusers' pages of people: their accounts here, and the issuers' accounts linked to them."""

from typing import Any

from allauth.account import admin as account_admin
from allauth.account.models import EmailAddress
from allauth.mfa import admin as mfa_admin
from allauth.mfa.models import Authenticator
from allauth.socialaccount import admin as socialaccount_admin
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from access import factors, issuers, recovery
from access.trail_admin import TrailAdmin
from partners.scoped_admin import SuperuserAdmin

__all__ = ["LinkAdmin", "PersonAdmin", "TrailAdmin"]

# Importing these registers the pages that are replaced here.
assert account_admin and mfa_admin and socialaccount_admin

# Memberships control permissions, and OIDC_ISSUERS controls issuers. Nothing else is editable.
admin.site.unregister(
    [User, Group, EmailAddress, Authenticator, SocialAccount, SocialApp, SocialToken]
)


class PersonForm(UserChangeForm):
    def clean_username(self) -> str:
        """Refuse a user name that is the account's password."""
        name: str = self.cleaned_data["username"]
        if "username" in self.changed_data and self.instance.check_password(name):
            raise ValidationError("This is the password of this account. Choose another name.")
        return name


@admin.register(User)
class PersonAdmin(SuperuserAdmin, UserAdmin):
    """Accounts. Memberships give permissions: a new account has none."""

    list_display = ["username", "email", "first_name", "last_name", "is_active", "is_superuser"]
    list_filter = ["is_active", "is_staff", "is_superuser"]
    filter_horizontal = []
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        ("Person", {"fields": ["first_name", "last_name", "email"]}),
        (
            "Access",
            {
                "fields": ["is_active", "is_staff", "is_superuser"],
                "description": "Staff may sign in to this site as far as their memberships go; "
                "adding a membership makes a person staff. Superusers may do everything.",
            },
        ),
        ("Dates", {"fields": ["last_login", "date_joined"]}),
    ]
    readonly_fields = ["last_login", "date_joined"]
    add_fieldsets = [
        (
            None,
            {
                "classes": ["wide"],
                "fields": ["username", "email", "usable_password", "password1", "password2"],
                "description": "Who signs in by a sign-in service needs the e-mail address that it "
                "knows, and no password. Then add a membership.",
            },
        )
    ]

    form = PersonForm

    def get_urls(self) -> list[URLPattern]:
        reset = path(
            "<int:user_id>/reset-second-factor/",
            self.admin_site.admin_view(require_POST(self.reset_second_factor)),
            name="auth_user_reset_second_factor",
        )
        return [reset, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        person = context.get("original")
        if person is not None:
            context["factors"] = [factors.name_of(each) for each in factors.of(person)]
        return super().render_change_form(request, context, *args, **kwargs)

    def reset_second_factor(self, request: HttpRequest, user_id: int) -> HttpResponse:
        """Reset a second factor that somebody has lost. One's own is changed under Security."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        person = get_object_or_404(User, pk=user_id)
        if person == request.user:
            messages.error(request, "Change your own second factor under Security.")
        else:
            recovery.reset_second_factor(person)
            messages.success(
                request,
                f"The second factor of {person} was reset, and all sessions of the account ended.",
            )
        return redirect("admin:auth_user_change", person.pk)


class LinkForm(forms.ModelForm):
    class Meta:
        model = SocialAccount
        fields = ["user", "provider", "uid"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "uid" not in self.fields:  # the read-only page of a link
            return
        choices = [(each.id, each.name) for each in issuers.configured()]
        self.fields["provider"] = forms.ChoiceField(label="Sign-in service", choices=choices)
        self.fields["uid"].label = "Subject"
        self.fields[
            "uid"
        ].help_text = "The service's permanent identifier for the person (claim sub)."


@admin.register(SocialAccount)
class LinkAdmin(SuperuserAdmin):
    """Links are added or removed, never changed, since a changed link would be another person."""

    form = LinkForm
    autocomplete_fields = ["user"]
    list_display = ["user", "provider", "uid", "last_login"]
    list_filter = ["provider"]
    list_select_related = ["user"]
    search_fields = ["user__username", "user__email", "uid"]
    fields = ["user", "provider", "uid"]

    def has_change_permission(self, request: HttpRequest, obj: SocialAccount | None = None) -> bool:
        return False
