"""Signing in by a real issuer on loopback, the browser's part played by the tests."""

import threading
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from allauth.socialaccount.models import SocialAccount
from auditlog.models import LogEntry
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.urls import reverse

from runway.sandbox.oidc import Person
from tests import people

pytestmark = pytest.mark.django_db

ANN = Person("0001", "ann@example.org", name="Ann Example")
START, CALLBACK = "/sign-in/schools/", "/sign-in/schools/callback"


@pytest.fixture
def ann():
    user = people.make_partner_admin("ann")
    User.objects.filter(pk=user.pk).update(email="Ann@example.org")
    user.refresh_from_db()
    return user


def chosen(client, subject, **form):
    """The address that the issuer sends the browser back to."""
    begun = client.post(START, form)
    assert begun.status_code == 302, begun.content.decode()
    query = dict(parse_qsl(urlsplit(begun.url).query))
    assert query["code_challenge_method"] == "S256"
    url = begun.url.partition("?")[0]
    answer = requests.post(
        url, data=query | {"subject": subject}, allow_redirects=False, timeout=10
    )
    return answer.headers["Location"].removeprefix("http://testserver")


def come_back(client, person, **form):
    return client.get(chosen(client, person.subject, **form))


def who(client):
    return client.session.get("_auth_user_id")


def text(answer):
    return " ".join(answer.content.decode().split())


def trail(event):
    return [
        (each.object_repr, each.additional_data)
        for each in LogEntry.objects.filter(additional_data__event=event)
    ]


def test_somebody_known_by_a_verified_address_signs_in_and_stays_linked(oidc, ann):
    issuer = oidc(ANN)
    client = Client()
    answer = come_back(client, ANN)
    assert answer.url == "/admin/"
    assert who(client) == str(ann.pk)
    assert client.get("/admin/").status_code == 200
    link = SocialAccount.objects.get()
    assert (link.user, link.provider, link.uid) == (ann, "schools", "0001")
    # From now on the subject decides, not the address.
    issuer.people["0001"] = Person("0001", "ann.married@example.org")
    again = Client()
    come_back(again, ANN)
    assert who(again) == str(ann.pk)
    assert [facts["by"] for _, facts in trail("signed in")] == ["Example Schools"] * 2


def test_sessions_by_issuers_end_after_two_hours_too_and_signing_out_ends_them(oidc, ann):
    oidc(ANN)
    client = Client()
    come_back(client, ANN)
    assert client.session.get_expiry_age() <= 2 * 60 * 60
    client.post(reverse("admin:logout"))
    assert who(client) is None


def test_a_password_that_the_account_has_stays(oidc, ann):
    oidc(ANN)
    ann.set_password("both ways 7")
    ann.save()
    come_back(Client(), ANN)
    assert User.objects.get(pk=ann.pk).check_password("both ways 7")


def test_it_leads_to_the_page_that_was_asked_for_but_never_elsewhere(oidc, ann):
    oidc(ANN)
    page = reverse("admin:earthbeam_job_changelist")
    assert come_back(Client(), ANN, next=page).url == page
    assert come_back(Client(), ANN, next="https://evil.test/").url == "/admin/"
    assert come_back(Client(), ANN, next="//evil.test/").url == "/admin/"


@pytest.mark.parametrize(
    ("person", "domains", "said"),
    [
        (Person("9", "ann@example.org", email_verified=False), ("*",), "has not verified"),
        (Person("9", "ann@example.org", email_verified="false"), ("*",), "has not verified"),
        (Person("9", "ann@example.org", email_verified=None), ("*",), "has not verified"),
        (Person("9", "ann@example.org", email_verified=1), ("*",), "has not verified"),
        (Person("9", "", email_verified=True), ("*",), "did not tell your e-mail"),
        (Person("9", "ann@example.org"), (), "can link your account by hand"),
        (Person("9", "ann@example.org"), ("other.org",), "can link your account by hand"),
        (Person("9", "ann@example.org.evil.test"), ("example.org",), "by hand"),
        (Person("9", "ann@sub.example.org"), ("example.org",), "by hand"),
        (Person("9", "bob@example.org"), ("example.org",), "has no account"),
        (Person("9", "anñ@example.org"), ("example.org",), "has no account"),
        (
            Person("9", "bob@example.org", userinfo={"sub": "0001", "email": "ann@example.org"}),
            ("*",),
            "conflicting information",
        ),
    ],
)
def test_nobody_takes_over_an_account_or_makes_one(oidc, ann, person, domains, said):
    oidc(person, email_domains=domains)
    client = Client()
    answer = come_back(client, person)
    assert answer.status_code == 403
    assert said in text(answer)
    assert who(client) is None
    assert not SocialAccount.objects.exists()
    assert User.objects.count() == 1
    [(about, facts)] = trail("sign-in failed")
    assert (about, facts["by"]) == ("unknown account", "Example Schools")
    assert "ann@" not in str(facts)


