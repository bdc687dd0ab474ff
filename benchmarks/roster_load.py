"""The load of `make bench-roster`: slow rosters during reports, and hundreds of rosters."""

import threading
import time
from typing import Any

from benchmarks.roster_clients import Cut, SlowReaders, give_up, p99, read, report
from benchmarks.roster_web import READERS, Web, World


def load(web: Web, world: World, seconds: float) -> dict[str, Any]:
    """Read the first run's roster slowly while the other runs report."""
    roster, reports = world.roster, [f"{path}/status" for path in world.paths[1:]]
    headers = world.headers
    read(web.port, roster, headers[0])
    report(web.port, reports, headers[1:], 2)  # so that every thread has a database connection
    unloaded = report(web.port, reports, headers[1:], seconds)
    before = web.megabytes()
    readers = SlowReaders(READERS, web.port, roster, headers[0])
    peak, ended = before, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.1):
            peak = max(peak, web.megabytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    readers.wait_until_served()
    try:
        read(web.port, roster, headers[0])
        refused = "it was served"
    except Cut as cut:
        refused = str(cut.args[0])
    loaded = report(web.port, reports, headers[1:], seconds)
    ended.set()
    watcher.join()
    return {
        "completed": readers.finish(),
        "one_more": "503 with Retry-After"
        if " 503 " in refused and "Retry-After" in refused
        else refused,
        "calls": len(loaded),
        "p99_ms_unloaded": p99(unloaded),
        "p99_ms_loaded": p99(loaded),
        "mb_before": round(before, 1),
        "mb_peak": round(peak, 1),
        "mb_per_slow_reader": round((peak - before) / READERS, 2),
    }


def soak(web: Web, world: World, streams: int) -> dict[str, Any]:
    """Read many rosters, ten at a time, giving up every fourth; compare the process's resources."""

    def some(number: int) -> None:
        for at in range(number):
            if at % 4:
                read(web.port, world.roster, world.headers[0])
            else:
                give_up(web.port, world.roster, world.headers[0])

    def round_of(number: int) -> None:
        threads = [threading.Thread(target=some, args=(number,)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(1)

    def held() -> dict[str, float]:
        return {
            "threads": web.worker.num_threads(),
            "files_and_sockets": web.worker.num_fds(),
            "mb": round(web.megabytes(), 1),
        }

    round_of(2)
    states = [held()]
    for _ in range(5):
        round_of(max(1, streams // 50))
        states.append(held())
    return {"streams": streams, "before": states[0], "after": states[-1], "between": states[1:-1]}
