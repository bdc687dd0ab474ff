"""A pool of connections to one partner's EDU, shared by the threads of one process.

Opening a connection takes up to half a minute, so connections are kept across a burst of runs. This
module's one rule: under the lock, only lists and counters change. Connecting, closing, and waiting
happen outside it. So no thread ever waits for another thread's network.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from edu.errors import PoolClosed, PoolExhausted

logger = logging.getLogger(__name__)

MAX_SIZE = 20
ACQUIRE_TIMEOUT = 60.0
"""How many seconds a caller waits for a free place in a full pool."""
MAX_IDLE = 30 * 60.0
"""In seconds; well under the four hours after which Snowflake ends an idle session."""


class Connection(Protocol):
    """The part of a DB-API connection that the pool and the roster need."""

    def cursor(self) -> Any: ...

    def close(self) -> None: ...


class Lease:
    """A connection in use by a caller, who must release it. Releasing it again does no harm."""

    def __init__(self, pool: "Pool", connection: Connection, *, fresh: bool) -> None:
        self.connection: Any = connection
        self.fresh = fresh
        """Whether it was opened for this caller. If not, its session may have expired."""
        self._pool = pool
        self._released = False

    def release(self, *, discard: bool = False) -> None:
        """Return the connection to the pool, or have it closed if it can no longer be trusted.

        Never blocks on the network: closing happens in the background.
        """
        self._pool._release(self, discard=discard)


@dataclass(frozen=True)
class PoolStats:
    """A pool's current state. ``age`` is in seconds since it was created."""

    name: str
    generation: int
    in_use: int
    idle: int
    connecting: int
    waiting: int
    age: float
    closed: bool

    @property
    def open(self) -> int:
        return self.in_use + self.idle


class _Waiter:
    """A caller in the queue, which gets a lease, or a free place in which to connect."""

    def __init__(self) -> None:
        self.served = threading.Event()
        self.lease: Lease | None = None
        self.pool_closed = False


