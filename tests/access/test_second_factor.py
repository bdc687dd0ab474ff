import logging
from functools import partial

import pytest
from allauth.mfa.models import Authenticator
from auditlog.models import LogEntry
from cryptography.fernet import Fernet
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from access import factors, limits, sessions
from partners.models import Membership
from runway.sandbox.oidc import Person
from tests import people
from tests.access.second_factors import (
    PASSWORD,
    SECRET,
    code,
    give_app,
    give_code,
    give_password,
    is_in,
    later,
    shown_codes,
    shown_secret,
    signed_in,
    wrong_code,
)
from tests.access.test_issuers import come_back
from tests.at_once import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def as_in_production(settings):
    settings.REQUIRE_SECOND_FACTOR = True


@pytest.fixture
def root():
    user = people.make_superuser("root")
    give_app(user)
    return user


def make_bare(name="root"):
    """A superuser who has a password, and no second factor."""
    user = people.make_superuser(name)
    user.set_password(PASSWORD)
    user.save()
    return user


def set_up_app(client):
    secret = shown_secret(client.get("/second-factor/app/").content.decode())
    return secret, client.post("/second-factor/app/", {"code": code(secret)})


def events():
    found = LogEntry.objects.filter(action=LogEntry.Action.ACCESS).order_by("pk")
    return [each.additional_data["event"] for each in found]


# --- Signing in -----------------------------------------------------------------------------------


def make_partner_admin():
    user = people.make_partner_admin("ann")
    user.set_password(PASSWORD)
    user.save()
    return user


@pytest.mark.parametrize("make", [make_bare, make_partner_admin])
def test_a_password_alone_opens_nothing_to_who_needs_a_second_factor(make):
    user = make()
    client = Client()
    answer = give_password(client, user.username, next="/admin/earthbeam/job/")
    assert answer["Location"] == "/second-factor/"
    assert client.get("/second-factor/")["Location"] == "/second-factor/set-up/"
    assert SESSION_KEY not in client.session
    for path in ("/admin/", "/admin/earthbeam/job/", "/admin/password_change/", "/security/"):
        assert client.get(path)["Location"].startswith("/admin/login/")
    assert client.get("/admin/login/")["Location"] == "/second-factor/"
    assert client.post("/session").json() == {"secondsLeft": 0}
    assert "signed in" not in events()


def test_setting_up_the_first_one_signs_in_and_leads_where_one_wanted():
    make_bare()
    client = Client()
    give_password(client, "root", next="/admin/earthbeam/job/")
    _, answer = set_up_app(client)
    text = answer.content.decode()
    assert len(shown_codes(text)) == 10
    assert 'href="/admin/earthbeam/job/"' in text
    assert client.get("/admin/").status_code == 200
    assert events()[-3:] == ["second factor added", "recovery codes made", "signed in"]


def test_password_and_code_sign_in_to_where_one_wanted(root):
    client = Client()
    give_password(client, "root", next="/admin/earthbeam/job/")
    assert client.get("/admin/")["Location"].startswith("/admin/login/")
    assert give_code(client, wrong_code()).status_code == 200
    assert not is_in(client)
    answer = give_code(client, f" {code()[:3]} {code()[3:]} ")
    assert answer["Location"] == "/admin/earthbeam/job/"
    assert client.get("/admin/").status_code == 200
    entry = LogEntry.objects.get(additional_data__event="signed in")
    assert entry.additional_data["second_factor"] == "authenticator app"


