"""Reset a second factor from the command line, if nobody can do it in the admin."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from access import recovery


class Command(BaseCommand):
    help = "Remove an account's second factor and recovery codes, and end its sessions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, username: str, **options: Any) -> None:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no account {username!r}. User names are case-sensitive.")
        count = recovery.reset_second_factor(user)
        self.stdout.write(
            f"Removed {count} {'factor' if count == 1 else 'factors'} of {username} and ended all "
            "sessions. If someone else may know the password, change it too: "
            f"manage.py changepassword {username}"
        )
