"""Superusers' pages of people: their accounts here, and the accounts at issuers linked to them."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest

from access import issuers
from access.trail_admin import TrailAdmin
from partners.scoped_admin import SuperuserAdmin

__all__ = ["LinkAdmin", "PersonAdmin", "TrailAdmin"]

# Memberships say who may what, OIDC_ISSUERS who may vouch for whom: nothing else is to be set.
admin.site.unregister([User, Group, EmailAddress, SocialAccount, SocialApp, SocialToken])


@admin.register(User)
class PersonAdmin(SuperuserAdmin, UserAdmin):
    """Accounts. What they may do, memberships say: a new one may do nothing."""

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


class LinkForm(forms.ModelForm):
    class Meta:
        model = SocialAccount
        fields = ["user", "provider", "uid"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "uid" not in self.fields:  # the page of a link, to look at
            return
        choices = [(each.id, each.name) for each in issuers.configured()]
        self.fields["provider"] = forms.ChoiceField(label="Sign-in service", choices=choices)
        self.fields["uid"].label = "Subject"
        self.fields["uid"].help_text = "How the service names the person for good: its claim sub."


@admin.register(SocialAccount)
class LinkAdmin(SuperuserAdmin):
    """Links are added or removed, never changed: a change would be another person."""

    form = LinkForm
    autocomplete_fields = ["user"]
    list_display = ["user", "provider", "uid", "last_login"]
    list_filter = ["provider"]
    list_select_related = ["user"]
    search_fields = ["user__username", "user__email", "uid"]
    fields = ["user", "provider", "uid"]

    def has_change_permission(self, request: HttpRequest, obj: SocialAccount | None = None) -> bool:
        return False