def test_users_may_have_one_and_then_need_it():
    user = people.make_user("ann")
    user.set_password(PASSWORD)
    user.save()
    client = Client()
    assert give_password(client, "ann")["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200
    give_app(user)
    other = Client()
    assert give_password(other, "ann")["Location"] == "/second-factor/"
    assert not is_in(other)
    assert not is_in(client), "the session that has the password alone"


def test_who_comes_from_an_issuer_is_not_asked_again(oidc):
    User.objects.filter(pk=people.make_superuser("root").pk).update(email="root@example.org")
    give_app(User.objects.get())
    person = Person("1", "root@example.org")
    oidc(person)
    client = Client()
    answer = come_back(client, person, next="/admin/earthbeam/job/")
    assert answer["Location"] == "/admin/earthbeam/job/"
    assert client.get("/admin/").status_code == 200


def test_who_becomes_an_admin_signs_in_anew_with_a_second_factor():
    user = people.make_user("ann")
    user.set_password(PASSWORD)
    user.save()
    client = Client()
    give_password(client, "ann")
    assert client.get("/admin/").status_code == 200
    Membership.objects.update(role=Membership.Role.PARTNER_ADMIN)
    answer = client.get("/admin/", follow=True)
    assert "Your account needs a second factor now" in answer.content.decode()
    assert give_password(client, "ann")["Location"] == "/second-factor/"


# --- Between the two steps ------------------------------------------------------------------------


def test_the_second_step_is_nobodys_without_a_password(root):
    client = Client()
    for path in ("/second-factor/", "/second-factor/app/", "/second-factor/passkey/"):
        assert client.get(path)["Location"].startswith("/admin/login/")
        assert client.post(path, {"code": code()})["Location"].startswith("/admin/login/")


def test_it_is_void_once_the_password_changed_or_one_signed_out_everywhere(root):
    def new_password():
        root.set_password("another sturdy horse")
        root.save()

    def switched_off():
        User.objects.update(is_active=False)

    for spoil in (lambda: sessions.end_all(root), new_password, switched_off):
        client = Client()
        give_password(client, "root", root_password(root))
        spoil()
        later(root)
        assert give_code(client, code())["Location"] == "/admin/login/"
        assert not is_in(client)


def root_password(user):
    return next(each for each in (PASSWORD, "another sturdy horse") if user.check_password(each))


def test_it_lasts_ten_minutes(root):
    client = Client()
    give_password(client, "root")
    session = client.session
    session[sessions.SECOND_STEP] = {
        **session[sessions.SECOND_STEP],
        "began": session[sessions.SECOND_STEP]["began"] - 10 * 60,
    }
    session.save()
    assert give_code(client, code())["Location"] == "/admin/login/"


def test_somebody_else_can_sign_in_instead(root):
    client = Client()
    give_password(client, "root")
    client.post("/second-factor/cancel/")
    assert 'name="password"' in client.get("/admin/login/").content.decode()
    assert give_code(client, code())["Location"] == "/admin/login/"


def test_a_password_for_another_account_ends_the_session_that_was_there(root):
    client = people.logged_in(people.make_user("ann"))
    assert is_in(client)
    give_password(client, "root")
    assert not is_in(client)


def test_a_session_that_was_planted_is_not_the_one_that_signs_in(root):
    client = Client()
    give_password(client, "root")
    planted = str(client.session.session_key)
    give_code(client, code())
    assert client.session.session_key != planted
    thief = Client()
    thief.cookies["sessionid"] = planted
    assert not is_in(thief)


def test_the_first_one_cannot_be_set_up_once_there_is_one():
    """Whoever knows the password, too, had begun before the owner was done."""
    make_bare()
    owner, thief = Client(), Client()
    for client in (owner, thief):
        give_password(client, "root")
    secret = shown_secret(thief.get("/second-factor/app/").content.decode())
    set_up_app(owner)
    answer = thief.post("/second-factor/app/", {"code": code(secret)})
    assert answer["Location"] == "/second-factor/"
    assert not is_in(thief)
    assert len(factors.of(User.objects.get())) == 1


@pytest.mark.django_db(transaction=True)
def test_two_first_ones_set_up_at_once_make_one():
    user = make_bare()
    credential = {"id": "x"}
    results = at_once(
        [
            lambda: factors.add_app(user, SECRET, 1, first=True),
            lambda: factors.add_passkey(user, "Thief's", credential, first=True),
        ]
    )
    assert sorted(isinstance(each, factors.CannotAdd) for each in results) == [False, True]
    assert len(factors.of(user)) == 1


# --- Codes ----------------------------------------------------------------------------------------


def test_a_code_works_once(root):
    first, second = Client(), Client()
    for client in (first, second):
        give_password(client, "root")
    given = code()
    give_code(first, given)
    answer = give_code(second, given)
    assert "used already" in answer.content.decode()
    assert (is_in(first), is_in(second)) == (True, False)


def test_the_code_that_set_the_app_up_does_not_sign_in():
    make_bare()
    client = Client()
    give_password(client, "root")
    secret, _ = set_up_app(client)
    other = Client()
    give_password(other, "root")
    give_code(other, code(secret))
    assert not is_in(other)


def test_a_recovery_code_works_once_and_is_shown_once(root):
    factors.reset(root)
    codes = give_app(root)
    first, second = Client(), Client()
    for client in (first, second):
        give_password(client, "root")
    give_code(first, codes[3])
    give_code(second, codes[3])
    assert (is_in(first), is_in(second)) == (True, False)
    text = first.get("/security/").content.decode()
    assert "9 unused recovery codes" in text
    assert not any(each in text for each in codes)
    entry = LogEntry.objects.get(additional_data__event="signed in")
    assert entry.additional_data["second_factor"] == "recovery code"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["app", "recovery code"])
