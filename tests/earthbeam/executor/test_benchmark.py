"""`make bench-executor` runs the executor's steps by itself: it must follow their changes."""

import pytest

from benchmarks.executor import Bench, Case
from benchmarks.inputs import SUMMATIVE

pytestmark = pytest.mark.slow


def test_the_benchmark_runs_the_executors_steps(tmp_path):
    case = Case("small", rows=10, ods_roster=20, edu_roster=20, repeats=1, stock="none")
    (row,) = Bench(tmp_path).measure(SUMMATIVE, case, big_stock=False)
    assert row["side"] == "ours"
    assert row["cpu_seconds"] > 0
