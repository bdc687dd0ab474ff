from django.conf import settings
from django.db import models


class FailedSignIns(models.Model):
    """Failed attempts to sign in by password, of an account or from an address.

    An attempt counts before its password is checked: see limits.py.
    """

    key = models.CharField(
        primary_key=True, max_length=64, help_text="A hash: what people type stays unknown."
    )
    count = models.PositiveIntegerField()
    since = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "failed sign-ins"

    def __str__(self) -> str:
        return f"{self.count} since {self.since}"


class SessionGeneration(models.Model):
    """How many times all sessions of a person were ended; older ones end with their next request.

    A person without a row has generation 0.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="+"
    )
    number = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.number} of {self.user}"
