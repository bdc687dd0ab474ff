"""Webhooks, which notify a partner's own systems of ended runs."""

import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.views.decorators.http import require_POST

from earthbeam.admin.lists.read_only import ReadOnlyInline
from earthbeam.models import Notice, Webhook, new_webhook_secret
from earthbeam.notify import notices, webhooks
from partners import audit
from partners.encryption import UndecryptableSecret
from partners.scoped_admin import ScopedAdmin

OLD_SECRET_LIFE = timedelta(hours=24)
_SHOWN = 20


class WebhookForm(forms.ModelForm):
    """A URL for messages, checked when it is entered and again at each message."""

    url = forms.URLField(
        label="URL",
        max_length=500,
        assume_scheme="https",
        widget=forms.URLInput(attrs={"class": "vLargeTextField"}),
        help_text="An https URL of a system of yours, which gets a signed message for each run "
        "that ends; or of an incoming webhook of Slack or a workflow of Teams, which gets a "
        "sentence for each run that needs attention. Keep a chat's URL secret: whoever has it may "
        "post there.",
    )

    class Meta:
        model = Webhook
        fields = ["partner", "format", "url", "enabled"]

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        if "@" in urlsplit(url).netloc:
            # They would be shown to many, and are not sent: the signature says who calls.
            raise forms.ValidationError("Remove the user name and password from the URL.")
        try:
            webhooks.public_address(url)
        except webhooks.NotAccepted as error:
            raise forms.ValidationError(str(error)) from None
        return url


class NoticeInline(ReadOnlyInline):
    """The latest messages."""

    model = Notice
    fields = ["created_at", "state", "tries", "outcome", "run"]
    verbose_name_plural = f"the latest {_SHOWN} messages"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Notice]:
        assert request.resolver_match is not None  # it is a page of the admin
        webhook = request.resolver_match.kwargs["object_id"]
        latest = Notice.objects.filter(webhook=webhook).values("pk")[:_SHOWN]
        return super().get_queryset(request).filter(pk__in=latest).select_related("run")

    def state(self, obj: Notice) -> str:
        if obj.delivered_at:
            return "delivered"
        if obj.next_try_at is None:
            return "given up"
        return f"next try {date_format(localtime(obj.next_try_at), 'DATETIME_FORMAT')}"


@admin.register(Webhook)
class WebhookAdmin(ScopedAdmin):
    form = WebhookForm
    list_display = ["url", "format", "partner", "enabled", "last_delivered"]
    list_filter = [("partner", admin.RelatedOnlyFieldListFilter), "enabled"]
    list_select_related = ["partner"]
    search_fields = ["url", "partner__name"]
    inlines = [NoticeInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Webhook]:
        rows = super().get_queryset(request)
        # Of the newest delivered message, since finding the latest time would read them all.
        arrived = Notice.objects.filter(webhook=OuterRef("pk"), delivered_at__isnull=False)
        newest = arrived.order_by("-created_at").values("delivered_at")[:1]
        return rows.annotate(_delivered=Subquery(newest))

    @admin.display(ordering="_delivered")
    def last_delivered(self, obj: Any) -> Any:
        return obj._delivered or "never"

    def get_inlines(self, request: HttpRequest, obj: Webhook | None) -> list[Any]:
        return list(self.inlines) if obj and obj.notices.exists() else []

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        has_notices = (
            object_id.isdecimal() and Notice.objects.filter(webhook=int(object_id)).exists()
        )
        context = {"has_notices": has_notices, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def get_readonly_fields(self, request: HttpRequest, obj: Webhook | None = None) -> list[str]:
        return ["partner", "format"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Webhook | None = None) -> bool:
        return self.has_change_permission(request, obj)

    def response_add(
        self, request: HttpRequest, obj: Webhook, post_url_continue: str | None = None
    ) -> HttpResponse:
        if obj.format != Webhook.Format.SIGNED:
            return super().response_add(request, obj, post_url_continue)
        return self._show_secret(request, obj, "The webhook was added.")

    def get_urls(self) -> list[URLPattern]:
        views = {"secret": self._new_secret, "test": self._test, "again": self._again}
        return [
            path(
                f"<path:object_id>/{name}/",
                self.admin_site.admin_view(require_POST(view)),
                name=f"earthbeam_webhook_{name}",
            )
            for name, view in views.items()
        ] + super().get_urls()

    def _new_secret(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Create a new secret. The old one also signs for a day."""
        webhook = self._webhook(request, object_id)
        try:
            old = Webhook.objects.get(pk=webhook.pk).secret
        except UndecryptableSecret:
            old = ""
        webhook.previous_secret, webhook.secret = old, new_webhook_secret()
        webhook.previous_secret_until = timezone.now() + OLD_SECRET_LIFE
        webhook.save(update_fields=["secret", "previous_secret", "previous_secret_until"])
        self.log_change(request, webhook, "Created a new secret.")
        audit.record(webhook, "webhook secret replaced")
        return self._show_secret(
            request,
            webhook,
            "The new secret is in use. For a day, messages are signed with both secrets.",
        )

    def _test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send a test message while the person waits."""
        webhook = self._webhook(request, object_id)
        body: dict[str, Any] = {"partner": webhook.partner_id}
        try:
            status = webhooks.send(
                webhook, uuid.uuid4(), body, timezone.now(), type_=webhooks.TEST_TYPE
            )
        except webhooks.NotAccepted as error:
            self.message_user(request, f"The test message did not arrive: {error}", messages.ERROR)
        except UndecryptableSecret:
            text = "No message was sent: the secret cannot be decrypted. Make a new one."
            self.message_user(request, text, messages.ERROR)
        else:
            self.message_user(
                request, f"The test message arrived; the answer was {status}.", messages.SUCCESS
            )
        return self._back(webhook)

    def _again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Retry all messages that were given up."""
        webhook = self._webhook(request, object_id)
        given_up = webhook.notices.filter(delivered_at=None, next_try_at=None)
        count = given_up.update(next_try_at=timezone.now(), tries=0)
        notices.deliver_soon()
        if count:
            what = "1 message is" if count == 1 else f"{count} messages are"
            self.message_user(request, f"{what} tried again.")
        else:
            self.message_user(request, "No message has failed, so there is nothing to resend.")
        return self._back(webhook)

    def _show_secret(self, request: HttpRequest, webhook: Webhook, title: str) -> HttpResponse:
        """Show the secret in this one response only. It is in no message, session, or log."""
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "webhook": webhook,
        }
        return render(request, "admin/earthbeam/webhook/secret.html", context)

    def _webhook(self, request: HttpRequest, object_id: str) -> Webhook:
        webhook = self.get_object(request, unquote(object_id))
        if webhook is None:
            raise Http404
        if not self.has_change_permission(request, webhook):
            raise PermissionDenied
        return webhook

    def _back(self, webhook: Webhook) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:earthbeam_webhook_change", args=(webhook.pk,)))
