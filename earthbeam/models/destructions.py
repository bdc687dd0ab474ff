import uuid

from django.db import models

from partners.models import Partner


class Destruction(models.Model):
    """That something of a job or tenant was destroyed, and by which rule; never what was in it.

    It outlives them, and so has no reference to them.
    """

    class What(models.TextChoices):
        INPUT = "input", "Input files, rosters, and open rows"
        OUTPUT = "output", "Output sets"
        LOG = "log", "Run logs"
        EVERYTHING = "everything", "Everything of the tenant"

    RETAINED = (What.INPUT, What.OUTPUT, What.LOG)
    """What partners' settings keep for a time."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="destructions")
    tenant = models.CharField(max_length=100, help_text="The tenant's code.")
    job = models.UUIDField(
        db_index=True, null=True, help_text="The job's ID. Empty: all of the tenant's jobs."
    )
    what = models.CharField(max_length=10, choices=What)
    files = models.PositiveIntegerField(help_text="How many files, or logs of runs.")
    rule = models.CharField(max_length=200)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["partner", "-at"], name="destruction_of_partner")]

    def __str__(self) -> str:
        whose = f"job {self.job}" if self.job else f"{self.partner_id}/{self.tenant}"
        return f"destruction of {self.get_what_display().lower()}, {whose}"
