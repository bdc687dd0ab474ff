"""A small storm: that all is well after it, and that the program itself does not rot."""

import subprocess
import sys

import pytest

from tests import bubblewrap
from tests.images import PROJECT


@bubblewrap.needed
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_after_a_small_storm_all_is_well(tmp_path):
    storm = ("--jobs", "6", "--storm", "15", "--folder", str(tmp_path))
    ran = subprocess.run(
        [sys.executable, "-m", "tests.chaos", *storm],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "all is well" in ran.stdout
