import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from earthbeam.executor.environment import BadEnvironment, Environment, keep_private
from earthbeam.executor.program import main


class Command(BaseCommand):
    help = (
        "Carry out one run. Started by a launcher, with INIT_TOKEN and INIT_JOB_URL in the"
        " environment; needs no database and no secret of the app."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            environment = Environment.read()
        except BadEnvironment as error:
            raise CommandError(str(error), returncode=2) from None
        keep_private()
        sys.exit(main(environment))
