import threading
import time

import pytest

from edu.errors import (
    ConnectFailed,
    CredentialLookupFailed,
    LoginRejected,
    NoCredentials,
    PoolClosed,
)
from edu.pools import Pools
from tests.edu.test_pool import Clock, Connection, expect, in_threads


class World:
    """AWS and EDU as the pools see them: what is looked up and opened is counted."""

    def __init__(self):
        self.credentials = "key 1"
        self.lookups = self.connects = 0
        self.lookup_error = self.connect_error = None
        self.slow = 0.0
        self.opened = []
        self._lock = threading.Lock()

    def lookup(self, partner_id):
        with self._lock:
            self.lookups += 1
        time.sleep(self.slow)
        if self.lookup_error:
            raise self.lookup_error
        return self.credentials

    def connect(self, credentials):
        with self._lock:
            self.connects += 1
        time.sleep(self.slow)
        if self.connect_error:
            raise self.connect_error
        if credentials != self.credentials:
            raise LoginRejected
        self.opened.append(Connection())
        return self.opened[-1]

    def pools(self, **options):
        return Pools(self.lookup, self.connect, **options)


@pytest.fixture
def world():
    return World()


def test_callers_of_a_cold_partner_share_one_lookup(world):
    world.slow = 0.05
    pools = world.pools()
    leases = in_threads(20, lambda _: pools.acquire("ea", 0))
    assert len({lease.connection for lease in leases}) == 20
    assert world.lookups == 1
    assert world.connects == 20


def test_a_burst_on_a_cold_partner_opens_no_more_connections_than_it_may_and_serves_all(world):
    world.slow = 0.05
    pools = world.pools(max_size=5)

    def work(index):
        lease = pools.acquire("ea", 0)
        assert lease.connection.held.acquire(blocking=False)
        time.sleep(0.001)
        lease.connection.held.release()
        lease.release()

    assert in_threads(20, work) == [None] * 20
    assert world.lookups == 1
    assert world.connects <= 5


def test_one_cold_request_looks_credentials_up_once_and_a_warm_one_never(world):
    pools = world.pools()
    pools.acquire("ea", 0).release()
    pools.acquire("ea", 0).release()
    assert (world.lookups, world.connects) == (1, 1)


def test_no_partner_waits_for_another_partners_connect(world):
    hanging, go_on = threading.Event(), threading.Event()

    def connect(credentials):
        if not hanging.is_set():
            hanging.set()
            assert go_on.wait(60)
        return Connection()

    pools = Pools(world.lookup, connect)
    slow = threading.Thread(target=pools.acquire, args=("slow", 0))
    slow.start()
    assert hanging.wait(30)
    pools.acquire("ea", 0).release()
    go_on.set()
    slow.join(30)


def test_a_failed_lookup_leaves_nothing_behind_and_reaches_all_who_waited(world):
    world.lookup_error = CredentialLookupFailed()
    world.slow = 0.05
    pools = world.pools()
    errors = in_threads(5, lambda _: pools.acquire("ea", 0))
    assert {type(error) for error in errors} == {CredentialLookupFailed}
    assert pools.stats() == []
    world.lookup_error = None
    pools.acquire("ea", 0)


def test_a_failed_connect_leaves_nothing_behind(world):
    world.connect_error = ConnectFailed()
    pools = world.pools()
    with pytest.raises(ConnectFailed):
        pools.acquire("ea", 0)
    assert pools.stats() == []
    world.connect_error = None
    pools.acquire("ea", 0)
    assert world.lookups == 2


def test_without_credentials_there_is_a_clear_error(world):
    world.credentials = None
    with pytest.raises(NoCredentials):
        world.pools().acquire("ea", 0)


def test_a_rotated_key_costs_nobody_an_error(world):
    pools = world.pools()
    in_use = pools.acquire("ea", 0)
    world.credentials = "key 2"
    assert pools.acquire("ea", 0).fresh
    assert world.lookups == 2
    in_use.release()
    assert in_use.connection.closed.wait(30)


def test_a_refused_login_is_not_tried_for_ever(world):
    world.connect_error = LoginRejected()
    with pytest.raises(LoginRejected):
        world.pools().acquire("ea", 0)
    assert world.connects == 1


