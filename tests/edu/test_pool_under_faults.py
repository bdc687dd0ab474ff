"""Pools under everything at once: failing look-ups and connects, resets, evictions, shutdown."""

import random
import threading
import time

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from edu.errors import (
    ConnectFailed,
    CredentialLookupFailed,
    EduError,
    LoginRejected,
    PoolClosed,
    PoolExhausted,
)
from edu.pool import Lease, Pool
from edu.pools import Pools
from tests.edu.test_pool import Clock, Connection, in_threads

MAX = 3


class PoolMachine(RuleBasedStateMachine):
    """One caller's view of a pool: every order of calls, against the plainest model of it."""

    def __init__(self):
        super().__init__()
        self.clock = Clock()
        self.opened: list[Connection] = []
        self.failing = False
        self.leases: list[Lease] = []
        self.released: list[Lease] = []
        self.given_up: set[Connection] = set()
        self.drained = False
        self.pool = Pool("ea", self.connect, max_size=MAX, max_idle=10, clock=self.clock)

    def connect(self):
        if self.failing:
            raise ConnectFailed
        self.opened.append(Connection())
        return self.opened[-1]

    @rule(failing=st.booleans())
    def edu_fails_or_not(self, failing):
        self.failing = failing

    @rule(fresh=st.booleans())
    def acquire(self, fresh):
        idle = self.pool.stats().idle
        try:
            lease = self.pool.acquire(timeout=0, fresh=fresh)
        except PoolClosed:
            assert self.drained
        except PoolExhausted:
            assert len(self.leases) == MAX
        except ConnectFailed:
            assert self.failing
            assert fresh or not idle
        else:
            assert not self.drained
            assert lease.fresh == (fresh or not idle)
            assert lease.connection not in self.given_up
            assert not lease.connection.closed.is_set()
            assert lease.connection not in [other.connection for other in self.leases]
            self.leases.append(lease)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), discard=st.booleans())
    def release(self, data, discard):
        lease = self.leases.pop(data.draw(st.integers(0, len(self.leases) - 1)))
        if discard:
            self.given_up.add(lease.connection)
        lease.release(discard=discard)
        self.released.append(lease)

    @precondition(lambda self: self.released)
    @rule(data=st.data(), discard=st.booleans())
    def release_once_more(self, data, discard):
        data.draw(st.sampled_from(self.released)).release(discard=discard)

    @rule(seconds=st.integers(0, 12))
    def time_passes_and_the_evictor_looks(self, seconds):
        self.clock.now += seconds
        self.pool.evict()

    @rule()
    def drain(self):
        self.pool.drain()
        self.drained = True

    @invariant()
    def the_numbers_are_right(self):
        stats = self.pool.stats()
        assert stats.in_use == len(self.leases)
        assert stats.open <= MAX
        assert (stats.waiting, stats.connecting) == (0, 0)
        assert not self.drained or stats.idle == 0

    def teardown(self):
        self.pool.close()
        assert self.pool.wait_closed(30)
        assert all(connection.closed.is_set() for connection in self.opened)


def test_every_order_of_calls_keeps_the_pools_promises():
    limits = settings(max_examples=60, stateful_step_count=40)
    run_state_machine_as_test(PoolMachine, settings=limits)


