"""The benchmark of sending, with few records."""

import pytest

from benchmarks.send import run

pytestmark = pytest.mark.slow


def test_the_benchmark_sends_all_records():
    row = run(30, 1, 4)
    assert row["rate"] > 0
    assert row["cpu_ms_a_record"] > 0
