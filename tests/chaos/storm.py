"""What breaks, and when: drawn from the seed."""

import random
import time
from collections import Counter
from collections.abc import Callable

from tests.chaos.world import World

PAUSES = (1.0, 5.0)
"""Seconds between one fault and the next, at least and at most."""
LASTS = (2.0, 8.0)
CLOCK_JUMPS = (-7200, -90, 90, 7200)


class Storm:
    """One fault after another; some last a while, and may overlap."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world, self._rng = world, rng
        self._next = time.monotonic() + rng.uniform(*PAUSES)
        self._to_mend: list[tuple[float, Callable[[], None]]] = []
        self.faults: Counter[str] = Counter()
        self._kinds: dict[str, tuple[int, Callable[[], Callable[[], None] | None]]] = {
            "executor killed": (6, lambda: world.kill_an_executor(rng)),
            "worker killed": (2, lambda: self._killed("worker")),
            "web killed": (2, lambda: self._killed("web")),
            "PostgreSQL crashed": (1, world.crash_postgres),
            "EDU cut": (2, self._cut_edu),
            "ODS cut": (3, self._cut_ods),
            "clock jumped": (2, self._set_clock),
        }
        if world.scratch_is_small:
            self._kinds["disk filled"] = (2, self._fill)

    def blow(self) -> None:
        """Break what is due, and mend what has been broken long enough."""
        now = time.monotonic()
        for each in [each for each in self._to_mend if each[0] <= now]:
            self._to_mend.remove(each)
            each[1]()
        if now < self._next:
            return
        self._next = now + self._rng.uniform(*PAUSES)
        weights = [weight for weight, _ in self._kinds.values()]
        (name,) = self._rng.choices(list(self._kinds), weights)
        if mend := self._kinds[name][1]():
            self._to_mend.append((now + self._rng.uniform(*LASTS), mend))
        self.faults[name] += 1

    def end(self) -> None:
        self._to_mend.clear()
        self._world.mend()

    def _killed(self, name: str) -> None:
        if not self._world.stack.has_fallen(name):
            self._world.stack.kill(name)

    def _cut_edu(self) -> Callable[[], None]:
        self._world.edu_line.cut()
        return self._world.edu_line.mend

    def _cut_ods(self) -> Callable[[], None]:
        line = self._rng.choice(list(self._world.ods_lines.values()))
        line.cut()
        return line.mend

    def _set_clock(self) -> Callable[[], None]:
        self._world.set_clock(self._rng.choice(CLOCK_JUMPS))
        return lambda: self._world.set_clock(0)

    def _fill(self) -> Callable[[], None]:
        self._world.fill_disk()
        return self._world.free_disk
