"""The benchmark of large files, with few rows: both sides run, and make the same files."""

import pytest

from benchmarks.inputs import SUMMATIVE
from benchmarks.large import INTERIM, Bench, checkout_before, figures

pytestmark = pytest.mark.slow


def test_both_sides_of_the_benchmark_make_the_same_files(tmp_path):
    with checkout_before() as before:
        bench = Bench(tmp_path, before)
        runs = bench.compare(SUMMATIVE, 20)
        runs.append(bench.run("ours", INTERIM, 30, to_ods=False))
    assert [row["side"] for row in runs] == ["ours", *(["before"] if before else []), "ours"]
    found = figures(runs, 20, 20, 30)
    assert found["results_equal"] is (True if before else None)
    assert found["million_rows_peak_mb"] > 0
