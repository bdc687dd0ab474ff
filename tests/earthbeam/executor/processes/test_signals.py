"""When an interruption is raised, and when not."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.earthbeam.executor.conftest import PROJECT


def run(code, *, terminate_after=None):
    """Run ``code`` in a program of its own, as signals are a whole process's."""
    head = "import os, signal, time\nfrom earthbeam.executor.processes import interruption\n"
    head += "from earthbeam.executor.errors import Interrupted\n"
    head += "interruption.REPEAT_SECONDS = 0.3\n"
    with subprocess.Popen(
        (sys.executable, "-c", head + code), stdout=subprocess.PIPE, text=True, cwd=PROJECT
    ) as process:
        assert process.stdout is not None
        if terminate_after is not None:
            assert process.stdout.readline() == "ready\n"
            time.sleep(terminate_after)
            os.kill(process.pid, signal.SIGTERM)
        return process.communicate(timeout=60)[0].split()


@pytest.mark.parametrize(("seconds", "raised"), [(0.1, "TimedOut"), (10, "Terminated")])
def test_the_time_limit_and_sigterm_are_told_apart(seconds, raised):
    code = f"""
try:
    with interruption.interruptible({seconds}):
        print("ready", flush=True)
        time.sleep(10)
except Interrupted as error:
    print(type(error).__name__)
"""
    assert run(code, terminate_after=0.3 if seconds == 10 else None)[-1] == raised


def test_what_somebody_swallows_is_raised_again():
    assert run("""
tries = 0
try:
    with interruption.interruptible(0.1):
        while True:
            try:
                time.sleep(10)
            except Interrupted:  # as a finalizer would, in which Python swallows what is raised
                tries += 1
                if tries == 3:
                    raise
except Interrupted:
    print("ended", tries)
""") == ["ended", "3"]


def test_a_second_signal_leaves_the_clean_up_alone():
    assert run("""
def terminate():
    os.kill(os.getpid(), signal.SIGTERM)

try:
    with interruption.interruptible(60):
        try:
            terminate()
        finally:
            terminate()
            print("cleaned", "up")
except Interrupted:
    terminate()
    print("reported")
""") == ["cleaned", "up", "reported"]


def test_what_is_held_is_put_off_and_comes_where_it_is_let_through():
    assert run("""
try:
    with interruption.interruptible(60):
        with interruption.held():
            os.kill(os.getpid(), signal.SIGTERM)
            print("whole")
            try:
                with interruption.let_through():
                    print("never")
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                print("ended")
        print("never")
except Interrupted:
    print("interrupted")
""") == ["whole", "ended", "interrupted"]


def test_after_the_run_nothing_interrupts():
    assert run("""
with interruption.interruptible(60):
    pass
os.kill(os.getpid(), signal.SIGTERM)
os.kill(os.getpid(), signal.SIGALRM)
print("reported")
""") == ["reported"]
