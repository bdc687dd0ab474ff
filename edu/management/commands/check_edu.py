"""manage.py check_edu PARTNER: check whether the partner's EDU works, and if not, what to do."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from edu.diagnosis import Step, check_connection, check_everything

FAILED, UNWELL = 1, 3
"""Exit statuses. 2 is a wrong command line."""


class Command(BaseCommand):
    help = (
        "Checks a partner's EDU step by step: credentials, key, login, session, tables, tenants, "
        "the roster. Exit status: 0 all is well; 1 somebody has to fix something; "
        "3 AWS or EDU could not be asked now, which may pass by itself."
    )
    requires_system_checks: list[str] = []  # the steps report more on EDU

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("partner", help="the partner's code")
        parser.add_argument(
            "--tenant",
            action="append",
            default=[],
            metavar="CODE",
            help="a tenant whose students EDU must hold; may be repeated",
        )

        parser.add_argument(
            "--quick", action="store_true", help="up to the tables only, without counting in them"
        )

    def handle(
        self, *, partner: str, tenant: list[str], quick: bool = False, **options: Any
    ) -> None:
        for step in check_connection(partner) if quick else check_everything(partner, tenant):
            self._tell(step)
            if not step.ok:
                status = UNWELL if step.may_pass_later else FAILED
                raise CommandError(f"EDU of {partner}: {step.finding}", returncode=status)
        self.stdout.write(self.style.SUCCESS(f"EDU of {partner}: everything works."))

    def _tell(self, step: Step) -> None:
        mark = self.style.SUCCESS("ok    ") if step.ok else self.style.ERROR("FAILED")
        self.stdout.write(f"{mark} {step.title:<12} {step.seconds:6.2f} s  {step.finding}")
        for line in step.details:
            self.stdout.write(f"{'':<31}{line}")
        if step.remedy:
            self.stdout.write(f"{'':<31}{step.remedy}")
        self.stdout.flush()
