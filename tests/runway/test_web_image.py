"""The web image has all that the web process and the worker are made of."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_what_the_image_copies_is_enough_to_start_from(tmp_path):
    dockerfile = (PROJECT / "Dockerfile").read_text()
    for sources, target in re.findall(r"^COPY (.+) (\S+)$", dockerfile, re.MULTILINE):
        for source in sources.split():
            copied = PROJECT / source
            assert f"!{source}" in (PROJECT / ".dockerignore").read_text().splitlines()
            if copied.is_dir():
                shutil.copytree(
                    copied, tmp_path / target, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy(copied, tmp_path / target / copied.name)
    for removed in re.findall(r"^RUN rm -rf (.+)$", dockerfile, re.MULTILINE):
        for folder in removed.split():
            shutil.rmtree(tmp_path / folder)
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