def test_letters_that_only_the_database_takes_for_equal_are_another_address(oidc):
    people.make_superuser("mike")
    User.objects.update(email="mike@example.org")
    impostor = Person("9", "mıke@example.org")  # with a dotless i, whose capital is I
    oidc(impostor)
    client = Client()
    assert come_back(client, impostor).status_code == 403
    assert who(client) is None


def test_an_address_that_went_to_somebody_else_does_not_take_the_account_along(oidc, ann):
    oidc(ANN)
    come_back(Client(), ANN)
    successor = Person("0002", "ann@example.org")
    oidc(successor)
    client = Client()
    assert "belongs to another account" in text(come_back(client, successor))
    assert who(client) is None


def test_two_accounts_with_one_address_are_nobodys(oidc, ann):
    people.make_user("other")
    User.objects.filter(username="other").update(email="ann@example.org")
    oidc(ANN)
    assert "Several accounts" in text(come_back(Client(), ANN))


def test_an_account_that_was_switched_off_stays_out(oidc, ann):
    oidc(ANN)
    come_back(Client(), ANN)
    User.objects.update(is_active=False)
    client = Client()
    assert "was turned off" in text(come_back(client, ANN))
    assert who(client) is None


def test_a_superuser_links_somebody_by_hand_for_an_issuer_that_is_not_trusted(oidc, ann):
    oidc(ANN, email_domains=())
    root = people.logged_in(people.make_superuser())
    form = {"user": ann.pk, "provider": "schools", "uid": "0001"}
    assert root.post(reverse("admin:socialaccount_socialaccount_add"), form).status_code == 302
    client = Client()
    come_back(client, ANN)
    assert who(client) == str(ann.pk)


def test_somebody_without_a_membership_learns_what_is_missing(oidc):
    User.objects.create_user("ann", email="ann@example.org")
    oidc(ANN)
    client = Client()
    come_back(client, ANN)
    answer = client.get("/admin/", follow=True)
    assert "is not a member of any partner" in text(answer)
    assert "Sign out" in text(answer)


def test_cancelling_at_the_issuer_says_that_nothing_changed(oidc, ann):
    oidc(ANN)
    client = Client()
    answer = client.get(chosen(client, ""))
    assert answer.status_code == 401
    assert "was cancelled" in text(answer)


def test_an_answer_that_this_browser_did_not_ask_for_signs_nobody_in(oidc, ann):
    oidc(ANN)
    stolen = chosen(Client(), "0001")
    victim = Client()
    assert "Begin anew" in text(victim.get(stolen))
    assert who(victim) is None
    client = Client()
    used = chosen(client, "0001")
    client.get(used)
    client.post(reverse("admin:logout"))
    assert client.get(used).status_code == 401
    assert who(client) is None


def test_who_is_signed_in_cannot_be_linked_to_a_strangers_account(oidc, ann):
    stranger = Person("9", "stranger@elsewhere.test")
    oidc(stranger)
    client = people.logged_in(ann)
    begun = client.post(f"{START}?process=connect", {"process": "connect"})
    query = dict(parse_qsl(urlsplit(begun["Location"]).query))
    answer = requests.post(
        begun["Location"].partition("?")[0],
        data=query | {"subject": "9"},
        allow_redirects=False,
        timeout=10,
    )
    client.get(answer.headers["Location"].removeprefix("http://testserver"))
    assert not SocialAccount.objects.exists()


@pytest.mark.parametrize(
    ("broken", "status"),
    [
        ({"/.well-known/openid-configuration"}, 502),
        ({"/token"}, 401),
        ({"/userinfo"}, 401),
    ],
)
def test_an_issuer_that_fails_is_a_page_that_says_so(oidc, ann, broken, status):
    issuer = oidc(ANN)
    client = Client()
    if status == 502:
        issuer.broken = broken
        answer = client.post(START)
    else:
        back = chosen(client, "0001")
        issuer.broken = broken
        answer = client.get(back)
    assert answer.status_code == status
    assert "Try again in a minute" in text(answer)
    assert who(client) is None


def test_only_configured_issuers_exist_and_only_posts_begin(oidc):
    oidc(ANN)
    assert Client().post("/sign-in/openid_connect/").status_code == 404
    assert Client().get("/sign-in/other/callback").status_code == 404
    assert Client().get(START).status_code == 405
    assert Client(enforce_csrf_checks=True).post(START).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_two_first_sign_ins_at_once_make_one_link(oidc):
    user = people.make_partner_admin("ann")
    User.objects.update(email="ann@example.org")
    oidc(ANN)
    clients = [Client(), Client(), Client()]
    backs = [chosen(client, "0001") for client in clients]
    answers = []

    def run(client, back):
        answers.append(client.get(back).status_code)
        connections.close_all()

    threads = [threading.Thread(target=run, args=each) for each in zip(clients, backs, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert SocialAccount.objects.get().user == user
    assert answers == [302, 302, 302]
    assert {who(client) for client in clients} == {str(user.pk)}
