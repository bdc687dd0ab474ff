"""`manage.py worker` with a launcher of its own."""

import django

django.setup()

from django.core.management import call_command  # noqa: E402

from earthbeam import launchers  # noqa: E402

launchers.LAUNCHERS["local"] = "tests.e2e.impatient.launcher.Launcher"
call_command("worker")
