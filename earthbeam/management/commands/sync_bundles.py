"""`manage.py sync_bundles`: make the bundles what the registry says."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from earthbeam import bundles
from earthbeam.errors import RegistryError


class Command(BaseCommand):
    help = "Read registry.json of BUNDLE_REPO at BUNDLE_BRANCH and bring the bundles up to date."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = bundles.sync()
        except RegistryError as error:
            raise CommandError(str(error)) from error
        for path in report.added:
            self.stdout.write(f"added {path}")
        for path in report.changed:
            self.stdout.write(f"changed {path}")
        for path in report.retired:
            self.stdout.write(f"no longer in the registry: {path}")
        self.stdout.write(
            f"{len(report.added)} added, {len(report.changed)} changed, "
            f"{len(report.unchanged)} unchanged, {len(report.retired)} retired."
        )
        if report.refused:
            refused = "\n".join(f"  {name}: {why}." for name, why in report.refused.items())
            raise CommandError(f"These entries are unusable, their bundles as before:\n{refused}")
