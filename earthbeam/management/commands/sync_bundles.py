"""`manage.py sync_bundles`: update the bundles to match the registry."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from earthbeam.bundles import revisions
from earthbeam.errors import RegistryError


class Command(BaseCommand):
    help = "Read registry.json of BUNDLE_REPO at BUNDLE_BRANCH and bring the bundles up to date."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = revisions.sync(
                settings.BUNDLE_REPO, settings.BUNDLE_BRANCH, settings.BUNDLE_APPROVAL
            )
        except RegistryError as error:
            raise CommandError(str(error)) from error
        if report.available:
            self.stdout.write(
                f"{report.in_words()} Nothing changes until a superuser makes it current in the "
                "admin, under Bundle revisions."
            )
            return
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
