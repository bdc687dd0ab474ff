"""The EDU panel, its buttons and the toggle, as partner admins use them."""

import threading
import time

import pytest
from django.contrib.admin import site
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from edu import connections
from edu.errors import NoCredentials
from partners import edu_processes
from partners.admin import PartnerAdmin
from partners.edu_processes import GONE_AFTER, Reporter
from partners.models import EduProcess, Partner
from runway.sandbox.chunked_snowflake import ChunkedSnowflake
from runway.sandbox.edu import encode_key, generate_key
from tests import factories, people
from tests.edu.conftest import use_edu
from tests.edu.test_pools import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def pools(monkeypatch):
    """This process's pools, whose connections lead nowhere."""
    mine = World().pools()
    monkeypatch.setattr(connections, "_pools", mine)
    yield mine
    mine.shutdown()


@pytest.fixture
def partner():
    return factories.make_partner()


@pytest.fixture
def admin(partner):
    return people.logged_in(people.make_partner_admin(partner=partner))


@pytest.fixture
def edu(settings, sandbox_edu, monkeypatch):
    monkeypatch.setattr("edu.waiting.PATIENCE", 250.0)
    use_edu(settings, sandbox_edu.environment())


@pytest.fixture
def snowflake():
    """An EDU that fails on demand."""
    with ChunkedSnowflake() as server:
        yield server


def page(what, partner_id="ea"):
    return reverse(f"admin:partners_partner_{what}", args=(partner_id,))


def panel(client):
    answer = client.get(page("edu_panel"))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def save(client, **fields):
    return client.post(page("change"), {"name": "EA", **fields})


# --- The panel --------------------------------------------------------------------------------


def test_the_partners_page_loads_the_panel_without_asking_for_credentials(admin, settings):
    settings.RUNWAY_ENV, settings.ENVLABEL = "production", None  # any look-up would fail
    text = admin.get(page("change")).content.decode()
    assert f'data-url="{page("edu_panel")}"' in text
    assert "ENVLABEL" not in text


def test_adding_a_partner_has_no_panel():
    root = people.logged_in(people.make_superuser())
    assert b"edu-panel" not in root.get(reverse("admin:partners_partner_add")).content


def test_credentials_are_told_without_their_values(admin, edu, sandbox_edu):
    text = panel(admin)
    assert "EDU_SNOWFLAKE_* variables: complete." in text
    assert "RSA, 2048 bits" in text
    assert "none yet" in text
    assert encode_key(sandbox_edu.key)[:30] not in text


def test_what_is_wrong_with_the_credentials_is_told_with_its_remedy(admin, settings):
    use_edu(settings, {})
    assert "Set EDU_SNOWFLAKE_USERNAME" in panel(admin)
    settings.RUNWAY_ENV = "production"
    assert "Set ENVLABEL" in panel(admin)


def test_connections_of_all_processes_are_shown_and_those_of_dead_ones_are_not(
    admin, edu, pools, partner
):
    pools.acquire("ea", 0)
    pools.acquire("ea", 0).release()
    Reporter("web-1:7").round()
    Reporter("web-2:8").round()
    Reporter("web-3:9").round()
    EduProcess.objects.filter(process="web-3:9").update(seen_at=timezone.now() - GONE_AFTER)
    text = panel(admin)
    for process in ("web-1:7", "web-2:8"):
        # generation, open, in use, connecting, waiting
        cells = "".join(f"</td><td>{number}" for number in (0, 2, 1, 0, 0))
        assert f"<td>{process}{cells}</td>" in text
    assert "web-3:9" not in text
    assert "none yet" not in text
    Reporter("web-4:1").round()
    assert not EduProcess.objects.filter(process="web-3:9").exists()


def test_another_partners_connections_are_not_shown(admin, edu, pools):
    factories.make_partner("tx")
    pools.acquire("tx", 0)
    Reporter("web-1:7").round()
    assert EduProcess.objects.filter(partner="tx").exists()
    assert "web-1:7" not in panel(admin)


# --- Resets -----------------------------------------------------------------------------------


def test_a_reset_reaches_connections_that_nobody_asks_for(admin, edu, pools):
    in_use, idle = pools.acquire("ea", 0), pools.acquire("ea", 0)
    idle.release()
    reporter = Reporter("web-1:7")
    reporter.round()
    assert admin.post(page("edu_reset")).status_code == 302
    assert "Some processes have not applied the last reset" in panel(admin)

    reporter.round()
    assert idle.connection.closed.wait(30)
    assert not in_use.connection.closed.is_set()
    text = panel(admin)
    assert "Some processes have not applied the last reset" in text
    assert "0 (ending)" in text

    in_use.release()
    assert in_use.connection.closed.wait(30)
    reporter.round()
    assert not EduProcess.objects.exists()
    assert "All processes have applied the last reset" in panel(admin)


