"""Whom to tell by email about jobs, and what is still to be told."""

import uuid

from django.contrib.auth.models import User
from django.db import models

from earthbeam.models.runs import Run


class MailChoice(models.Model):
    """What a person wants to be told by email, and how soon. Without one: nothing."""

    class How(models.TextChoices):
        OFF = "off", "No email"
        AT_ONCE = "at_once", "At once"
        DAILY = "daily", "Once a day"

    user = models.OneToOneField(
        User, on_delete=models.CASCADE, primary_key=True, related_name="mail_choice"
    )
    failed = models.CharField(
        "A run failed", max_length=10, choices=How, default=How.OFF, db_default=How.OFF
    )
    rows = models.CharField(
        "Rows need attention", max_length=10, choices=How, default=How.OFF, db_default=How.OFF
    )

    def __str__(self) -> str:
        return f"what {self.user} is told by email"


class Mail(models.Model):
    """Something about a run to tell a person from ``due_at`` on. Deleted when it has been sent."""

    class What(models.TextChoices):
        FAILED = "failed", "The run failed"
        ROWS = "rows", "Rows need attention"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="mails")
    what = models.CharField(max_length=10, choices=What)
    due_at = models.DateTimeField(db_index=True)
    tries = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "run"], name="mail_once_a_person_and_run")
        ]

    def __str__(self) -> str:
        return f"mail to {self.user_id} about {self.run_id}"
