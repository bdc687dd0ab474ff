"""The benchmark of the external API's lists, with few rows: that it seeds, serves, and polls."""

import re
import subprocess
import sys

import pytest

from runway.settings import BASE_DIR


@pytest.mark.slow
def test_every_list_of_the_benchmark_answers():
    # A process of its own, for it starts a database server.
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.api"),
            *("--large", "10000", "--rounds", "1", "--seconds", "0.5"),
        ],
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        timeout=560,
    )
    assert ran.returncode == 0, ran.stderr
    lists = re.findall(r"^(.+?) +[\d.]+ ms +[\d.]+ ms +[\d.]+$", ran.stdout, re.MULTILINE)
    assert len(lists) == 10, ran.stdout
    assert re.search(r"^\d+ polls a second", ran.stdout, re.MULTILINE)
