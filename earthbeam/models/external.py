"""Records of requests from clients of the external API."""

from django.db import models

from earthbeam.models.jobs import Job


class IdempotencyKey(models.Model):
    """A client's own key for a request that created a job. Repeating it creates no second job."""

    client = models.CharField(max_length=200)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the request, in hex.")
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["client", "key"], name="idempotency_key_once_a_client")
        ]

    def __str__(self) -> str:
        return f"{self.client}: {self.key}"


class RequestCount(models.Model):
    """How many requests a client has made in a minute, across all processes."""

    client = models.CharField(max_length=200)
    minute = models.BigIntegerField(help_text="Since 1970.")
    count = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["minute", "client"], name="request_count_once_a_minute")
        ]

    def __str__(self) -> str:
        return f"{self.client}: {self.count} requests"
