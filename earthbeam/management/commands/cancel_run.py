"""`manage.py cancel_run RUN`: end a run that has not ended."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from earthbeam.jobs.lifecycle import cancel_run
from earthbeam.management.operator import operator
from earthbeam.models import Run


class Command(BaseCommand):
    help = (
        "End a queued or running run as an error that says who cancelled it, and its executor with "
        "it. What it has sent to the ODS stays there; the job can be run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", type=UUID, help="The run's id, as the admin shows it.")
        parser.add_argument(
            "--by", default=operator(), help="Who cancels it (default: %(default)s)."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        run = Run.objects.select_related("job").filter(pk=options["run"]).first()
        if run is None:
            raise CommandError(f"There is no run {options['run']}.")
        if not cancel_run(run, options["by"]):
            run.refresh_from_db()
            raise CommandError(f"The run has ended already: {run.get_status_display()}.")
        self.stdout.write(f"{run.job}: the run was cancelled, its executor will end shortly.")
