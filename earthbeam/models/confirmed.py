from django.db import models

from earthbeam.models.jobs import Job
from partners.models import Tenant


class ConfirmedStudent(models.Model):
    """Whom an ID of a tenant's files stands for, as a person has confirmed (contract section 11).

    The ID and the student lie encrypted in ``sealed``, and are found by keyed hashes. Rows are
    written and read by jobs/confirmed_students.py, and expire with the partner's
    ``keep_confirmed_days``.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="confirmed_students")
    column = models.CharField(max_length=255, help_text="Of the file, in which the ID stands.")
    sealed = models.TextField(help_text="The ID and the studentUniqueId, encrypted.")
    id_hash = models.CharField(max_length=64)
    student_hash = models.CharField(max_length=64)
    confirmed_by = models.CharField(max_length=200, help_text="A person or an API client.")
    confirmed_at = models.DateTimeField()
    job = models.ForeignKey(
        Job,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="Whose row the student was chosen for. Empty: a CSV file, or a deleted job.",
    )

    class Meta:
        ordering = ["-confirmed_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "column", "id_hash"], name="one_confirmed_student_an_id"
            )
        ]
        indexes = [
            models.Index(fields=["tenant", "-confirmed_at"], name="confirmed_of_tenant"),
            models.Index(fields=["id_hash"], name="confirmed_by_id"),
            models.Index(fields=["student_hash"], name="confirmed_by_student"),
        ]

    def __str__(self) -> str:
        return f"confirmed student {self.pk}"
