"""`manage.py export_tenant`: everything that is kept of a tenant, as files with a manifest."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from earthbeam.files import fault
from earthbeam.jobs import whole_tenant
from earthbeam.management.tenants import find_tenant


class Command(BaseCommand):
    help = (
        "Write everything that is kept of a tenant to a new folder: files and rosters as they are, "
        "what the database has as JSON lines, and manifest.json with each file's SHA-256. The "
        "folder has student data: keep it safe, and delete it when it has been handed over."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("partner", help="The partner's code.")
        parser.add_argument("tenant", help="The tenant's code.")
        parser.add_argument("folder", type=Path, help="A new or empty folder.")

    def handle(self, *, partner: str, tenant: str, folder: Path, **options: Any) -> None:
        found = find_tenant(partner, tenant)
        try:
            extent = whole_tenant.export(found, folder)
        except whole_tenant.NotEmpty:
            raise CommandError(f"{folder} is not empty. Name a new folder.") from None
        except OSError as error:
            raise CommandError(
                f"The export is not complete ({fault(error)}). Delete {folder}, and try again."
            ) from None
        self.stdout.write(
            f"{extent.jobs} jobs and {extent.files} files of {found} are in {folder}."
        )
