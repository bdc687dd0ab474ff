"""The benchmark of the roster stream, with few students: that all of its parts run."""

import subprocess
import sys

import pytest

from runway.settings import BASE_DIR

FIGURES = (
    "ratio_to_row_by_row",
    "ratio_to_file",
    "named_ratio_to_file",
    "connector_ratio_to_row_by_row",
    "mb_per_slow_reader",
    "pool_acquire_us_median",
    "callback_p99_ratio_under_streams",
)


@pytest.mark.slow
def test_every_part_of_the_benchmark_gives_its_figure():
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.roster"),
            *("--sizes", "20000", "--rounds", "1", "--load-seconds", "1", "--soak", "8"),
        ],
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        timeout=560,
    )
    assert ran.returncode == 0, ran.stderr
    assert [name for name in FIGURES if name not in ran.stdout] == []
    # What holds whatever the machine is busy with: all readers are served to the end, one more not.
    assert '"completed": 20' in ran.stdout
    assert '"one_more": "503 with Retry-After"' in ran.stdout
