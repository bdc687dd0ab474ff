import random
import threading
import time
from typing import Any

import pytest

from edu.errors import ConnectFailed, PoolClosed, PoolExhausted
from edu.pool import Lease, Pool


class Connection:
    """Knows whether it is closed and whether two threads hold it."""

    def __init__(self, on_close=None):
        self.closed = threading.Event()
        self.held = threading.Lock()
        self._on_close = on_close

    def cursor(self):
        raise AssertionError("the pool runs no queries")

    def close(self):
        assert not self.closed.is_set(), "closed twice"
        if self._on_close:
            self._on_close()
        self.closed.set()


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def in_threads(number, work):
    """Run ``work(index)`` in that many threads at once; their results or exceptions, in order."""
    results: list[Any] = [None] * number
    barrier = threading.Barrier(number)

    def run(index):
        barrier.wait()
        try:
            results[index] = work(index)
        except Exception as error:  # noqa: BLE001  (the test looks at it)
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return results


def expect(error, work, *args):
    with pytest.raises(error):
        work(*args)


def wait_until(condition, timeout=30.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def test_a_released_connection_is_used_again():
    pool = Pool("ea", Connection)
    first = pool.acquire()
    first.release()
    second = pool.acquire()
    assert second.connection is first.connection
    assert (first.fresh, second.fresh) == (True, False)


def test_two_callers_never_share_a_connection():
    pool = Pool("ea", Connection)
    assert pool.acquire().connection is not pool.acquire().connection


def test_a_discarded_connection_is_closed_and_not_handed_out_again():
    pool = Pool("ea", Connection)
    broken = pool.acquire()
    broken.release(discard=True)
    assert pool.acquire().connection is not broken.connection
    assert broken.connection.closed.wait(30)


def test_releasing_twice_does_not_give_one_connection_to_two_callers():
    pool = Pool("ea", Connection)
    lease = pool.acquire()
    lease.release()
    other = pool.acquire()
    lease.release()
    lease.release(discard=True)
    assert pool.acquire().connection is not other.connection
    assert not other.connection.closed.is_set()


def test_a_full_pool_lets_callers_wait_and_then_says_so():
    pool = Pool("ea", Connection, max_size=1)
    pool.acquire()
    with pytest.raises(PoolExhausted):
        pool.acquire(timeout=0.05)
    assert pool.stats().waiting == 0


def test_waiting_callers_are_served_in_their_order():
    pool = Pool("ea", Connection, max_size=1)
    lease = pool.acquire()
    served = []

    def wait_for_turn(number):
        mine = pool.acquire(timeout=60)
        served.append(number)
        mine.release()

    threads = []
    for number in range(4):
        thread = threading.Thread(target=wait_for_turn, args=(number,))
        thread.start()
        threads.append(thread)
        wait_until(lambda expected=number + 1: pool.stats().waiting == expected)
    lease.release()
    for thread in threads:
        thread.join(30)
    assert served == [0, 1, 2, 3]


def test_a_discarded_connection_makes_room_for_a_waiting_caller():
    pool = Pool("ea", Connection, max_size=1)
    lease = pool.acquire()
    lease_of: list[Lease] = []
    waiting = threading.Thread(target=lambda: lease_of.append(pool.acquire(timeout=60)))
    waiting.start()
    wait_until(lambda: pool.stats().waiting == 1)
    lease.release(discard=True)
    waiting.join(30)
    assert lease_of[0].fresh
    assert lease_of[0].connection is not lease.connection


def test_a_failed_connect_leaves_its_place_to_the_next_caller():
    failures = [ConnectFailed()]

    def connect():
        if failures:
            raise failures.pop()
        return Connection()

    pool = Pool("ea", connect, max_size=1)
    with pytest.raises(ConnectFailed):
        pool.acquire()
    assert pool.acquire(timeout=30).fresh


def test_nobody_waits_for_another_callers_connect():
    slow, go_on = threading.Event(), threading.Event()

    def connect():
        if not slow.is_set():
            slow.set()
            assert go_on.wait(60)
        return Connection()

    pool = Pool("ea", connect)
    first = threading.Thread(target=pool.acquire)
    first.start()
    assert slow.wait(30)
    pool.acquire(timeout=30)
    assert pool.stats().connecting == 1
    go_on.set()
    first.join(30)


def test_closing_a_connection_holds_nobody_up():
    stuck = threading.Event()
    pool = Pool("ea", lambda: Connection(on_close=lambda: stuck.wait(60)))
    lease = pool.acquire()
    before = time.monotonic()
    lease.release(discard=True)
    pool.acquire()
    assert time.monotonic() - before < 30
    assert not lease.connection.closed.is_set()
    stuck.set()


def test_fresh_closes_the_idle_ones_first():
    pool = Pool("ea", Connection)
    leases = [pool.acquire() for _ in range(3)]
    for lease in leases:
        lease.release()
    assert pool.acquire(fresh=True).fresh
    for lease in leases:
        assert lease.connection.closed.wait(30)
    assert pool.stats().open == 1


def test_idle_connections_are_closed_after_their_time_and_others_are_not():
    clock = Clock()
    emptied: list[Pool] = []
    pool = Pool("ea", Connection, max_idle=1800, clock=clock, on_empty=emptied.append)
    old, young = pool.acquire(), pool.acquire()
    in_use = pool.acquire()
    old.release()
    clock.now = 1700
    young.release()
    clock.now = 1801
    pool.evict()
    assert old.connection.closed.wait(30)
    assert not young.connection.closed.is_set()
    assert (pool.stats().idle, pool.stats().in_use) == (1, 1)
    in_use.release()
    clock.now = 10_000
    pool.evict()
    assert pool.stats().open == 0
    assert emptied[-1] is pool


def test_a_drained_pool_closes_idle_ones_now_and_others_on_release():
    pool = Pool("ea", Connection)
    idle, in_use = pool.acquire(), pool.acquire()
    idle.release()
    pool.drain()
    assert idle.connection.closed.wait(30)
    assert not in_use.connection.closed.is_set()
    with pytest.raises(PoolClosed):
        pool.acquire()
    in_use.release()
    assert in_use.connection.closed.wait(30)


def test_waiting_callers_are_told_when_the_pool_is_drained():
    pool = Pool("ea", Connection, max_size=1)
    pool.acquire()
    errors = []

    def wait():
        try:
            pool.acquire(timeout=30)
        except PoolClosed as error:
            errors.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    wait_until(lambda: pool.stats().waiting == 1)
    pool.drain()
    waiting.join(30)
    assert errors


def test_a_connection_that_arrives_after_the_end_is_closed():
    opened, go_on = threading.Event(), threading.Event()
    made = []

    def connect():
        opened.set()
        assert go_on.wait(60)
        made.append(Connection())
        return made[0]

    pool = Pool("ea", connect)
    caller = threading.Thread(target=expect, args=(PoolClosed, pool.acquire))
    caller.start()
    assert opened.wait(30)
    pool.close()
    assert pool.wait_closed(0.1)
    go_on.set()
    caller.join(30)
    assert made[0].closed.wait(30)


def test_close_waits_no_longer_than_it_is_told_to():
    never = threading.Event()
    pool = Pool("ea", lambda: Connection(on_close=lambda: never.wait(30)))
    lease = pool.acquire()
    pool.close()
    assert pool.wait_closed(0.05) is False
    lease.release()  # its holder comes late, and must not close it a second time
    never.set()
    assert pool.wait_closed(30)


def test_twenty_callers_open_no_more_than_twenty_connections():
    opened = []

    def connect():
        opened.append(1)
        time.sleep(0.05)
        return Connection()

    pool = Pool("ea", connect, max_size=20)
    leases = in_threads(20, lambda _: pool.acquire())
    assert len({lease.connection for lease in leases}) == 20 == len(opened)


def test_under_stress_no_connection_is_shared_lost_or_used_after_an_error():
    """Eight threads on four places: failing connects, discards, evictions, all at random."""
    alive = set()
    lock = threading.Lock()
    most = 0

    def connect():
        nonlocal most
        if random.random() < 0.1:
            raise ConnectFailed
        connection = Connection()
        with lock:
            alive.add(connection)
            most = max(most, sum(not one.closed.is_set() for one in alive))
        return connection

    clock = Clock()
    pool = Pool("ea", connect, max_size=4, max_idle=1, clock=clock)
    discarded = set()

    def work(index):
        rng = random.Random(index)
        for _ in range(300):
            try:
                lease = pool.acquire(timeout=10, fresh=rng.random() < 0.02)
            except ConnectFailed:
                continue
            assert lease.connection.held.acquire(blocking=False), "in two hands"
            assert lease.connection not in discarded
            if rng.random() < 0.1:
                time.sleep(0.0005)
            discard = rng.random() < 0.1
            if discard:
                discarded.add(lease.connection)
            lease.connection.held.release()
            lease.release(discard=discard)
            if rng.random() < 0.05:
                clock.now += 0.5
                pool.evict()

    assert in_threads(8, work) == [None] * 8
    stats = pool.stats()
    assert (stats.in_use, stats.connecting, stats.waiting) == (0, 0, 0)
    pool.close()
    assert pool.wait_closed(10)
    assert all(connection.closed.is_set() for connection in alive)
    assert len(alive) > 4
