#!/usr/bin/env python
"""Django's command line, from any directory. The executor has its own settings."""

import os
import sys

from earthbeam.privacy import keep_private
from runway import __version__


def main() -> None:
    keep_private()
    if sys.argv[1:] in (["version"], ["--version"]):
        sys.stdout.write(f"Runway {__version__}\n")
        return
    if sys.argv[1:2] == ["executor"]:
        os.environ["DJANGO_SETTINGS_MODULE"] = "runway.executor_settings"
    else:
        from runway.env import load_dotenv

        load_dotenv()
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "runway.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
