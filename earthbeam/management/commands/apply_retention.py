"""`manage.py apply_retention`: destroy now what each night destroys, or show what that would be."""

from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand

from earthbeam.jobs import retention


class Command(BaseCommand):
    help = (
        "Destroys input files, output sets, and logs that partners' settings do not keep any "
        "longer. The worker does so each night."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="Only show what would be destroyed."
        )

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        found = Counter((each.partner, each.what.label) for each in retention.due())
        for (partner, what), jobs in sorted(found.items()):
            self.stdout.write(f"{partner}: {what.lower()} of {jobs} jobs")
        if not found:
            self.stdout.write("There is nothing to destroy.")
        elif dry_run:
            self.stdout.write("Nothing was destroyed.")
        else:
            self.stdout.write(f"Destroyed and recorded: {retention.apply()}.")
