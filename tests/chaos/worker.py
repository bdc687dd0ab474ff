"""`manage.py worker`, with a clock that may be wrong."""

import django

django.setup()

from django.core.management import call_command  # noqa: E402

from tests.chaos import clock  # noqa: E402

clock.install()
call_command("worker", concurrency=3)