def test_a_newer_generation_replaces_the_pool(world):
    pools = world.pools()
    idle, in_use = pools.acquire("ea", 0), pools.acquire("ea", 0)
    idle.release()
    new = pools.acquire("ea", 1)
    assert new.connection not in (idle.connection, in_use.connection)
    assert idle.connection.closed.wait(30)
    assert not in_use.connection.closed.is_set()
    assert [(s.generation, s.in_use) for s in pools.stats()] == [(0, 1), (1, 1)]
    in_use.release()
    assert in_use.connection.closed.wait(30)
    assert [stats.generation for stats in pools.stats()] == [1]
    assert world.lookups == 2


def test_whoever_still_asks_with_an_older_generation_gets_the_newer_pool(world):
    pools = world.pools()
    lease = pools.acquire("ea", 2)
    lease.release()
    assert pools.acquire("ea", 1).connection is lease.connection


def test_resets_during_use_lose_no_connection_and_fail_no_caller(world):
    pools = world.pools(max_size=4)

    def work(index):
        for generation in range(50):
            lease = pools.acquire("ea", generation)
            assert lease.connection.held.acquire(blocking=False)
            lease.connection.held.release()
            lease.release()

    assert in_threads(6, work) == [None] * 6
    assert pools.shutdown(10)
    assert all(connection.closed.is_set() for connection in world.opened)


def test_when_the_last_idle_connection_is_evicted_the_pool_is_forgotten(world):
    clock = Clock()
    pools = world.pools(max_idle=1800, clock=clock)
    pools.acquire("ea", 0).release()
    clock.now = 1801
    pools.evict()
    assert world.opened[0].closed.wait(30)
    assert pools.stats() == []
    pools.acquire("ea", 0)
    assert world.lookups == 2


def test_the_evictor_runs_by_itself(world):
    pools = world.pools(max_idle=0, evict_every=0.01)
    pools.acquire("ea", 0).release()
    assert world.opened[0].closed.wait(30)
    pools.shutdown()


def test_available_with_a_live_pool_asks_nobody(world):
    pools = world.pools()
    pools.acquire("ea", 0)
    world.credentials = None
    assert pools.available("ea", 0)
    assert world.lookups == 1


def test_available_without_a_pool_depends_on_the_credentials(world):
    pools = world.pools()
    assert pools.available("ea", 0)
    world.credentials = None
    assert not pools.available("ea", 0)
    world.lookup_error = CredentialLookupFailed()
    with pytest.raises(CredentialLookupFailed):
        pools.available("ea", 0)
    assert world.connects == 0


def test_available_after_a_reset_looks_again(world):
    pools = world.pools()
    pools.acquire("ea", 0)
    world.credentials = None
    assert not pools.available("ea", 1)


def test_shutdown_closes_all_pools_though_one_is_stuck(world):
    never = threading.Event()
    world.opened = []

    def connect(credentials):
        stuck = not world.opened
        world.opened.append(Connection(on_close=(lambda: never.wait(30)) if stuck else None))
        return world.opened[-1]

    pools = Pools(world.lookup, connect)
    for partner in ("stuck", "a", "b"):
        pools.acquire(partner, 0).release()
    assert pools.shutdown(0.3) is False
    stuck, *others = world.opened
    assert not stuck.closed.is_set()
    assert all(connection.closed.wait(30) for connection in others)
    never.set()


def test_shutdown_does_not_wait_for_a_connect_that_hangs(world):
    hanging, go_on = threading.Event(), threading.Event()
    late = Connection()

    def connect(credentials):
        hanging.set()
        assert go_on.wait(60)
        return late

    pools = Pools(world.lookup, connect)
    caller = threading.Thread(target=expect, args=(PoolClosed, pools.acquire, "ea", 0))
    caller.start()
    assert hanging.wait(30)
    assert pools.shutdown(1)
    go_on.set()
    caller.join(30)
    assert late.closed.wait(30)


def test_after_shutdown_nothing_is_opened(world):
    pools = world.pools()
    pools.shutdown()
    with pytest.raises(PoolClosed):
        pools.acquire("ea", 0)
    assert world.lookups == 0
