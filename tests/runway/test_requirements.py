"""What is installed is pinned with hashes, as `make requirements` writes it from the .in files."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PIN = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)")
LISTS = ["requirements", "requirements-executor", "requirements-dev"]


def pins(path):
    """Name → versions, of a list's own lines."""
    found: dict[str, set[str]] = {}
    for line in path.read_text().splitlines():
        if match := PIN.match(line):
            found.setdefault(match[1].lower().replace("_", "-"), set()).add(match[2])
    return found


@pytest.mark.parametrize("name", LISTS)
def test_every_package_has_a_version_and_hashes(name):
    text = (PROJECT / f"{name}.txt").read_text()
    packages = re.split(r"\n(?=[A-Za-z])", text.replace("\\\n", " "))
    lines = [each for each in packages if not each.startswith("#")]
    assert len(lines) > 40
    assert not [each for each in lines if "==" not in each or "--hash=sha256:" not in each]
    assert "://" not in text


@pytest.mark.parametrize("name", LISTS)
def test_what_is_asked_for_is_what_is_pinned(name):
    asked, pinned = pins(PROJECT / f"{name}.in"), pins(PROJECT / f"{name}.txt")
    assert asked
    assert {each for each in asked if not asked[each] <= pinned.get(each, set())} == set()


def test_all_lists_have_the_same_versions():
    every = pins(PROJECT / "requirements-dev.txt")
    for name in LISTS[:2]:
        assert not [key for key, of in pins(PROJECT / f"{name}.txt").items() if of != every[key]]


@pytest.mark.slow
def test_the_bill_of_materials_has_every_package_with_its_hashes(tmp_path):
    bill = tmp_path / "executor.json"
    program = Path(sys.executable).with_name("cyclonedx-py")
    command = (program, "requirements", PROJECT / "requirements-executor.txt", "-o", bill)
    subprocess.run(command, check=True, capture_output=True)
    parts = json.loads(bill.read_text())["components"]
    listed: dict[str, set[str]] = {}
    for part in parts:
        listed.setdefault(part["name"].lower().replace("_", "-"), set()).add(part["version"])
        assert part["externalReferences"][0]["hashes"]
    assert listed == pins(PROJECT / "requirements-executor.txt")