class Faults:
    """AWS and EDU that fail at random; counts what is open, for each pool's credentials."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.opened: list[Connection] = []
        self.open_with: dict[object, int] = {}
        self.calm = False

    def chance(self, of):
        with self._lock:
            return not self.calm and self._random.random() < of

    def lookup(self, partner_id):
        time.sleep(0.0005 if self.chance(0.5) else 0)
        if self.chance(0.1):
            raise CredentialLookupFailed
        return object()

    def connect(self, credentials):
        if self.chance(0.3):
            time.sleep(0.001)
        if self.chance(0.05):
            raise LoginRejected
        if self.chance(0.1):
            raise ConnectFailed

        def on_close():
            if self.chance(0.3):
                time.sleep(0.002)
            with self._lock:
                self.open_with[credentials] -= 1
            if self.chance(0.2):
                raise OSError("it was broken already")

        class Closing(Connection):
            def close(self):
                try:
                    super().close()
                finally:
                    self.closed.set()

        connection = Closing(on_close)
        with self._lock:
            self.opened.append(connection)
            self.open_with[credentials] = self.open_with.get(credentials, 0) + 1
        return connection


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_callers_resets_and_evictions_race_without_sharing_losing_or_reusing(seed):
    """Ten threads, two partners, pools of four: whatever fails, each promise holds."""
    world, clock = Faults(seed), Clock()
    pools = Pools(world.lookup, world.connect, max_size=4, timeout=10, max_idle=1, clock=clock)
    generation = {"ea": 0, "tx": 0}
    discarded: set[Connection] = set()

    def work(index):
        rng = random.Random(f"{seed}-{index}")
        for _ in range(150):
            partner = rng.choice(["ea", "tx"])
            try:
                # Some callers have read the partner before a reset.
                asked = max(0, generation[partner] - rng.randint(0, 1))
                lease = pools.acquire(partner, asked, fresh=rng.random() < 0.05)
            except (CredentialLookupFailed, ConnectFailed):
                continue
            assert lease.connection.held.acquire(blocking=False), "in two hands"
            assert lease.connection not in discarded, "handed out after an error"
            assert not lease.connection.closed.is_set(), "handed out closed"
            stats = [each for each in pools.stats() if each.name == partner]
            assert all(each.open + each.connecting <= 4 for each in stats)
            time.sleep(rng.choice([0, 0, 0.0005]))
            lease.connection.held.release()
            discard = rng.random() < 0.1
            if discard:
                discarded.add(lease.connection)
            lease.release(discard=discard)
            if rng.random() < 0.03:
                generation[partner] += 1
            if rng.random() < 0.03:
                pools.follow(partner, generation[partner])
            if rng.random() < 0.05:
                clock.now += 0.5
                pools.evict()

    assert in_threads(10, work) == [None] * 10
    world.calm = True
    assert all(stats.in_use == stats.waiting == stats.connecting == 0 for stats in pools.stats())
    for partner in generation:
        pools.acquire(partner, generation[partner]).release()  # the next request works
    assert pools.shutdown(10)
    assert all(connection.closed.is_set() for connection in world.opened)
    assert set(world.open_with.values()) == {0}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_shutdown_in_the_middle_ends_in_time_and_loses_nothing(seed):
    """Connects hang, callers wait, connections are in use, and the process has to end."""
    go_on = threading.Event()
    opened: list[Connection] = []
    lock = threading.Lock()
    rng = random.Random(seed)

    def connect(credentials):
        with lock:
            hangs = rng.random() < 0.4
        if hangs:
            go_on.wait(60)
        connection = Connection()
        with lock:
            opened.append(connection)
        return connection

    aws = Faults(seed)
    aws.calm = True
    pools = Pools(aws.lookup, connect, max_size=3, timeout=20)
    ended = []

    def work(index):
        try:
            while True:
                lease = pools.acquire("ea" if index % 2 else "tx", 0)
                time.sleep(0.001)
                lease.release(discard=index % 3 == 0)
        except EduError as error:
            ended.append(type(error))

    callers = [threading.Thread(target=work, args=(index,)) for index in range(12)]
    for caller in callers:
        caller.start()
    time.sleep(0.05)
    assert pools.shutdown(30)
    go_on.set()
    for caller in callers:
        caller.join(30)
    assert ended == [PoolClosed] * 12
    deadline = time.monotonic() + 30
    while not all(connection.closed.is_set() for connection in opened):
        assert time.monotonic() < deadline, "a connection was left open"
        time.sleep(0.005)


def test_a_full_pool_serves_its_waiters_through_failing_connects():
    """Every place that a failure frees goes to a waiter, who may fail as well: nobody is lost."""
    failures = iter([True] * 10)

    def connect():
        time.sleep(0.002)
        if next(failures, False):
            raise ConnectFailed
        return Connection()

    pool = Pool("ea", connect, max_size=1)

    def work(_):
        lease = pool.acquire(timeout=60)
        lease.release(discard=True)

    results = in_threads(20, work)
    assert sum(isinstance(result, ConnectFailed) for result in results) == 10
    assert results.count(None) == 10
    assert pool.stats().open == 0


def test_with_a_newer_generation_nobody_gets_credentials_of_before_the_reset():
    """A look-up that began before the reset may end after it; whoever knows better looks again."""
    secret = ["old"]
    reading, go_on = threading.Event(), threading.Event()

    def lookup(partner_id):
        value = secret[0]
        if not reading.is_set():
            reading.set()
            assert go_on.wait(60)
        return value

    used = []

    def connect(credentials):
        used.append(credentials)
        return Connection()

    pools = Pools(lookup, connect)
    early = threading.Thread(target=lambda: pools.acquire("ea", 0).release())
    early.start()
    assert reading.wait(30)
    secret[0] = "new"
    pools.acquire("ea", 1).release()
    assert used == ["new"]
    go_on.set()
    early.join(30)
    assert used == ["new"], "the early caller was given the newer pool"
