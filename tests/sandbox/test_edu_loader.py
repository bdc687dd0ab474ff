"""The loader against a real API, issuer and EDU: each set arrives exactly once."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from earthbeam.external import issuer as issuer_module
from earthbeam.models import OutputSet
from runway.sandbox.edu_loader import BATCH, Api, EduLoader, open_edu
from runway.sandbox.oidc import SandboxOidc
from runway.sandbox.oidc_issuer import Machine
from tests import factories

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

AUDIENCE = "https://runway.example.org"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SCOPES = ("read:jobs", "read:jobs:output-files", "partner:ea")


@pytest.fixture
def api(live_server, settings):
    with SandboxOidc(machines={"edu": Machine("secret", SCOPES)}) as oidc:
        settings.OAUTH2_ISSUER, settings.OAUTH2_AUDIENCE = oidc.url, AUDIENCE
        settings.API_REQUESTS_PER_MINUTE = 100_000
        issuer_module._discover.cache_clear()
        yield Api(f"{live_server.url}/api/v1", oidc.url, "edu", "secret", AUDIENCE)
        issuer_module._discover.cache_clear()


@pytest.fixture
def edu(sandbox_edu):
    """A connection to EDU, empty of what was loaded."""
    connection = open_edu(sandbox_edu.environment())
    cursor = connection.cursor()
    for table in ("runway_output_sets", "runway_records", "runway_withdrawals"):
        cursor.execute(f"drop table if exists {table}")
    yield cursor
    connection.close()


@pytest.fixture
def loader(api, edu, sandbox_edu, tmp_path):
    factories.make_partner()
    return EduLoader(api, "ea", lambda: open_edu(sandbox_edu.environment()), tmp_path / "lock")


def publish(records=3, at=NOON, **fields):
    content = b"".join(
        b'{"id": "%d", "name": "O\'Brien \\u2028 \xc3\xb1"}\n' % n for n in range(records)
    )
    run = factories.make_run(factories.make_job(), "success")
    return factories.make_output_set(run, content=content, published_at=at, **fields)


def arrived(edu):
    """Records by set; each line of a set once."""
    edu.execute(
        "create table if not exists runway_records (set_uid varchar, job_uid varchar, "
        "tenant_code varchar, api_year int, resource varchar, line int, record varchar)"
    )
    edu.execute("select set_uid, count(*), count(distinct line) from runway_records group by 1")
    rows = edu.fetchall()
    assert all(count == lines for _, count, lines in rows)
    return {uid: count for uid, count, _ in rows}


def wanted(*sets, records=3):
    return {str(each.uid): records for each in sets}


def test_sets_that_no_ods_got_arrive_once_however_often_it_is_polled(loader, edu):
    first = publish()
    publish(sent_to_ods=True)
    assert loader.poll() == 1
    assert loader.poll() == 0
    second = publish(at=NOON + timedelta(hours=1))
    assert loader.poll() == 1
    assert arrived(edu) == wanted(first, second)
    edu.execute("select record from runway_records where line = 2 limit 1")
    assert edu.fetchone()[0] == '{"id": "1", "name": "O\'Brien \\u2028 ñ"}'


def test_large_sets_and_long_lists_arrive_whole(loader, edu, monkeypatch):
    monkeypatch.setattr("runway.sandbox.edu_loader.PAGE", 2)
    sets = [publish(BATCH + 7, NOON + timedelta(minutes=n)) for n in range(5)]
    assert loader.poll() == 5
    assert arrived(edu) == wanted(*sets, records=BATCH + 7)


def test_a_set_that_becomes_visible_late_is_not_missed(loader, edu):
    on_time = publish(at=NOON)
    loader.poll()
    late = publish(at=NOON - timedelta(minutes=2))
    loader.poll()
    assert arrived(edu) == wanted(on_time, late)


def test_a_set_of_a_re_run_replaces_the_one_before_once_and_for_all(loader, edu):
    before = publish()
    assert loader.poll() == 1
    again = publish(5, NOON + timedelta(minutes=1), supersedes=before)
    assert (loader.poll(), loader.poll()) == (1, 0)
    assert arrived(edu) == wanted(again, records=5)


def test_a_set_that_was_superseded_before_it_was_seen_is_not_loaded(loader, edu):
    before = publish(at=NOON - timedelta(minutes=1))
    OutputSet.objects.update(published_at=None)
    again = publish(5, NOON, supersedes=before)
    assert loader.poll() == 1
    OutputSet.objects.filter(pk=before.pk).update(published_at=NOON - timedelta(minutes=1))
    assert loader.poll() == 0
    assert arrived(edu) == wanted(again, records=5)


def withdraw(*sets, minutes=0):
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    OutputSet.objects.filter(pk__in=[each.pk for each in sets]).update(withdrawn_at=at)


def test_a_withdrawn_set_is_deleted_once_and_the_others_stay(loader, edu):
    kept, gone = publish(), publish(at=NOON + timedelta(minutes=1))
    loader.poll()
    withdraw(gone)
    assert (loader.poll(), loader.poll()) == (0, 0)
    assert arrived(edu) == wanted(kept)
    late = publish(at=NOON + timedelta(minutes=2))
    loader.poll()
    withdraw(late, minutes=-2)  # which becomes visible later than one that was withdrawn later
    loader.poll()
    assert arrived(edu) == wanted(kept)
    edu.execute("select count(*), count(distinct set_uid) from runway_withdrawals")
    assert tuple(edu.fetchone()) == (2, 2)


def test_a_set_that_is_withdrawn_before_it_was_seen_or_while_it_is_loaded_does_not_stay(
    loader, edu, monkeypatch
):
    unseen = publish()
    withdraw(unseen)
    assert loader.poll() == 0
    meanwhile = publish(at=NOON + timedelta(minutes=1))
    original = EduLoader._load.__globals__["_batches"]

    def withdrawn_meanwhile(link):
        yield from original(link)
        withdraw(meanwhile)

    monkeypatch.setattr("runway.sandbox.edu_loader._batches", withdrawn_meanwhile)
    assert loader.poll() == 1
    assert arrived(edu) == {}


def test_a_withdrawal_that_breaks_off_half_way_deletes_nothing_until_it_is_recorded(
    loader, edu, monkeypatch
):
    gone = publish()
    loader.poll()
    withdraw(gone)
    original = EduLoader._withdrawn_sets

    def without_time(self, cursor):
        for found in original(self, cursor):
            yield {"uid": found["uid"]}  # so that recording it fails, after its lines are deleted

    with monkeypatch.context() as patch:
        patch.setattr(EduLoader, "_withdrawn_sets", without_time)
        with pytest.raises(KeyError):
            loader.poll()
    assert arrived(edu) == wanted(gone)
    loader.poll()
    assert arrived(edu) == {}


def test_a_withdrawal_by_a_loader_that_died_in_the_middle_is_made_good_by_the_next(
    loader, edu, sandbox_edu
):
    gone = publish()
    loader.poll()
    withdraw(gone)
    died = open_edu(sandbox_edu.environment())
    cursor = died.cursor()
    cursor.execute("begin")
    cursor.execute("delete from runway_records where set_uid = ?", (str(gone.uid),))
    assert arrived(edu) == wanted(gone)
    loader.poll()  # while the other's session is still open
    assert arrived(edu) == {}
    edu.execute("select count(*) from runway_withdrawals")
    assert edu.fetchone()[0] == 1


def test_a_withdrawn_job_that_is_loaded_again_arrives_again(loader, edu):
    first = publish()
    loader.poll()
    withdraw(first)
    loader.poll()
    again = publish(5, NOON + timedelta(minutes=3), supersedes=first)
    loader.poll()
    assert arrived(edu) == wanted(again, records=5)


def test_a_download_that_fails_leaves_nothing_and_is_made_good_by_the_next_poll(
    loader, edu, monkeypatch
):
    output_set = publish(BATCH * 2)
    original = EduLoader._load.__globals__["_batches"]

    def broken(link):
        yield next(original(link))
        raise ConnectionError("cut")

    with monkeypatch.context() as patch:
        patch.setattr("runway.sandbox.edu_loader._batches", broken)
        with pytest.raises(ConnectionError):
            loader.poll()
    assert arrived(edu) == {}
    loader.poll()
    assert arrived(edu) == wanted(output_set, records=BATCH * 2)


def test_polls_that_overlap_load_a_set_once(loader, edu):
    sets = [publish(at=NOON + timedelta(seconds=n)) for n in range(6)]
    with ThreadPoolExecutor(4) as threads:
        counts = list(threads.map(lambda _: loader.poll(), range(4)))
    assert sum(counts) == 6
    assert arrived(edu) == wanted(*sets)


def test_loaders_that_are_killed_again_and_again_load_and_delete_each_set_once(
    api, edu, loader, sandbox_edu, tmp_path
):
    sets: list[OutputSet] = []
    command = (
        *(sys.executable, "-m", "runway.sandbox.edu_loader", "--api", api.url),
        *("--issuer", api.issuer, "--client-id", "edu", "--audience", AUDIENCE),
        *("--partner", "ea", "--lock", str(tmp_path / "lock"), "--pause", "0"),
    )
    variables = os.environ | sandbox_edu.environment() | {"CLIENT_SECRET": "secret"}

    def run_until_something_changes():
        """Two at once, killed while they are at it."""
        before, deadline = arrived(edu), time.monotonic() + 60
        processes = [
            subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL) for _ in range(2)
        ]
        while arrived(edu) == before and time.monotonic() < deadline:
            time.sleep(0.02)
        for process in processes:
            process.kill()
            process.wait()
        assert arrived(edu) != before

    for _ in range(3):
        sets += [publish(BATCH * 2, NOON + timedelta(seconds=len(sets) + n)) for n in range(4)]
        run_until_something_changes()
    loader.poll()
    assert arrived(edu) == wanted(*sets, records=BATCH * 2)
    for first in range(0, 9, 3):
        withdraw(*sets[first : first + 3])
        run_until_something_changes()
    loader.poll()
    assert arrived(edu) == wanted(*sets[9:], records=BATCH * 2)
    edu.execute("select count(*), count(distinct set_uid) from runway_withdrawals")
    assert tuple(edu.fetchone()) == (9, 9)
