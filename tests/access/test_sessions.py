from datetime import timedelta
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from access import sessions
from access.session_store import SessionStore
from tests import factories, people
from tests.access.second_factors import PASSWORD, give_password
from tests.access.test_matrix import addresses
from tests.at_once import at_once

pytestmark = pytest.mark.django_db

LIST = "/admin/earthbeam/job/"
IDLE, LONGEST = timedelta(minutes=30), timedelta(hours=12)


@pytest.fixture
def root():
    user = people.make_superuser("root")
    user.set_password(PASSWORD)
    user.save()
    return user


def pass_time(by):
    """As if everything stored about sessions were older."""
    for row in Session.objects.all():
        data = row.get_decoded()
        if "sign_in" in data:
            data["sign_in"]["began"] -= by.total_seconds()
        row.session_data = SessionStore().encode(data)
        row.expire_date -= by
        row.save()


def is_in(client):
    return client.get("/security/").status_code == 200


def left(client):
    return timedelta(seconds=client.get("/session").json()["secondsLeft"])


def test_a_session_ends_after_half_an_hour_without_use(root):
    client = people.logged_in(root)
    pass_time(timedelta(minutes=29))
    assert is_in(client)
    pass_time(timedelta(minutes=29))
    assert is_in(client), "it was used half an hour ago"
    pass_time(timedelta(minutes=30, seconds=1))
    assert not is_in(client)


def test_pages_that_ask_by_themselves_do_not_keep_it_alive():
    job = factories.make_job()
    client = people.logged_in(people.make_superuser())
    background = [
        reverse("admin:earthbeam_job_live", args=[job.pk]),
        reverse("admin:partners_partner_edu_panel", args=[job.tenant.partner_id]),
        reverse("session"),
    ]
    for _ in range(3):
        pass_time(timedelta(minutes=10, seconds=1))
        for path in background:
            client.get(path)
    assert not is_in(client)


def test_the_list_of_what_asks_by_itself_names_pages_that_there_are():
    assert {name for name, _ in addresses()} >= sessions.BACKGROUND


def test_it_ends_twelve_hours_after_signing_in_however_much_it_is_used(root):
    client = people.logged_in(root)
    for _ in range(12 * 60 // 20 - 1):
        pass_time(timedelta(minutes=20))
        assert is_in(client)
    pass_time(timedelta(minutes=10))
    assert is_in(client)
    assert left(client) <= timedelta(minutes=10)
    client.post("/session")
    assert left(client) <= timedelta(minutes=10)
    pass_time(timedelta(minutes=10, seconds=1))
    assert not is_in(client)


def test_use_is_written_down_once_a_minute(root):
    client = people.logged_in(root)
    assert writes_of(client) == []
    pass_time(timedelta(minutes=1, seconds=1))
    assert len(writes_of(client)) == 1
    assert writes_of(client) == []


def writes_of(client):
    with CaptureQueriesContext(connection) as queries:
        client.get(LIST)
    changes = ("UPDATE", "INSERT", "DELETE")
    return [each["sql"] for each in queries if each["sql"].lstrip().startswith(changes)]


def test_a_page_can_ask_how_long_it_lasts_and_go_on(root):
    client = people.logged_in(root)
    pass_time(timedelta(minutes=20))
    assert left(client) <= timedelta(minutes=10)
    client.post("/session")
    assert timedelta(minutes=28) < left(client) <= IDLE
    assert Client().get("/session").json() == {"secondsLeft": 0}


def test_who_returns_after_the_end_signs_in_and_is_back_at_the_page(root):
    client = people.logged_in(root)
    pass_time(IDLE)
    answer = client.get(f"{LIST}?q=scores")
    assert answer["Location"] == f"/admin/login/?next={quote(LIST + '?q=scores')}"
    text = client.get(answer["Location"]).content.decode()
    assert "Your session has ended" in text
    assert "not saved" not in text
    answer = give_password(client, "root", next=f"{LIST}?q=scores")
    assert answer["Location"] == f"{LIST}?q=scores"


def test_who_submits_a_form_after_the_end_learns_that_it_was_not_saved_and_is_back_at_it(root):
    job = factories.make_job()
    client = people.logged_in(root)
    pass_time(IDLE)
    form = reverse("admin:earthbeam_job_change", args=[job.pk])
    answer = client.post(
        reverse("admin:earthbeam_job_note", args=[job.pk]),
        {"text": "Seen."},
        HTTP_REFERER=f"http://testserver{form}?run=1#notes",
    )
    assert answer["Location"] == f"/admin/login/?next={quote(form + '?run=1', safe='')}"
    text = client.get(answer["Location"]).content.decode()
    assert "What you submitted was not saved." in text


@pytest.mark.parametrize(
    "referer", ["https://evil.example/", "", "//evil.example/", "javascript:x"]
)
def test_a_referer_elsewhere_leads_nowhere(root, referer):
    job = factories.make_job()
    path = reverse("admin:earthbeam_job_note", args=[job.pk])
    answer = Client().post(path, {"text": "x"}, HTTP_REFERER=referer)
    assert answer["Location"] == f"/admin/login/?next={path}"


def test_a_page_that_asks_by_itself_neither_hides_the_end_nor_takes_a_cookie(root):
    job = factories.make_job()
    client = people.logged_in(root)
    pass_time(IDLE)
    for path in (reverse("admin:earthbeam_job_live", args=[job.pk]), reverse("session")):
        answer = client.get(path)
        assert not answer.cookies
    assert "Your session has ended" in client.get(LIST, follow=True).content.decode()


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example/",
        r"/\evil.example",
        "javascript:alert(1)",
        "\t//x.y",
    ],
)
def test_signing_in_leads_to_no_other_site(root, oidc, wanted):
    assert give_password(Client(), "root", next=wanted)["Location"] == "/admin/"
    client = people.logged_in(root)
    assert client.post("/sign-out/", {"next": wanted})["Location"] == "/admin/login/"


