"""Webhooks, and the notices of ended runs to send to them."""

import base64
import secrets
import uuid

from django.core.validators import URLValidator
from django.db import models
from django.db.models import Q

from earthbeam.models.runs import Run
from partners.encryption import EncryptedTextField
from partners.models import Partner


def new_webhook_secret() -> str:
    """Return a secret of 32 random bytes in the Standard Webhooks format."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class WebhookManager(models.Manager["Webhook"]):
    """Reads secrets only when needed: lists, changes, and the audit trail work without the key."""

    def get_queryset(self) -> models.QuerySet["Webhook"]:
        return super().get_queryset().defer("secret", "previous_secret")


class Webhook(models.Model):
    """A partner's URL to notify of each run that ends, in messages signed with ``secret``.

    A chat's URL gets one sentence, without a signature, about runs that need attention.

    While ``previous_secret`` is valid, messages carry a signature by it too, so that the receiver
    can switch to the new one without missing a message.
    """

    class Format(models.TextChoices):
        SIGNED = "signed", "Signed JSON, for a system"
        SLACK = "slack", "A sentence, for Slack"
        TEAMS = "teams", "A sentence, for Microsoft Teams"

    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, related_name="webhooks")
    format = models.CharField(
        max_length=10, choices=Format, default=Format.SIGNED, db_default=Format.SIGNED
    )
    url = models.URLField(
        "URL", max_length=500, validators=[URLValidator(schemes=["https", "http"])]
    )
    enabled = models.BooleanField(default=True)
    secret = EncryptedTextField(default=new_webhook_secret, editable=False)
    previous_secret = EncryptedTextField(blank=True, default="", editable=False)
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = WebhookManager()

    class Meta:
        ordering = ["partner", "url"]
        constraints = [
            models.UniqueConstraint(fields=["partner", "url"], name="webhook_once_a_partner")
        ]

    def __str__(self) -> str:
        return f"{self.url} ({self.partner_id})"


class Notice(models.Model):
    """A message about a run's end to a webhook or, without one, to the event bus.

    It is due at ``next_try_at``. If that is empty, it has been delivered or given up on.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="notices")
    webhook = models.ForeignKey(
        Webhook, on_delete=models.CASCADE, null=True, related_name="notices"
    )
    body = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=200, blank=True, help_text="Of the last try.")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["run", "webhook"], name="notice_once_a_webhook"),
            models.UniqueConstraint(
                fields=["run"], condition=Q(webhook=None), name="notice_once_on_the_bus"
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_try_at"], condition=Q(next_try_at__isnull=False), name="notice_due"
            ),
            models.Index(fields=["webhook", "-created_at"], name="notice_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.id} about {self.run_id}"