def test_a_code_that_is_given_twice_at_once_works_once(kind):
    user = people.make_superuser("root")
    codes = give_app(user)
    given = code() if kind == "app" else codes[0]
    results = at_once([lambda: factors.check_code(user, given)] * 6)
    assert sum(each is not None for each in results) == 1


def test_wrong_codes_are_limited_and_a_right_password_does_not_start_anew(root):
    client = Client()
    for _ in range(limits.CODES_PER_ACCOUNT):
        give_password(client, "root")
        assert give_code(client, wrong_code()).status_code == 200
    give_password(client, "root")
    answer = give_code(client, code())
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 15 * 60
    assert "Too many failed attempts at a code. Try again in" in answer.content.decode()
    assert not is_in(client)
    assert events().count("second factor refused") == limits.CODES_PER_ACCOUNT
    assert events().count("sign-in stopped") == 1


@pytest.mark.django_db(transaction=True)
def test_codes_tried_at_once_are_looked_at_no_more_often_than_the_limit():
    user = people.make_superuser("root")
    results = at_once([lambda: limits.count_code(user.pk)] * 12)
    assert sum(each is None for each in results) == limits.CODES_PER_ACCOUNT


def test_nonsense_is_refused_and_breaks_nothing(root):
    client = Client()
    give_password(client, "root")
    for data in (
        {"code": ""},
        {"code": "٣٣٣٣٣٣"},
        {"code": "x" * 500},
        {"credential": ""},
        {"credential": "[]"},
        {"credential": "{}"},
        {"credential": '{"id": 1, "response": []}'},
        {},
    ):
        answer = client.post("/second-factor/", data)
        assert answer.status_code in (200, 429), data
        assert not is_in(client)


def test_without_the_key_that_opens_it_an_app_refuses_and_the_log_says_why(root, settings, caplog):
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    client = Client()
    give_password(client, "root")
    with caplog.at_level(logging.ERROR):
        assert give_code(client, code()).status_code == 200
    assert "no key of ENCRYPTION_KEYS opens its secret" in caplog.text


# --- What is stored, and what is told -------------------------------------------------------------


def test_secrets_are_stored_encrypted_and_the_trail_has_none():
    make_bare()
    client = Client()
    give_password(client, "root")
    secret = shown_secret(client.get("/second-factor/app/").content.decode())
    in_session = [each.get_decoded() for each in Session.objects.all()]
    _, answer = set_up_app(client)
    codes = shown_codes(answer.content.decode())
    kept = f"{in_session} {list(Authenticator.objects.values())} {list(LogEntry.objects.values())}"
    kept += str([each.get_decoded() for each in Session.objects.all()])
    assert secret not in kept
    assert not any(each in kept for each in codes)
    seed = Authenticator.objects.get(type="recovery_codes").data["seed"]
    assert seed.startswith("gAAAA")


# --- One's own factors ----------------------------------------------------------------------------


def confirm(client, password=PASSWORD):
    return client.post("/security/confirm/", {"password": password})


def test_changes_ask_for_the_password_again(root):
    client = signed_in(root)
    [row] = factors.of(root)
    for path in (
        "/second-factor/set-up/",
        "/second-factor/passkey/",
        "/second-factor/app/",
        "/security/recovery-codes/",
        f"/security/remove/{row.pk}/",
    ):
        assert client.post(path).status_code in (302, 405)
        if "security" not in path:
            assert client.get(path)["Location"] == "/security/confirm/"
    assert factors.of(root) == [row]
    assert confirm(client, "wrong").status_code == 200
    assert client.get("/second-factor/set-up/")["Location"] == "/security/confirm/"
    confirm(client)
    assert client.get("/second-factor/set-up/").status_code == 200
    session = client.session
    session["sign_in"] = {**session["sign_in"], "confirmed": 0}
    session.save()
    assert client.get("/second-factor/set-up/")["Location"] == "/security/confirm/"


def test_wrong_passwords_there_count_with_those_at_the_sign_in_page(root):
    client = signed_in(root)
    for _ in range(limits.PER_ACCOUNT):
        assert confirm(client, "wrong").status_code == 200
    assert confirm(client).status_code == 429
    assert give_password(Client(), "root").status_code == 429


