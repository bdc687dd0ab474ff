"""The benchmark of the database's growth, with few runs: that it still fills and tidies."""

import re
import subprocess
import sys

import pytest

from runway.settings import BASE_DIR


@pytest.mark.slow
def test_a_tidied_database_has_none_of_the_queues_old_jobs_and_less_of_the_rest(tmp_path):
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.growth", "--data", tmp_path / "postgres"),
            *("--jobs", "100", "--runs", "130"),
        ],
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        timeout=560,
    )
    found = re.search(r"^all of them +([\d.]+) +([\d.]+)$", ran.stdout, re.MULTILINE)
    assert found, ran.stderr
    assert float(found[2]) < float(found[1])
    assert re.search(r"^procrastinate_events +\d,\d+ +[\d.]+ +0 ", ran.stdout, re.MULTILINE)
    assert not (tmp_path / "postgres").exists()
