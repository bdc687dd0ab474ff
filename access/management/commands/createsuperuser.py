"""Django's command with password rules enforced. The original accepts any after a second prompt."""

import os
from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError


def _or_end(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise CommandError(" ".join(error.messages)) from None


class Command(createsuperuser.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        password = os.environ.get("DJANGO_SUPERUSER_PASSWORD")
        if not options["interactive"] and password is not None:
            _or_end(
                password,
                User(
                    username=options["username"] or os.environ.get("DJANGO_SUPERUSER_USERNAME", ""),
                    email=options["email"] or os.environ.get("DJANGO_SUPERUSER_EMAIL", ""),
                ),
            )
        # Django's continues with a refused password if the answer to its question is y.
        createsuperuser.validate_password = _or_end  # type: ignore[attr-defined]
        super().handle(*args, **options)
