"""A run that is stopped, in every step: by SIGTERM, by its time limit, by SIGKILL."""

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from runway.sandbox.ods import Faults
from runway.sandbox.population import CURRENT, in_group
from tests.earthbeam.executor import hostile
from tests.earthbeam.executor.test_runs import INTERIM, STEPS, interim

pytestmark = pytest.mark.slow

change_bundles = hostile.change_bundles

# A child that hangs, with one of its own in another session. SIGTERM ends it, or nothing does.
POLITE = """
import subprocess, time
subprocess.Popen(["sleep", "300"], start_new_session=True)
print("HANGING", flush=True)
time.sleep(300)
"""
STUBBORN = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{POLITE}"


def descendants(root: int) -> set[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {root}


def alive(pids: set[int]) -> set[int]:
    living = set()
    for pid in pids:
        with suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                living.add(pid)
    return living


def gone(pids: set[int], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pids)


class Held:
    """A run of the executor that hangs in one step, so that it can be stopped there."""

    def __init__(self, step, app, ods, workbench, change_bundles, tmp_path):
        self.step, self.app, self.ods = step, app, ods
        self.workbench, self.change_bundles, self.tmp_path = workbench, change_bundles, tmp_path
        self.reached = threading.Event()
        self.log: list[str] = []
        known = in_group(CURRENT)[10:14]
        path = tmp_path / "scores.csv"
        path.write_text(interim([(s.state_id, "", "A") for s in known]))
        workbench.job(path, INTERIM, ods)
        # A step that starts no child hangs while it talks to the app.
        self.by_child = step not in ("get_input_files", "upload_output")
        app.on_report = self._on_report

    def start(self, child=POLITE):
        variables = {}
        match self.step:
            case "refresh_bundle_code":
                tools = self.tmp_path / "tools"
                tools.mkdir()
                (tools / "git").write_text(f"#!{sys.executable}\n{child}")
                (tools / "git").chmod(0o755)
                variables["PATH"] = f"{tools}:{os.environ['PATH']}"
            case "earthmover_deps":
                self.workbench.bundle_repo = self.change_bundles(
                    hostile.running(child, when=hostile.IN_DEPS)
                )
            case "earthmover_run":
                self.workbench.bundle_repo = self.change_bundles(
                    hostile.running(child, when=hostile.IN_RUN)
                )
            case "get_student_roster":
                self.ods.faults = Faults(delay_seconds=60)
        self.process = self.workbench.start(**variables)
        threading.Thread(target=self._read, daemon=True).start()
        self.children = self._wait_until_it_hangs()

    def _on_report(self, name, body):
        if name == "status" and body == {"action": self.step, "status": "begin"}:
            if self.step == "lightbeam_send":
                self.ods.faults = Faults(delay_seconds=60)
            if not self.by_child:
                self.reached.set()
                self.app.released.wait(30)

    def _read(self):
        for line in self.process.stdout:
            self.log.append(line)

    def _wait_until_it_hangs(self):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if self.reached.is_set() or (self.by_child and self._child_hangs()):
                return descendants(self.process.pid)
            assert self.process.poll() is None, "".join(self.log)
            time.sleep(0.02)
        raise AssertionError("".join(self.log))

    def _child_hangs(self):
        if self.step in ("get_student_roster", "lightbeam_send"):
            return f"{self.step} begin" in self.app.steps() and any(
                b"lightbeam" in Path(f"/proc/{pid}/cmdline").read_bytes()
                for pid in alive(descendants(self.process.pid))
            )
        return any("HANGING" in line for line in self.log)


@pytest.fixture
def held(request, app, ods, workbench, change_bundles, tmp_path):
    app.released = threading.Event()
    held = Held(request.param, app, ods, workbench, change_bundles, tmp_path)
    yield held
    app.released.set()
    if held.process.poll() is None:
        held.process.kill()
    ods.faults = Faults()


def in_steps(*steps):
    return pytest.mark.parametrize("held", steps, indirect=True)


def check_that_it_ended_well(held, code):
    app = held.app
    held.process.wait(timeout=90)
    log = "".join(held.log)
    assert held.process.returncode == 0, log
    assert app.steps()[-2:] == [f"{held.step} failure", "done failure"], log
    assert app.error()["code"] == code
    assert held.children or not held.by_child
    assert gone(held.children), "a child outlived its executor"
    assert list(held.workbench.scratch.iterdir()) == []
    if STEPS.index(held.step) < STEPS.index("lightbeam_send"):
        assert held.ods.received_counts() == {}


@in_steps(*STEPS)
def test_sigterm_ends_what_was_started_and_is_reported(held):
    held.start()
    # Twice: whoever stops a container is impatient, and the second must not disturb the clean-up.
    held.process.send_signal(signal.SIGTERM)
    time.sleep(0.05)
    held.process.send_signal(signal.SIGTERM)
    held.app.released.set()
    check_that_it_ended_well(held, "unknown")
    assert "told to stop" in held.app.error()["payload"]["message"]


# Git, a fork of earthmover's process, lightbeam, and no child at all.
@in_steps("refresh_bundle_code", "earthmover_run", "lightbeam_send", "upload_output")
def test_the_time_limit_ends_even_a_child_that_ignores_sigterm(held):
    held.start(STUBBORN)
    held.process.send_signal(signal.SIGALRM)  # as the limit's timer does
    held.app.released.set()
    check_that_it_ended_well(held, "executor_timeout")
    assert held.app.error()["payload"]["timeout_seconds"] == 3600


# The other steps: tests/e2e/test_killed_processes.py
@in_steps("earthmover_run", "lightbeam_send")
def test_sigkill_ends_the_children_at_work_and_sends_nothing_more(held):
    held.start(STUBBORN)
    children = {pid for pid in held.children if parent_of(pid) == held.process.pid}
    assert children or not held.by_child
    if held.step.startswith("earthmover"):  # at work are the forks of the child
        forks = {pid for pid in held.children if parent_of(pid) in children}
        assert forks
        children |= forks
    held.process.kill()
    assert gone(children)
    before = held.ods.received_counts()
    held.ods.faults = Faults()
    held.app.released.set()
    time.sleep(0.5)
    assert held.ods.received_counts() == before
    assert "done failure" not in held.app.steps()  # nobody is left to say so: the launcher does
    for stray in alive(held.children):
        os.kill(stray, signal.SIGKILL)


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
