"""`manage.py worker` with a program of the tests in place of the executor."""

import sys

import django

django.setup()

from django.core.management import call_command  # noqa: E402

from earthbeam import launchers  # noqa: E402

launchers.LAUNCHERS["local"] = "tests.earthbeam.launchers.fakes.Graceful"
call_command("worker", concurrency=int(sys.argv[1]))
