"""What the pool itself costs, with twenty threads, warm and cold."""

import statistics
import threading
import time
from typing import Any

from edu.pools import Pools


def pool() -> dict[str, Any]:
    """Measure twenty threads on a warm pool, and on a cold one."""
    lookups: list[str] = []
    opened: list[Any] = []
    nothing: Any = object()

    class Connection:
        def cursor(self) -> Any: ...

        def close(self) -> None: ...

    def lookup(partner_id: str) -> Any:
        lookups.append(partner_id)
        time.sleep(0.05)
        return nothing

    def connect(credentials: Any) -> Connection:
        time.sleep(0.1)
        opened.append(Connection())
        return opened[-1]

    pools = Pools(lookup, connect)
    times: list[float] = []
    barrier = threading.Barrier(20)

    def work() -> None:
        barrier.wait()
        pools.acquire("bench", 0).release()
        barrier.wait()
        mine = []
        for _ in range(2000):
            started = time.perf_counter()
            pools.acquire("bench", 0).release()
            mine.append(time.perf_counter() - started)
        times.extend(mine)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pools.shutdown()
    micro = [seconds * 1e6 for seconds in times]
    return {
        "acquire_us_median": round(statistics.median(micro), 2),
        "acquire_us_p99": round(statistics.quantiles(micro, n=100)[98], 2),
        "cold_lookups": len(lookups),
        "cold_connections": len(opened),
    }
