"""Measure a child's time, CPU, and memory, describe the machine, and write a results file."""

import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "var" / "bench"


@dataclass(frozen=True)
class Cost:
    """What a child and all of its descendants used."""

    wall_seconds: float
    cpu_seconds: float
    peak_mb: float


def run_child(argv: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path) -> Cost:
    """Run a program until it ends, and return its cost. Raises RuntimeError if it fails."""
    peak = 0
    before = os.times()
    started = time.perf_counter()
    with log.open("ab") as output:
        child = subprocess.Popen(argv, env=dict(env), cwd=cwd, stdout=output, stderr=output)
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.05):
            peak = max(peak, _tree_bytes(child.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    status = child.wait()
    wall = time.perf_counter() - started
    ended.set()
    watcher.join()
    after = os.times()
    if status != 0:
        tail = log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{argv[0]} ended with {status}; the end of {log}:\n{tail}")
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return Cost(round(wall, 2), round(cpu, 2), round(peak / 1e6, 1))


def _tree_bytes(pid: int) -> int:
    total = 0
    try:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
    except psutil.Error:
        pass
    return total


def machine(*packages: str) -> dict[str, Any]:
    """Describe the machine and versions that a benchmark ran with."""
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write_results(name: str, where: Mapping[str, Any], runs: Any, figures: Any) -> Path:
    """Store a benchmark's raw runs and figures in ``var/bench/NAME.json``."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {"machine": where, "runs": runs, "figures": figures}
    path.write_text(json.dumps(content, indent=1, default=_plain) + "\n")
    return path


def _plain(value: Any) -> Any:
    return asdict(value) if isinstance(value, Cost) else str(value)


def python(*arguments: str) -> tuple[str, ...]:
    """Return the command line of one of our Python programs."""
    return (sys.executable, *arguments)