def test_new_recovery_codes_make_the_old_ones_void(root):
    factors.reset(root)
    old = give_app(root)
    client = signed_in(root)
    confirm(client)
    new = shown_codes(client.post("/security/recovery-codes/").content.decode())
    assert len(new) == 10
    assert factors.check_code(root, old[0]) is None
    assert factors.check_code(root, new[0])


def test_the_last_one_stays_with_who_needs_one(root):
    client = signed_in(root)
    confirm(client)
    [app] = factors.of(root)
    client.post(f"/security/remove/{app.pk}/")
    assert factors.of(root) == [app]
    factors.add_passkey(root, "Laptop", {"id": "x"}, first=False)
    client.post(f"/security/remove/{app.pk}/")
    assert [each.type for each in factors.of(root)] == ["webauthn"]


@pytest.mark.django_db(transaction=True)
def test_two_that_are_removed_at_once_leave_one():
    user = people.make_superuser("root")
    give_app(user)
    factors.add_passkey(user, "Laptop", {"id": "x"}, first=False)
    keys = [each.pk for each in factors.of(user)]
    at_once([partial(factors.remove, user, key) for key in keys])
    assert len(factors.of(user)) == 1


def test_nobody_removes_what_is_somebody_elses(root):
    other = people.make_superuser("other")
    give_app(other)
    client = signed_in(root)
    confirm(client)
    [theirs] = factors.of(other)
    client.post(f"/security/remove/{theirs.pk}/")
    assert factors.of(other) == [theirs]


def test_a_change_ends_the_sessions_elsewhere_and_keeps_this_one(root):
    factors.add_passkey(root, "Laptop", {"id": "x"}, first=False)
    here, elsewhere = signed_in(root), signed_in(root)
    confirm(here)
    before = here.session.session_key
    here.post(f"/security/remove/{factors.of(root)[1].pk}/")
    assert (is_in(here), is_in(elsewhere)) == (True, False)
    assert here.session.session_key != before


# --- Lost -----------------------------------------------------------------------------------------


def test_a_superuser_resets_somebody_elses_and_their_sessions_end(root):
    ann = make_partner_admin()
    give_app(ann)
    hers = signed_in(ann)
    begun = Client()
    give_password(begun, "ann")
    mine = signed_in(root)
    page = reverse("admin:auth_user_change", args=[ann.pk])
    url = reverse("admin:auth_user_reset_second_factor", args=[ann.pk])
    assert url in mine.get(page).content.decode()
    mine.post(url)
    assert not factors.of(ann)
    assert not is_in(hers)
    assert begun.get("/second-factor/")["Location"] == "/admin/login/"
    entry = LogEntry.objects.get(additional_data__event="second factor reset")
    assert (entry.actor, entry.object_repr) == (root, "ann")
    again = Client()
    give_password(again, "ann")
    assert again.get("/second-factor/")["Location"] == "/second-factor/set-up/"


def test_ones_own_is_not_reset_without_the_password(root):
    client = signed_in(root)
    client.post(reverse("admin:auth_user_reset_second_factor", args=[root.pk]))
    assert factors.of(root)


def test_ops_reset_it_by_a_command(root, capsys):
    client = signed_in(root)
    call_command("reset_second_factor", "root")
    assert "Removed 1 factor of root and ended all sessions." in capsys.readouterr().out
    assert not factors.of(root)
    assert not is_in(client)
    assert "second factor reset" in events()
    with pytest.raises(CommandError, match="no account 'nobody'"):
        call_command("reset_second_factor", "nobody")


def test_nothing_else_of_the_library_has_an_address():
    client = people.logged_in(people.make_user())
    for path in (
        *("accounts/", "accounts/login/", "accounts/signup/", "accounts/email/", "accounts/2fa/"),
        *("accounts/password/reset/", "2fa/", "mfa/", "login/", "signup/", "email/"),
        *("accounts/social/connections/", "sign-in/", "second-factor/webauthn/login/"),
    ):
        assert client.get(f"/{path}").status_code == 404, path


def test_it_costs_no_query_more(root, django_assert_num_queries):
    with_factor, without = signed_in(root), people.logged_in(people.make_user("ann"))
    # The session, and the person with all that it depends on.
    with django_assert_num_queries(2):
        with_factor.get("/session")
    # The memberships, too, which every page asks for anyway.
    with django_assert_num_queries(3):
        without.get("/session")
