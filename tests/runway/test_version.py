"""Which release runs is shown, and the same everywhere."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from django.test import Client

from runway import __version__
from tests import people

PROJECT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("argument", ["version", "--version"])
def test_the_command_shows_runways_version_and_not_djangos(argument):
    shown = subprocess.check_output([sys.executable, "manage.py", argument], cwd=PROJECT, text=True)
    assert shown == f"Runway {__version__}\n"


@pytest.mark.django_db
def test_the_footer_shows_the_version_to_those_who_have_signed_in():
    footer = f"Runway {__version__}"
    assert footer in people.logged_in(people.make_user()).get("/admin/").content.decode()
    assert footer not in Client().get("/admin/login/").content.decode()


def test_the_changelog_and_the_package_agree_with_it():
    package = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    assert package["project"]["version"] == __version__
    log = (PROJECT / "CHANGELOG.md").read_text()
    newest = re.search(r"^## (\d+\.\d+\.\d+) \(\d{4}-\d\d-\d\d\)$", log, re.MULTILINE)
    assert newest
    if "## Unreleased" in log:
        assert __version__.endswith(".dev0")
    else:
        assert newest[1] == __version__
