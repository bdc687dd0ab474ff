from django.db import models


class FailedSignIns(models.Model):
    """Attempts to sign in by password that did not succeed, of an account or from an address.

    An attempt counts before its password is looked at: see limits.py.
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
