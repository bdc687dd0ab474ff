"""The web image has all that the web process and the worker are made of."""

import subprocess
import sys

import pytest

from tests import images


@pytest.mark.slow
def test_what_the_image_copies_is_enough_to_start_from(tmp_path):
    images.build("Dockerfile", tmp_path)
    environment = {"RUNWAY_ENV": "development", "DATABASE_URL": "postgres:///unused"}
    for command in ("check", "worker --help", "sync_bundles --help"):
        done = subprocess.run(
            (sys.executable, "manage.py", *command.split()),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