def test_a_reset_is_kept_in_the_history(admin):
    admin.post(page("edu_reset"))
    [entry] = LogEntry.objects.all()
    assert (entry.user.get_username(), entry.get_change_message()) == (
        "admin",
        "Reset EDU connections.",
    )
    assert Partner.objects.get().edu_generation == 1


def test_saving_a_page_that_was_opened_before_a_reset_does_not_undo_it(partner, rf):
    stale = Partner.objects.get()
    Partner.objects.update(edu_generation=5)
    request = rf.post("/")
    request.user = people.make_superuser()
    model_admin = PartnerAdmin(Partner, site)
    form = model_admin.get_form(request, stale)({"name": "New"}, instance=stale)
    assert form.is_valid(), form.errors
    model_admin.save_model(request, form.save(commit=False), form, True)
    saved = Partner.objects.get()
    assert (saved.name, saved.edu_generation) == ("New", 5)


# --- Telling ----------------------------------------------------------------------------------


def test_a_process_without_connections_writes_nothing(pools, django_assert_num_queries):
    with django_assert_num_queries(0):
        Reporter("web-1:7").round()


def test_what_has_not_changed_is_not_written_again(pools, partner, django_assert_num_queries):
    pools.acquire("ea", 0)
    reporter = Reporter("web-1:7")
    reporter.round()
    with django_assert_num_queries(1):  # which generation it is
        reporter.round()


def test_a_process_that_ends_takes_back_what_it_told(transactional_db, monkeypatch):
    factories.make_partner()
    monkeypatch.setattr(edu_processes, "EVERY", 0.02)
    mine = World().pools()
    monkeypatch.setattr(connections, "_pools", mine)
    mine.acquire("ea", 0)
    edu_processes.start()
    deadline = time.monotonic() + 30
    while not EduProcess.objects.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    connections.shutdown()
    monkeypatch.setattr(edu_processes, "EVERY", 30.0)  # as long as the end is waited for
    edu_processes.stop()
    assert not EduProcess.objects.exists()
    assert Partner.objects.get().edu_connected_at is not None


def test_a_database_that_fails_does_not_end_the_telling(pools, partner, caplog, monkeypatch):
    pools.acquire("ea", 0)
    reporter = Reporter("web-1:7")

    def fail(*_):
        raise OSError("secret")

    with monkeypatch.context() as patch:
        patch.setattr(reporter, "round", fail)
        patch.setattr("partners.edu_processes.connection.close", lambda: None)
        reporter._safe_round()
    assert "could not be recorded: OSError" in caplog.text
    assert "secret" not in caplog.text
    reporter.round()
    assert EduProcess.objects.exists()


# --- Testing the connection -------------------------------------------------------------------


def test_testing_the_connection_tells_each_step_and_keeps_its_time(admin, edu, partner):
    text = admin.post(page("edu_test")).content.decode()
    for part in ("Runway can reach EDU", "Credentials", "Logged in.", "database EDU_SANDBOX"):
        assert part in text
    partner.refresh_from_db()
    assert partner.edu_connected_at is not None


def test_testing_a_connection_that_does_not_work_tells_why(admin, settings, sandbox_edu, partner):
    use_edu(settings, sandbox_edu.environment(), private_key=encode_key(generate_key()))
    text = admin.post(page("edu_test")).content.decode()
    assert "Runway cannot use EDU" in text
    assert "RSA_PUBLIC_KEY_FP" in text
    partner.refresh_from_db()
    assert partner.edu_connected_at is None


# --- The toggle -------------------------------------------------------------------------------


def test_turning_on_with_a_reachable_edu_is_kept_with_who_and_when(admin, edu, partner):
    assert save(admin, cross_year_match_enabled="on").status_code == 302
    partner.refresh_from_db()
    assert partner.cross_year_match_enabled
    assert LogEntry.objects.get().get_change_message() == "Turned cross-year matching on."
    User.objects.get(username="admin").delete()
    root = people.logged_in(people.make_superuser())
    assert "turned on by admin," in panel(root)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"username": ""}, "there is no username"),
        ({"private_key": "hunter2!"}, "not base64"),
        ({"private_key": encode_key(generate_key())}, "EDU refused the login"),
        ({"port": "1"}, "EDU could not be reached"),
        ({"warehouse": "ELSEWHERE"}, "warehouse"),
    ],
)
def test_turning_on_without_a_reachable_edu_is_refused_and_says_why(
    admin, settings, sandbox_edu, partner, monkeypatch, changes, reason
):
    monkeypatch.setattr("edu.connect.LOGIN_TIMEOUT", 1)
    use_edu(settings, sandbox_edu.environment(), **changes)
    answer = save(admin, cross_year_match_enabled="on")
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "Not turned on" in text
    assert reason in text
    assert "hunter2" not in text
    partner.refresh_from_db()
    assert not partner.cross_year_match_enabled


