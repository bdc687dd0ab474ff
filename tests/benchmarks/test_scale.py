"""The simulation of many executors, with a few: that all of them come to their end."""

import subprocess
import sys

import pytest

from runway.settings import BASE_DIR


@pytest.mark.slow
def test_executors_at_once_all_end_well(tmp_path):
    few = ("--executors", "12", "--minutes", "0.1", "--data", str(tmp_path / "scale"))
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale", *few],
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "runs that did not end well: 0" in ran.stdout, ran.stderr
    assert not (tmp_path / "scale").exists()
