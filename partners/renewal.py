"""Encrypt what is stored anew, after a new key has become the first of ENCRYPTION_KEYS.

Each row changes only if it is still as it was read, so that what people and runs change meanwhile
stays. A repeated renewal finds nothing to do.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.apps import apps
from django.db.models import F, Model, TextField, Value
from django.db.models.functions import Cast

from partners import encryption
from partners.encryption import EncryptedTextField, UndecryptableSecret


@dataclass
class Renewed:
    """How many stored texts were encrypted anew, and how many no key opens."""

    renewed: int = 0
    unreadable: int = 0

    def __iadd__(self, other: "Renewed") -> "Renewed":
        return Renewed(self.renewed + other.renewed, self.unreadable + other.unreadable)


def renew_fields() -> Renewed:
    """Encrypt anew all values of encrypted fields, of all models."""
    total = Renewed()
    for model, field in _encrypted_fields():
        # As text, the column is read as it is stored.
        rows = model._default_manager.annotate(stored=Cast(F(field), TextField()))
        for pk, stored in rows.order_by("pk").values_list("pk", "stored").iterator():
            if not stored or encryption.is_current(stored):
                continue
            try:
                value = encryption.renewed(stored)
            except UndecryptableSecret:
                total.unreadable += 1
                continue
            new = Value(value, output_field=TextField())
            total.renewed += rows.filter(pk=pk, stored=stored).update(**{field: new})
    return total


def _encrypted_fields() -> Iterator[tuple[type[Model], str]]:
    for model in apps.get_models():
        for field in model._meta.local_fields:
            if isinstance(field, EncryptedTextField):
                yield model, field.name