@pytest.mark.parametrize("page_of_edu", ["toggle", "test"])
def test_nobody_waits_for_a_login_that_hangs(
    admin, settings, snowflake, partner, monkeypatch, page_of_edu
):
    monkeypatch.setattr("edu.waiting.PATIENCE", 0.3)
    values = {"username": "u", "account": "a", "database": "d", "schema": "s"}
    local = {"host": "127.0.0.1", "protocol": "http", "port": str(snowflake.port)}
    use_edu(settings, {}, **values, **local, private_key=encode_key(generate_key()))
    go_on = threading.Event()
    snowflake.on_login = lambda request: go_on.wait(60) and request.reset()
    began = time.monotonic()
    if page_of_edu == "toggle":
        answer = save(admin, cross_year_match_enabled="on")
        assert "Not turned on" in answer.content.decode()
    else:
        answer = admin.post(page("edu_test"))
    assert time.monotonic() - began < 30
    assert "EDU did not answer within" in answer.content.decode()
    go_on.set()
    partner.refresh_from_db()
    assert not partner.cross_year_match_enabled


def test_turning_off_needs_no_edu(admin, settings, partner):
    Partner.objects.update(cross_year_match_enabled=True)
    settings.RUNWAY_ENV, settings.ENVLABEL = "production", None
    assert save(admin).status_code == 302
    partner.refresh_from_db()
    assert not partner.cross_year_match_enabled
    assert partner.cross_year_changed_by == "admin"
    assert LogEntry.objects.get().get_change_message() == "Turned cross-year matching off."


def test_other_changes_while_it_is_on_need_no_edu(admin, settings, partner):
    Partner.objects.update(cross_year_match_enabled=True)
    settings.EDU_SNOWFLAKE = None
    assert save(admin, cross_year_match_enabled="on", name="New").status_code == 302
    partner.refresh_from_db()
    assert (partner.name, partner.cross_year_changed_at) == ("New", None)


def test_a_new_partner_can_begin_with_it_on(edu):
    root = people.logged_in(people.make_superuser())
    fields = {"id": "tx", "name": "Texas", "cross_year_match_enabled": "on"}
    assert root.post(reverse("admin:partners_partner_add"), fields).status_code == 302
    new = Partner.objects.get(pk="tx")
    assert (new.cross_year_match_enabled, new.cross_year_changed_by) == (True, "root")


# --- Who may ----------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["edu_panel", "edu_test", "edu_reset"])
def test_only_the_partners_admins_and_superusers_may(partner, pools, settings, what):
    use_edu(settings, {})
    method = "get" if what == "edu_panel" else "post"
    far = people.make_partner_admin("far", partner=factories.make_partner("tx"))

    def status(user):
        return getattr(people.logged_in(user), method)(page(what)).status_code

    assert status(far) == 404
    assert status(people.make_user()) in (403, 404)
    assert Partner.objects.get(pk="ea").edu_generation == 0
    assert status(people.make_superuser()) in (200, 302)
    assert status(people.make_partner_admin()) in (200, 302)


@pytest.mark.parametrize("what", ["edu_test", "edu_reset"])
def test_looking_changes_nothing(admin, what):
    assert admin.get(page(what)).status_code == 405


def test_nobody_is_sent_to_log_in(client, partner):
    for what in ("edu_panel", "edu_test", "edu_reset"):
        assert client.post(page(what)).status_code == 302
    assert Partner.objects.get().edu_generation == 0


def test_pools_that_failed_to_open_count_as_no_connection(partner, monkeypatch):
    world = World()
    monkeypatch.setattr(world, "credentials", None)
    mine = world.pools()
    monkeypatch.setattr(connections, "_pools", mine)
    with pytest.raises(NoCredentials):
        mine.acquire("ea", 0)
    Reporter("web-1:7").round()
    assert not EduProcess.objects.exists()
    partner.refresh_from_db()
    assert partner.edu_connected_at is None
