"""The pools of one process: one per partner, created on first use and dropped when empty.

The same rule as in ``edu.pool`` applies: under the lock, only the registry changes. Looking up
credentials, connecting, and closing happen outside it.
"""

import logging
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from edu.errors import LoginRejected, NoCredentials, PoolClosed
from edu.pool import ACQUIRE_TIMEOUT, MAX_IDLE, MAX_SIZE, Connection, Lease, Pool, PoolStats

if TYPE_CHECKING:
    from edu.credentials import EduCredentials

logger = logging.getLogger(__name__)

EVICT_EVERY = 60.0
"""Seconds between the evictor's rounds."""
SHUTDOWN_TIMEOUT = 10.0
"""Seconds within which every pool must be closed when the process ends."""


class Pools:
    """Provides connections by partner and generation.

    ``lookup`` returns a partner's credentials or None, and ``connect`` opens a connection with
    them. A partner's generation is a number that only grows. A pool of an older one is drained and
    replaced when a caller asks for a newer one, so a reset takes effect in every process.
    """

    def __init__(
        self,
        lookup: Callable[[str], "EduCredentials | None"],
        connect: Callable[["EduCredentials"], Connection],
        *,
        max_size: int = MAX_SIZE,
        timeout: float = ACQUIRE_TIMEOUT,
        max_idle: float = MAX_IDLE,
        evict_every: float = EVICT_EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lookup = lookup
        self._connect = connect
        self._max_size = max_size
        self._timeout = timeout
        self._max_idle = max_idle
        self._evict_every = evict_every
        self._clock = clock
        self._lock = threading.Lock()
        self._pools: dict[str, Pool] = {}
        self._creations: dict[tuple[str, int], Future[Pool]] = {}
        self._connected: dict[str, float] = {}
        self._made: weakref.WeakSet[Pool] = weakref.WeakSet()  # even replaced ones, if in use
        self._evictor: threading.Thread | None = None
        self._stop = threading.Event()

    def acquire(self, partner_id: str, generation: int, *, fresh: bool = False) -> Lease:
        """Return a connection to the partner's EDU. The caller must call its ``release``.

        Blocks as ``Pool.acquire`` does. Without a pool, also blocks for the credential look-up,
        which concurrent callers share. If credentials from an earlier look-up are refused, tries
        once more with current ones, so that a rotated key causes no error.

        Raises NoCredentials, CredentialLookupFailed, KeyUnreadable, NotConfigured, ConnectFailed,
        LoginRejected, PoolExhausted, PoolClosed.
        """
        while True:
            pool, just_made = self._pool(partner_id, generation)
            try:
                return pool.acquire(self._timeout, fresh=fresh)
            except PoolClosed:
                # Replaced or emptied since `_pool` returned it, so get its successor. The loop ends
                # because `_pool` raises PoolClosed too once the whole registry is closed.
                continue
            except LoginRejected:
                self._retire(pool)
                if just_made:
                    raise

    def available(self, partner_id: str, generation: int) -> bool:
        """Whether the partner's EDU can be queried: a live pool, or credentials are available.

        Raises what the look-up raises. Callers that must not fail log any EduError as "no".
        """
        if self._current(partner_id, generation) is not None:
            return True
        return self._lookup(partner_id) is not None

    def follow(self, partner_id: str, generation: int) -> None:
        """Drain the partner's pool if it is older, without waiting for the next caller."""
        with self._lock:
            pool = self._pools.get(partner_id)
            if pool is None or pool.generation >= generation:
                return
            del self._pools[partner_id]
        pool.drain()

    def evict(self) -> None:
        """Run one round of the evictor: close what has been idle for too long."""
        for pool in self._all():
            pool.evict()

    def stats(self) -> list[PoolStats]:
        """Return the state of all pools, including replaced ones that are still in use."""
        every = [pool.stats() for pool in self._all()]
        alive = [stats for stats in every if stats.open or stats.connecting or not stats.closed]
        return sorted(alive, key=lambda stats: (stats.name, stats.generation))

    def connected_ago(self) -> dict[str, float]:
        """Return the seconds since a connection was last opened, by partner."""
        now = self._clock()
        return {partner_id: now - at for partner_id, at in self._connected.copy().items()}

    def shutdown(self, timeout: float = SHUTDOWN_TIMEOUT) -> bool:
        """Close everything permanently, all pools at once. True if that was done in time."""
        with self._lock:
            self._stop.set()
            pools = list(self._made)
            self._pools.clear()
        for pool in pools:
            pool.close()
        deadline = time.monotonic() + timeout
        stuck = [p for p in pools if not p.wait_closed(max(0.0, deadline - time.monotonic()))]
        for pool in stuck:
            logger.warning("EDU pool %s did not close in %.0f s; given up", pool.name, timeout)
        return not stuck

    def _pool(self, partner_id: str, generation: int) -> tuple[Pool, bool]:
        """Return the partner's pool, and whether credentials were looked up for this call."""
        # Without the lock, which reading one entry of a dict does not need, so that many threads on
        # a warm pool do not queue. A pool that is being replaced raises when it is used.
        pool = self._current(partner_id, generation)
        if pool is not None:
            return pool, False
        with self._lock:
            if self._stop.is_set():
                raise PoolClosed
            pool = self._current(partner_id, generation)
            if pool is not None:
                return pool, False
            # A caller with a newer generation creates its own pool, since a look-up that began
            # before the reset may have the old secret.
            creation = self._creations.get((partner_id, generation))
            if creation is None:
                mine = self._creations[partner_id, generation] = Future()
        if creation is not None:
            return creation.result(), True  # waits outside the lock; raises the creator's error
        try:
            pool = self._make(partner_id, generation)
        except BaseException as error:
            with self._lock:
                del self._creations[partner_id, generation]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._creations[partner_id, generation]
            replaced = self._pools.get(partner_id)
            if self._stop.is_set():
                replaced = pool
            elif replaced is not None and replaced.generation > generation:
                pool, replaced = replaced, None
            else:
                self._pools[partner_id] = pool
                self._made.add(pool)
            self._start_evictor()
        if replaced is not None:
            replaced.drain()
        mine.set_result(pool)
        return pool, True

    def _current(self, partner_id: str, generation: int) -> Pool | None:
        """Return the current pool, unless it is too old or closed."""
        pool = self._pools.get(partner_id)
        if pool is None or pool.closed or pool.generation < generation:
            return None
        return pool

    def _make(self, partner_id: str, generation: int) -> Pool:
        credentials = self._lookup(partner_id)
        if credentials is None:
            raise NoCredentials

        def connect() -> Connection:
            connection = self._connect(credentials)
            self._connected[partner_id] = self._clock()
            return connection

        return Pool(
            partner_id,
            connect,
            generation=generation,
            max_size=self._max_size,
            max_idle=self._max_idle,
            clock=self._clock,
            on_empty=self._forget_if_empty,
        )

    def _retire(self, pool: Pool) -> None:
        """Drain a pool whose credentials were refused. The next caller creates a new one."""
        with self._lock:
            if self._pools.get(pool.name) is pool:
                del self._pools[pool.name]
        pool.drain()

    def _forget_if_empty(self, pool: Pool) -> None:
        """Drop an empty pool, so that credentials do not outlive connections made with them."""
        with self._lock:
            if self._pools.get(pool.name) is pool and pool.drain_if_empty():
                del self._pools[pool.name]

    def _all(self) -> list[Pool]:
        with self._lock:
            return list(self._made)

    def _start_evictor(self) -> None:
        """Start the evictor with the first pool. Called under the lock."""
        if self._evictor is None and not self._stop.is_set():
            self._evictor = threading.Thread(
                target=self._evict_for_ever, name="edu-evictor", daemon=True
            )
            self._evictor.start()

    def _evict_for_ever(self) -> None:
        while not self._stop.wait(self._evict_every):
            try:
                self.evict()
            except Exception:
                logger.exception("EDU pools: a round of the evictor failed")