def test_signing_in_makes_a_new_key(root):
    client = Client()
    session = client.session
    session["planted"] = True
    session.save()
    planted = str(session.session_key)
    client.cookies["sessionid"] = planted
    give_password(client, "root")
    assert client.session.session_key != planted
    thief = Client()
    thief.cookies["sessionid"] = planted
    assert not is_in(thief)


def test_who_is_switched_off_is_out_at_once(root):
    client = people.logged_in(root)
    assert is_in(client)
    User.objects.update(is_active=False)
    assert not is_in(client)


def test_a_new_password_ends_the_sessions_elsewhere(root):
    here, elsewhere = people.logged_in(root), people.logged_in(root)
    new = "another sturdy horse"
    here.post(
        "/admin/password_change/",
        {"old_password": PASSWORD, "new_password1": new, "new_password2": new},
    )
    assert (is_in(here), is_in(elsewhere)) == (True, False)


def test_a_password_that_a_superuser_sets_ends_all_sessions_of_the_account(root):
    hers = people.logged_in(people.make_partner_admin("ann"))
    ann = User.objects.get(username="ann")
    new = "another sturdy horse"
    people.logged_in(root).post(
        reverse("admin:auth_user_password_change", args=[ann.pk]),
        {"usable_password": "true", "password1": new, "password2": new},
    )
    assert not is_in(hers)


def test_signing_out_everywhere_ends_all_sessions_and_no_others(root):
    here, elsewhere = people.logged_in(root), people.logged_in(root)
    somebody = people.logged_in(people.make_partner_admin("ann"))
    here.post("/sign-out/everywhere/")
    assert (is_in(here), is_in(elsewhere), is_in(somebody)) == (False, False, True)
    again = people.logged_in(root)
    assert is_in(again)


@pytest.mark.django_db(transaction=True)
def test_each_of_two_who_end_the_sessions_at_once_counts():
    root = people.make_superuser("root")
    numbers = at_once([lambda: sessions.end_all(root)] * 5)
    assert sorted(numbers) == [1, 2, 3, 4, 5]


def test_use_does_not_bring_back_a_session_that_was_ended_meanwhile(root):
    client = people.logged_in(root)
    store = SessionStore(client.session.session_key)
    assert not store.is_empty()  # loaded, as by a request that is under way
    client.post("/sign-out/")
    store.ends_at = timezone.now() - timedelta(minutes=5)
    store.extend()
    assert not Session.objects.filter(session_key=store.session_key).exists()


def test_use_does_not_write_over_what_another_request_stored(root):
    client = people.logged_in(root)
    slow = SessionStore(client.session.session_key)
    assert "new" not in slow
    quick = client.session
    quick["new"] = "kept"
    quick.save()
    slow.ends_at = timezone.now()
    slow.extend()
    assert client.session["new"] == "kept"


def test_a_session_of_before_an_upgrade_ends(root):
    client = people.logged_in(root)
    session = client.session
    del session["sign_in"]
    session.save()
    assert not is_in(client)
