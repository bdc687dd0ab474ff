"""The memory of the executor and of everything below it is seen while it is in use."""

import subprocess
import sys
import time

import pytest

from earthbeam.executor.processes import memory
from earthbeam.executor.processes.memory import PeakMemory


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone shows processes below /proc")
def test_the_peak_includes_what_a_grandchild_needs_even_when_it_is_gone(monkeypatch):
    monkeypatch.setattr(memory, "SECONDS", 0.05)
    peak = PeakMemory()
    before = peak.megabytes or 0
    grandchild = "import time; kept = bytearray(b'x') * 300_000_000"
    code = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {grandchild + "; time.sleep(0.5)"!r}])
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    time.sleep(0.2)
    assert before + 250 < (peak.megabytes or 0) < before + 700


def test_a_system_that_does_not_show_it_has_no_figure(tmp_path):
    assert PeakMemory(tmp_path).megabytes is None
