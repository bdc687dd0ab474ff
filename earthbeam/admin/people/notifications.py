"""Each person's page of what to be told by email."""

from typing import cast

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from earthbeam.models import MailChoice


class _ChoiceForm(forms.ModelForm):
    class Meta:
        model = MailChoice
        fields = ("failed", "rows")


@never_cache
@require_http_methods(["GET", "POST"])
def notifications(request: HttpRequest) -> HttpResponse:
    """Show and change what the person is told by email."""
    user = cast(User, request.user)
    choice = MailChoice.objects.filter(user=user).first() or MailChoice(user=user)
    form = _ChoiceForm(request.POST or None, instance=choice)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Saved.")
        return redirect("notifications")
    context = {
        **admin.site.each_context(request),
        "title": "Notifications",
        "form": form,
        "email": user.email,
        "is_set_up": bool(settings.EMAIL_URL),
    }
    return render(request, "admin/earthbeam/notifications.html", context)
