"""`manage.py rotate_encryption`: encrypt what is stored with the newest of ENCRYPTION_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access import factors
from earthbeam.jobs import confirmed_students
from partners.renewal import Renewed, renew_fields


class Command(BaseCommand):
    help = (
        "Encrypts all stored secrets with the first of ENCRYPTION_KEYS, so that the others can be "
        "removed. Can run while Runway does, and be repeated."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        total = Renewed()
        for name, renew in (
            ("ODS and webhook secrets", renew_fields),
            ("second factors", factors.renew_encryption),
            ("confirmed students", confirmed_students.renew_encryption),
        ):
            renewed = renew()
            self.stdout.write(f"{name}: {renewed.renewed} encrypted anew")
            total += renewed
        if total.unreadable:
            raise CommandError(
                f"No key of ENCRYPTION_KEYS opens {total.unreadable} stored secrets. Put the key "
                "that encrypted them back into the list, and run this again. If it is lost, enter "
                "these secrets anew."
            )
        self.stdout.write("All is encrypted with the first key. The others can be removed.")
