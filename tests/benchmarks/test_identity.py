"""The benchmark of identity, with few rows."""

import pytest

from benchmarks.identity import febrl4, million

pytestmark = pytest.mark.slow


def test_students_are_found_by_name_and_birth_date_as_well_as_promised():
    found = febrl4(1000)
    assert found["febrl4_precision_at_recall_90"] >= 0.99
    assert found["febrl4_top3"] >= 0.97
    assert found["febrl4_guard_false_holds"] <= 0.005
    assert found["febrl4_guard_found"] >= 0.97


def test_the_benchmark_finds_its_own_students():
    found = million(500, 20)
    assert found["million_roster_top3"] == 1
