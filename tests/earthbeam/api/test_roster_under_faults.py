"""EDU that fails in every way and clients that are killed, over real sockets.

Each ends in its time, says in one line which it was, frees everything, and the next request works.
"""

import http.client
import re
import threading
import time
from collections import Counter

import psutil
import pytest
from django.db import connection, transaction
from django.db.models import F

from partners.models import Partner
from runway.sandbox.chunked_snowflake import ChunkedSnowflake
from tests.earthbeam.api.web import serving, tables, text_of

pytestmark = pytest.mark.slow

THREADS, STREAMS_MAX = 10, 6
LONGEST = 80
"""Seconds after which even the slowest fault has ended, with the patience of faults_server."""
CLOSED = (http.client.IncompleteRead, http.client.RemoteDisconnected, ConnectionError)


@pytest.fixture(scope="module")
def snowflake():
    with ChunkedSnowflake(tables(6, 5_000)) as server:
        yield server


@pytest.fixture
def web(transactional_db, snowflake, tmp_path):
    with serving(
        "tests.earthbeam.api.faults_server",
        tmp_path,
        snowflake.port,
        threads=THREADS,
        streams_max=STREAMS_MAX,
    ) as server:
        yield server


def test_every_fault_ends_in_time_says_which_and_frees_everything(web, snowflake):
    """One server for all, since starting it is what takes long."""
    whole = text_of(snowflake.tables)
    assert web.open().read() == whole
    for fault in FAULTS:
        lines = len(ends(web))
        began = time.monotonic()
        fault(web, snowflake)
        outcome = OUTCOMES[fault]
        wait_until(lambda lines=lines: len(ends(web)) > lines, f"{fault.__name__}: no line")
        took = time.monotonic() - began
        assert took < LONGEST, f"{fault.__name__} took {took:.1f} s"
        line = ends(web)[-1]
        assert line.startswith(f"EDU roster {outcome}: partner ea, run {web.run.pk}, "), line
        assert re.search(r", \d+ rows, \d+ bytes, \d+\.\d s$", line), line
        snowflake.on_login = snowflake.on_query = snowflake.on_chunk = None
        snowflake.on_heartbeat = None
        snowflake.total = None
        assert web.open().read() == whole, f"the request after {fault.__name__}"
        wait_until(lambda: len(snowflake.sessions) <= 1, f"{fault.__name__}: sessions left")
    assert '"n":' not in web.log, "something of a student"
    assert "Traceback" not in web.log


def ends(web):
    return re.findall(r"EDU roster [a-z_]+: .* s(?= \[)", web.log, re.M)


def wait_until(condition, what, timeout=LONGEST):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def is_refused(web, status, code):
    answer = web.open()
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/json")
    assert f'"{code}"'.encode() in answer.read()


def is_cut(web):
    answer = web.open()
    assert answer.status == 200
    with pytest.raises(http.client.IncompleteRead):
        answer.read()


# --- EDU --------------------------------------------------------------------------------------


def edu_rejects_the_key(web, snowflake):
    snowflake.sessions.clear()
    snowflake.on_login = lambda request: request.refuse("390144", "JWT token is invalid.") or True
    is_refused(web, 500, "edu_login_rejected")


def edu_vanishes_during_connect(web, snowflake):
    snowflake.sessions.clear()
    snowflake.on_login = lambda request: request.reset()
    is_refused(web, 503, "edu_connect_failed")


def edu_hangs_during_connect(web, snowflake):
    snowflake.sessions.clear()
    snowflake.on_login = lambda request: request.stall(10) or request.reset()
    is_refused(web, 503, "edu_connect_failed")


def edu_stalls_at_the_query(web, snowflake):
    snowflake.on_query = lambda request: request.stall(12)
    is_refused(web, 503, "edu_connection_lost")


def edu_resets_at_the_query(web, snowflake):
    snowflake.on_query = lambda request: request.reset()
    is_refused(web, 503, "edu_connection_lost")


def edu_stalls_in_the_middle(web, snowflake):
    snowflake.on_chunk = lambda request, number: number == 3 and request.stall(10)
    is_cut(web)


def edu_resets_in_the_middle(web, snowflake):
    snowflake.on_chunk = lambda request, number: number == 3 and request.reset()
    is_cut(web)


def edu_loses_a_batch(web, snowflake):
    snowflake.total = 30_001
    is_cut(web)


def edu_answers_slowly(web, snowflake):
    snowflake.on_chunk = lambda request, number: request.stall(0.2)
    assert web.open().read() == text_of(snowflake.tables)


def edus_session_has_expired(web, snowflake):
    logins, lines = snowflake.logins, web.log.count("stale connection")
    snowflake.sessions.clear()
    assert web.open().read() == text_of(snowflake.tables)
    assert snowflake.logins == logins + 1
    assert web.log.count("stale connection") == lines + 1


