import builtins
import getpass
import io

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from access import limits
from tests import people
from tests.access.second_factors import PASSWORD, give_password

pytestmark = pytest.mark.django_db

CHANGE = "/admin/password_change/"


@pytest.fixture
def ann():
    user = people.make_partner_admin("ann.of.lakeside")
    user.email = "superintendent@lakeside.example.org"
    user.set_password(PASSWORD)
    user.save()
    return user


def change(client, new, old=PASSWORD):
    return client.post(CHANGE, {"old_password": old, "new_password1": new, "new_password2": new})


BAD = [
    "ann.of.lakeside",
    "Ann.Of.Lakeside",
    "ann.of.lakeside-2026-summer-and-more",
    "my own ａｎｎ.ｏｆ.ｌａｋｅｓｉｄｅ and more",
    "the superintendent speaks 12",
    "eleven char",
]


@pytest.mark.parametrize("new", BAD)
def test_the_name_the_address_and_less_than_twelve_are_no_passwords(ann, new):
    assert change(people.logged_in(ann), new).status_code == 200
    ann.refresh_from_db()
    assert ann.check_password(PASSWORD)


@pytest.mark.parametrize("new", BAD)
def test_nor_does_a_superuser_set_one(ann, new):
    root = people.logged_in(people.make_superuser())
    url = reverse("admin:auth_user_password_change", args=[ann.pk])
    data = {"usable_password": "true", "password1": new, "password2": new}
    assert root.post(url, data).status_code == 200
    ann.refresh_from_db()
    assert ann.check_password(PASSWORD)


@pytest.mark.parametrize("new", BAD)
def test_nor_does_a_superuser_add_an_account_with_one(new):
    root = people.logged_in(people.make_superuser())
    root.post(
        "/admin/auth/user/add/",
        {
            "username": "ann.of.lakeside",
            "email": "superintendent@lakeside.example.org",
            "usable_password": "true",
            "password1": new,
            "password2": new,
        },
    )
    assert not User.objects.filter(username="ann.of.lakeside").exists()


@pytest.mark.parametrize(
    ("name", "password"),
    [("jo", "jojojojojojojo"), ("x", "xxxxxxxxxxxxxx"), ("bob", "i-am-bob-the-builder")],
)
def test_short_names_count_too(name, password):
    user = people.make_partner_admin(name)
    user.set_password(PASSWORD)
    user.save()
    assert change(people.logged_in(user), password).status_code == 200


def test_a_short_name_within_a_word_is_none():
    user = people.make_partner_admin("jo")
    user.set_password(PASSWORD)
    user.save()
    assert change(people.logged_in(user), "a banjo under water").status_code == 302


def test_an_account_does_not_get_the_name_that_is_its_password(ann):
    root = people.logged_in(people.make_superuser())
    url = reverse("admin:auth_user_change", args=[ann.pk])
    answer = root.post(url, {"username": PASSWORD.replace(" ", "_"), "is_active": "on"})
    assert answer.status_code == 302  # not the same
    ann.set_password("sturdy.horse.99")
    ann.save()
    answer = root.post(url, {"username": "sturdy.horse.99", "is_active": "on"})
    assert "is the password of this account" in answer.content.decode()


def test_wrong_old_passwords_are_limited_with_those_at_the_sign_in_page(ann):
    client = people.logged_in(ann)
    for _ in range(limits.PER_ACCOUNT - 2):
        assert change(client, "another sturdy horse", old="wrong").status_code == 200
    for _ in range(2):
        assert give_password(Client(), ann.username, "wrong").status_code == 200
    answer = change(client, "another sturdy horse")
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
    assert "Too many failed attempts" in answer.content.decode()
    ann.refresh_from_db()
    assert ann.check_password(PASSWORD)
    assert give_password(Client(), ann.username).status_code == 429


@pytest.mark.parametrize(
    "name", ["ANN.OF.LAKESIDE", "ａｎｎ.ｏｆ.ｌａｋｅｓｉｄｅ", " ann.of.lakeside ", "aﬀ"]
)
def test_other_ways_to_write_a_name_are_no_way_around_the_limit(ann, name):
    if name == "aﬀ":
        User.objects.filter(pk=ann.pk).update(username="aff")
    for _ in range(limits.PER_ACCOUNT):
        give_password(Client(), name, "wrong")
    known = User.objects.get(pk=ann.pk).username
    assert give_password(Client(), known).status_code == 429


def test_who_has_a_weak_password_from_before_still_signs_in_and_is_asked_to_change_it():
    people.make_superuser("root")
    client = Client()
    give_password(client, "root", "x")
    assert "does not meet today" in client.get("/admin/").content.decode()
    user = people.make_superuser("strong")
    user.set_password(PASSWORD)
    user.save()
    client = Client()
    give_password(client, "strong")
    assert "does not meet today" not in client.get("/admin/").content.decode()


@pytest.mark.parametrize("password", ["short", "a-root-password", "123456789012"])
def test_createsuperuser_takes_none_from_the_environment(monkeypatch, password):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", password)
    with pytest.raises(CommandError):
        call_command("createsuperuser", "--noinput", username="root", email="r@example.org")
    assert not User.objects.exists()


def test_createsuperuser_takes_none_that_is_insisted_on(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(getpass, "getpass", lambda *_: "short")
    monkeypatch.setattr(builtins, "input", lambda *_: "y")
    with pytest.raises(CommandError, match="at least 12 characters"):
        call_command("createsuperuser", username="root", email="", stdin=Terminal())
    assert not User.objects.exists()


def test_createsuperuser_makes_a_superuser(monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", "--noinput", username="root", email="", verbosity=0)
    assert User.objects.get().check_password(PASSWORD)
