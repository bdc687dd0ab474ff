import signal
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from earthbeam.executor.environment import BadEnvironment, Environment
from earthbeam.executor.program import main


class Command(BaseCommand):
    help = (
        "Carry out one run. Started by a launcher, with INIT_TOKEN and INIT_JOB_URL in the"
        " environment; needs no database and no secret of the app."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        end_by_sigterm()
        try:
            environment = Environment.read()
        except BadEnvironment as error:
            raise CommandError(str(error), returncode=2) from None
        sys.exit(main(environment))


def end_by_sigterm() -> None:
    """Have SIGTERM end this process until its run begins.

    As process 1 of a sandbox, it would ignore a signal without a handler. The launcher has it
    blocked until here.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