def edu_is_silent_on_a_warm_connection(web, snowflake):
    logins, queries = snowflake.logins, snowflake.queries
    snowflake.on_heartbeat = lambda request: request.stall(10) or request.reset()
    assert web.open().read() == text_of(snowflake.tables)
    assert (snowflake.logins, snowflake.queries) == (logins + 1, queries + 1)


def edu_has_died_under_a_warm_pool(web, snowflake):
    queries = snowflake.queries
    snowflake.on_heartbeat = snowflake.on_query = lambda request: request.reset()
    snowflake.on_login = lambda request: request.reset()
    is_refused(web, 503, "edu_connect_failed")
    assert snowflake.queries == queries


# --- Clients ----------------------------------------------------------------------------------


def client_is_killed_before_the_first_byte(web, snowflake):
    asked = threading.Event()

    def wait(request):
        asked.set()
        return request.stall(0.5)

    snowflake.on_query = wait
    client = web.ask()
    assert asked.wait(30)
    client.close()


def client_is_killed_in_the_middle_of_a_line(web, snowflake):
    answer = web.open()
    assert not answer.read(1001).endswith(b"\n")
    answer.close()


def client_is_killed_while_edu_is_awaited(web, snowflake):
    asked = threading.Event()

    def wait(request, number):
        asked.set()
        return request.stall(0.5)

    snowflake.on_chunk = wait
    answer = web.open()
    answer.read(10)
    assert asked.wait(30)
    answer.close()


def client_is_killed_while_the_database_is_awaited(web, snowflake):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("lock table earthbeam_run in access exclusive mode")
        client = web.ask()
        time.sleep(0.3)
        client.close()


OUTCOMES = {
    edu_rejects_the_key: "edu_login_rejected",
    edu_vanishes_during_connect: "edu_connect_failed",
    edu_hangs_during_connect: "edu_connect_failed",
    edu_stalls_at_the_query: "edu_connection_lost",
    edu_resets_at_the_query: "edu_connection_lost",
    edu_stalls_in_the_middle: "edu_connection_lost",
    edu_resets_in_the_middle: "edu_connection_lost",
    edu_loses_a_batch: "edu_roster_incomplete",
    edu_answers_slowly: "complete",
    edus_session_has_expired: "complete",
    edu_is_silent_on_a_warm_connection: "complete",
    edu_has_died_under_a_warm_pool: "edu_connect_failed",
    client_is_killed_before_the_first_byte: "abandoned",
    client_is_killed_in_the_middle_of_a_line: "abandoned",
    client_is_killed_while_edu_is_awaited: "abandoned",
    client_is_killed_while_the_database_is_awaited: "abandoned",
}
FAULTS = list(OUTCOMES)


# --- Many of them -----------------------------------------------------------------------------


def test_two_hundred_streams_of_all_kinds_leave_nothing_behind(web, snowflake):
    """Ten readers on six places; what is sent away asks again and does not count."""
    snowflake.tables = tables(3, 1_000)
    whole = text_of(snowflake.tables)
    outcomes: Counter[str] = Counter()
    lock = threading.Lock()

    def one(gives_up):
        try:
            answer = web.open()
            if answer.status == 503:
                return "sent away" if answer.headers["Retry-After"] else "not told when to return"
            if gives_up:
                answer.read(5000)
                answer.close()
                return "went"
            return "whole" if answer.read() == whole else "wrong"
        except CLOSED as error:
            return type(error).__name__

    def read(index, streams):
        for number in range(streams):
            while True:
                outcome = one(gives_up=(index + number) % 4 == 0)
                with lock:
                    outcomes[outcome] += 1
                if outcome != "sent away":
                    break
                time.sleep(0.01)

    def soak(streams):
        readers = [
            threading.Thread(target=read, args=(index, streams // 10)) for index in range(10)
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(120)

    [worker] = psutil.Process(web.process.pid).children()
    soak(50)
    before = left(worker, snowflake)
    outcomes.clear()
    soak(200)
    most = before + STARTED_LATE
    wait_until(lambda: left(worker, snowflake) <= most, f"more left than {before}")
    wait_until(lambda: database_connections() <= THREADS + 1, "connections left to the database")
    assert set(outcomes) <= {"whole", "went", "sent away"}, outcomes
    assert (outcomes["whole"], outcomes["went"]) == (150, 50)


STARTED_LATE = 8
"""What Arrow's and jemalloc's own pools of threads may start late, once: a leak of one stream in
sixty, or of one abandoned stream in fifteen, is more."""


def left(worker, snowflake):
    """Threads, sockets and files that the server holds, those to the database apart.

    A reset first has every process close what it keeps for the next roster.
    """
    Partner.objects.update(edu_generation=F("edu_generation") + 1)
    wait_until(lambda: not snowflake.sessions, "a session was left open")
    return worker.num_threads() + worker.num_fds() - database_connections()


def database_connections():
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
            " and backend_type = 'client backend'"
        )
        return cursor.fetchone()[0]