class Pool:
    """Connections of one partner, opened on demand, at most ``max_size`` of them.

    ``connect`` opens one; it must limit its own time. ``on_empty`` is called, with no lock held,
    when the last connection is gone and no caller waits for one.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Connection],
        *,
        generation: int = 0,
        max_size: int = MAX_SIZE,
        max_idle: float = MAX_IDLE,
        clock: Callable[[], float] = time.monotonic,
        on_empty: Callable[["Pool"], None] | None = None,
    ) -> None:
        self.name = name
        self.generation = generation
        self._connect = connect
        self._max_size = max_size
        self._max_idle = max_idle
        self._clock = clock
        self._on_empty = on_empty
        self._made_at = clock()
        self._lock = threading.Lock()
        self._idle: deque[tuple[Connection, float]] = deque()  # with the time of its release
        self._in_use: set[Connection] = set()
        self._connecting = 0
        self._waiters: deque[_Waiter] = deque()
        self._closed = False
        self._closing = 0
        self._all_closed = threading.Condition(self._lock)

    def acquire(self, timeout: float = ACQUIRE_TIMEOUT, *, fresh: bool = False) -> Lease:
        """Return a connection for this caller: an idle one, else a new one, else the next released.

        With ``fresh``, idle connections are closed first, for a caller who found one to be stale.

        Blocks up to ``timeout`` seconds while the pool is full, plus the time of its own connect.
        Raises PoolExhausted, PoolClosed, and whatever ``connect`` raises. The caller must call
        ``release``.
        """
        stale: list[Connection] = []
        try:
            with self._lock:
                if self._closed:
                    raise PoolClosed
                if fresh:
                    stale = self._take_idle()
                elif self._idle:
                    # The newest one, so that the others age and are evicted after a burst.
                    connection, _ = self._idle.pop()
                    self._in_use.add(connection)
                    return Lease(self, connection, fresh=False)
                waiter = None
                if self._size() < self._max_size:
                    self._connecting += 1
                else:
                    waiter = _Waiter()
                    self._waiters.append(waiter)
        finally:
            self._close_all(stale)
        if waiter is not None:
            lease = self._wait(waiter, timeout)
            if lease is not None:
                return lease
        return self._open()

    def _wait(self, waiter: _Waiter, timeout: float) -> Lease | None:
        """Wait, outside the lock, for a lease, or for a place to connect in (None)."""
        if not waiter.served.wait(timeout):
            with self._lock:
                # May have been served between the time-out and this lock.
                if not waiter.served.is_set():
                    self._waiters.remove(waiter)
                    raise PoolExhausted
        if waiter.pool_closed:
            raise PoolClosed
        return waiter.lease

    def _open(self) -> Lease:
        """Connect in the place that was counted for the caller."""
        try:
            connection = self._connect()
        except BaseException:
            with self._lock:
                self._connecting -= 1
                self._pass_place_on()
            self._report_if_empty()
            raise
        with self._lock:
            self._connecting -= 1
            if not self._closed:
                self._in_use.add(connection)
                return Lease(self, connection, fresh=True)
        self._close_all([connection])
        raise PoolClosed

    def _release(self, lease: Lease, *, discard: bool) -> None:
        connection = lease.connection
        with self._lock:
            if lease._released or connection not in self._in_use:
                return
            lease._released = True
            self._in_use.remove(connection)
            keep = not discard and not self._closed
            if keep and self._waiters:
                self._in_use.add(connection)
                waiter = self._waiters.popleft()
                waiter.lease = Lease(self, connection, fresh=False)
                waiter.served.set()
            elif keep:
                self._idle.append((connection, self._clock()))
            else:
                self._pass_place_on()
        if not keep:
            self._close_all([connection])
            self._report_if_empty()

    def _pass_place_on(self) -> None:
        """Let the first waiter connect in a place that became free. Called under the lock."""
        if self._waiters and not self._closed:
            self._connecting += 1
            self._waiters.popleft().served.set()

    def evict(self) -> None:
        """Close connections that have been idle for ``max_idle`` seconds."""
        with self._lock:
            limit = self._clock() - self._max_idle
            old = []
            while self._idle and self._idle[0][1] <= limit:
                old.append(self._idle.popleft()[0])
        if old:
            self._close_all(old)
            self._report_if_empty()

    def drain(self) -> None:
        """Stop giving out connections. Closes idle ones now, and the others when released."""
        with self._lock:
            self._closed = True
            idle = self._take_idle()
            while self._waiters:
                waiter = self._waiters.popleft()
                waiter.pool_closed = True
                waiter.served.set()
        self._close_all(idle)

    def close(self) -> None:
        """Drain, and close connections in use as well; ``wait_closed`` waits until that is done."""
        self.drain()
        with self._lock:
            in_use = list(self._in_use)
            self._in_use.clear()
        self._close_all(in_use)

    def wait_closed(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for connections being closed. True if all are.

        Does not wait for a connect in progress: its connection is closed when it arrives.
        """
        with self._all_closed:
            return self._all_closed.wait_for(lambda: not self._closing, timeout)

    def drain_if_empty(self) -> bool:
        """Drain the pool if it has no connections, none in progress, and no waiting callers."""
        with self._lock:
            if self._size() or self._waiters:
                return False
            self._closed = True
            return True

    @property
    def closed(self) -> bool:
        return self._closed

    def stats(self) -> PoolStats:
        with self._lock:
            return PoolStats(
                name=self.name,
                generation=self.generation,
                in_use=len(self._in_use),
                idle=len(self._idle),
                connecting=self._connecting,
                waiting=len(self._waiters),
                age=self._clock() - self._made_at,
                closed=self._closed,
            )

    def _size(self) -> int:
        """Return the number of places in use. Called under the lock."""
        return len(self._in_use) + len(self._idle) + self._connecting

    def _take_idle(self) -> list[Connection]:
        """Remove and return the idle connections. Called under the lock."""
        taken = [connection for connection, _ in self._idle]
        self._idle.clear()
        return taken

    def _report_if_empty(self) -> None:
        if self._on_empty is not None:
            self._on_empty(self)

    def _close_all(self, connections: list[Connection]) -> None:
        """Close connections in separate threads, since logging out of EDU can take seconds."""
        with self._lock:
            self._closing += len(connections)
        for connection in connections:
            thread = threading.Thread(
                target=self._close, args=(connection,), name=f"edu-close-{self.name}", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:  # the interpreter is ending and no longer starts threads
                self._close(connection)

    def _close(self, connection: Connection) -> None:
        try:
            connection.close()
        except Exception:  # noqa: BLE001  (whatever a broken connection raises, it is given up)
            logger.info("EDU pool %s: a connection did not close cleanly", self.name)
        finally:
            with self._all_closed:
                self._closing -= 1
                self._all_closed.notify_all()
