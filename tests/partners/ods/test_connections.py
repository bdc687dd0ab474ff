from functools import partial

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.urls import reverse

from partners.encryption import seal
from partners.models import OdsConnection
from partners.ods import admin as ods_admin
from runway.sandbox.ods import Faults
from tests import factories, people
from tests.at_once import at_once
from tests.partners.ods.servers import OddServer, sandbox_ods, send

pytestmark = pytest.mark.django_db

REASON = "The ODS opens on Monday."


@pytest.fixture(scope="module")
def server():
    with sandbox_ods() as ods:
        yield ods


@pytest.fixture
def ods(server):
    yield server
    server.faults = Faults()


@pytest.fixture
def mine(ods):
    return factories.make_ods_connection(
        url=ods.url, client_id=ods.client_id, client_secret=ods.client_secret
    )


@pytest.fixture
def admin():
    return people.logged_in(people.make_partner_admin())


def page(what="changelist", *args):
    return reverse(f"admin:partners_odsconnection_{what}", args=args)


def new(ods, **values):
    fields = {
        "tenant": factories.make_tenant().pk,
        "school_year": factories.make_year().pk,
        "url": ods.url,
        "client_id": ods.client_id,
        "secret": ods.client_secret,
    }
    return fields | values


def change(connection, **values):
    return {"url": connection.url, "client_id": connection.client_id, "secret": ""} | values


# --- Adding ------------------------------------------------------------------------------------


def test_a_connection_that_works_is_saved_with_what_its_test_said(admin, ods):
    assert admin.post(page("add"), new(ods)).status_code == 302
    saved = OdsConnection.objects.get()
    assert saved.client_secret == ods.client_secret
    assert saved.check_ok is True
    assert saved.checked_at is not None
    assert "student records" in saved.check_message
    assert saved.saved_anyway_reason == ""


def test_a_connection_that_fails_is_not_saved_and_the_page_says_what_to_do(admin, ods):
    answer = admin.post(page("add"), new(ods, secret="wrong-secret"))
    text = answer.content.decode()
    assert not OdsConnection.objects.exists()
    assert "does not accept this client ID" in text
    assert "HTTP 401" in text
    assert "Check both for missing characters" in text
    assert "wrong-secret" not in text


def test_it_is_saved_anyway_with_a_reason_and_without_entering_the_secret_again(admin, ods):
    ods.faults = Faults(refuse_credentials=True)
    failed = admin.post(page("add"), new(ods))
    kept = failed.context["adminform"].form.resealed
    assert kept in failed.content.decode()
    again = new(ods, secret="", kept_secret=kept, save_anyway="on")
    assert "Explain why you are saving it" in admin.post(page("add"), again).content.decode()
    assert not OdsConnection.objects.exists()
    assert admin.post(page("add"), again | {"reason": REASON}).status_code == 302
    saved = OdsConnection.objects.get()
    assert saved.client_secret == ods.client_secret
    assert (saved.check_ok, saved.saved_anyway_reason) == (False, REASON)
    assert REASON in admin.get(page("change", saved.pk)).content.decode()


def test_no_reason_is_kept_where_the_test_passed_after_all(admin, ods):
    admin.post(page("add"), new(ods, save_anyway="on", reason=REASON))
    assert OdsConnection.objects.get().saved_anyway_reason == ""


def test_a_kept_secret_of_another_kind_or_of_long_ago_is_none(admin, ods, monkeypatch):
    other = seal(ods.client_secret, "something-else")
    assert "Enter the client secret" in (
        admin.post(page("add"), new(ods, secret="", kept_secret=other)).content.decode()
    )
    kept = seal(ods.client_secret, "ods-secret-just-entered")
    monkeypatch.setattr("partners.ods.forms.KEPT_SECONDS", -1)
    answer = admin.post(page("add"), new(ods, secret="", kept_secret=kept))
    assert "Enter the client secret" in answer.content.decode()


@pytest.mark.parametrize("url", ["http://[::1", "https://ods.example.org:99999", "https://"])
def test_what_is_no_address_is_said_at_its_field(admin, ods, mine, url):
    for address, form in (
        (page("add"), new(ods, url=url)),
        (page("change", mine.pk), change(mine, url=url)),
    ):
        answer = admin.post(address, form)
        assert answer.status_code == 200
        assert answer.context["adminform"].form.errors["url"]


@pytest.mark.parametrize("tenant", ["x", "\x00", "9" * 30, "-1"])
def test_a_tenant_that_is_none_is_not_offered_and_not_taken(admin, ods, tenant):
    assert admin.get(page("add"), {"tenant": tenant.strip("\x00")}).status_code == 200
    answer = admin.post(page("add"), new(ods, tenant=tenant))
    assert answer.context["adminform"].form.errors["tenant"]
    assert not OdsConnection.objects.exists()


def test_the_page_of_a_new_connection_does_not_list_all_tenants(admin):
    tenant = factories.make_tenant("grand_bend")
    assert "grand_bend" not in admin.get(page("add")).content.decode()
    assert "grand_bend" in admin.get(page("add"), {"tenant": tenant.pk}).content.decode()


def test_a_new_connection_needs_a_secret(admin, ods):
    answer = admin.post(page("add"), new(ods, secret=""))
    assert "Enter the client secret" in answer.content.decode()
    assert not OdsConnection.objects.exists()


def test_a_second_active_connection_is_refused_in_words(admin, ods, mine):
    answer = admin.post(page("add"), new(ods))
    assert "has an active ODS connection for that year" in answer.content.decode()
    assert OdsConnection.objects.count() == 1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://user:pass@ods.test/api", "user name and password"),
        ("http://ods.test/api?x=1", "Remove the ?"),
        ("http://ods.test/api/data/v3/", "Remove /data/v3"),
        ("ftp://ods.test/api", "must begin with https://"),
        ("file:///etc/passwd", "Enter a valid URL"),
    ],
)
def test_addresses_that_cannot_be_meant_are_refused_untested(admin, ods, url, words):
    text = admin.post(page("add"), new(ods, url=url)).content.decode()
    assert words in text
    assert "save_anyway" not in text


# --- Changing ----------------------------------------------------------------------------------


def test_changing_a_connection_retires_it_and_makes_the_next_with_the_old_secret(admin, mine):
    answer = admin.post(page("change", mine.pk), change(mine, url=f"{mine.url}/"))
    assert answer.status_code == 302
    old, next_one = OdsConnection.objects.order_by("pk")
    assert (old.pk, old.url, old.is_active) == (mine.pk, mine.url, False)
    assert next_one.url == f"{mine.url}/"
    assert (next_one.client_secret, next_one.is_active) == (mine.client_secret, True)
    assert next_one.check_ok


def test_the_stored_secret_is_not_sent_to_another_server(admin, mine):
    with OddServer(lambda handler: send(handler, 200, "{}")) as elsewhere:
        fields = change(mine, url=elsewhere.url, save_anyway="on", reason=REASON)
        answer = admin.post(page("change", mine.pk), fields)
        assert "leads to another server" in answer.content.decode()
        assert elsewhere.seen == []
    assert OdsConnection.objects.get().url == mine.url


def test_a_new_secret_replaces_the_old_one_and_is_stored_encrypted(admin, mine, ods):
    fields = change(mine, secret=" new secret ", save_anyway="on", reason=REASON)
    admin.post(page("change", mine.pk), fields)
    new = OdsConnection.objects.get(retired_at=None)
    assert new.pk != mine.pk
    assert new.client_secret == " new secret "
    with connection.cursor() as cursor:
        cursor.execute("select client_secret from partners_odsconnection")
        assert all("secret" not in row[0] for row in cursor.fetchall())


def test_a_change_whose_test_fails_leaves_the_old_connection_active(admin, mine):
    answer = admin.post(page("change", mine.pk), change(mine, client_id="other"))
    assert "does not accept this client ID" in answer.content.decode()
    assert OdsConnection.objects.get().is_active


def test_saving_without_a_change_keeps_the_connection_and_tests_nothing(admin, mine, ods):
    ods.faults = Faults(refuse_credentials=True)
    assert admin.post(page("change", mine.pk), change(mine)).status_code == 302
    mine.refresh_from_db()
    assert mine.is_active
    assert mine.checked_at is None


def test_a_retired_connection_cannot_be_changed_or_tested(mine):
    OdsConnection.objects.update(retired_at="2026-01-01T00:00Z")
    client = people.logged_in(people.make_superuser())
    assert client.post(page("change", mine.pk), change(mine, client_id="x")).status_code == 403
    assert client.post(page("test", mine.pk)).status_code == 403
    assert "was retired" in client.get(page("change", mine.pk)).content.decode()


def test_a_secret_that_no_key_opens_can_be_entered_anew(admin, mine, ods, settings):
    settings.ENCRYPTION_KEYS = ["b3RoZXJrZXktb3RoZXJrZXktb3RoZXJrZXktb3RoZXI="]
    assert admin.get(page()).status_code == 200
    url = page("change", mine.pk)
    assert b"Enter it again" in admin.post(url, change(mine, client_id="b")).content
    assert admin.post(url, change(mine, secret=ods.client_secret)).status_code == 302
    assert OdsConnection.objects.get(retired_at=None).client_secret == ods.client_secret


def test_an_ods_secret_is_never_shown(mine, ods):
    client = people.logged_in(people.make_superuser())
    secret = ods.client_secret.encode()
    client.post(page("test", mine.pk))
    for url in (page(), page("change", mine.pk), page("history", mine.pk)):
        assert secret not in client.get(url).content
    failed = client.post(page("change", mine.pk), change(mine, client_id="x"))
    assert secret not in failed.content
    OdsConnection.objects.update(retired_at="2026-01-01T00:00Z")
    assert secret not in client.get(page("change", mine.pk)).content
    assert all(ods.client_secret not in each.change_message for each in LogEntry.objects.all())


@pytest.mark.django_db(transaction=True)
def test_of_two_who_add_a_connection_at_once_one_is_told_that_the_other_was_first(ods):
    fields = new(ods)
    clients = [people.logged_in(people.make_partner_admin(name)) for name in ("a", "b")]
    answers = at_once([partial(c.post, page("add"), fields, follow=True) for c in clients])
    assert OdsConnection.objects.filter(retired_at=None).count() == 1
    texts = [answer.content.decode() for answer in answers]
    assert [a.status_code for a in answers] == [200, 200]
    told = "someone else added a connection", "has an active ODS connection for that year"
    assert sum(any(words in text for words in told) for text in texts) == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_who_change_a_connection_at_once_one_is_told_that_the_other_was_first(mine):
    clients = [people.logged_in(people.make_partner_admin(name)) for name in ("a", "b")]
    fields = change(mine, url=f"{mine.url}/")
    url = page("change", mine.pk)
    answers = at_once([partial(c.post, url, fields, follow=True) for c in clients])
    assert OdsConnection.objects.count() == 2
    assert OdsConnection.objects.filter(retired_at=None).count() == 1
    texts = [answer.content.decode() for answer in answers]
    # Told, or refused as the connection was retired before it was even asked for.
    lost = sum(
        "someone else changed" in text or answer.status_code == 403
        for text, answer in zip(texts, answers, strict=True)
    )
    assert lost == 1


# --- Testing again -----------------------------------------------------------------------------


def test_a_connection_is_tested_again_and_the_result_kept(admin, mine, ods):
    assert "has not been tested" in admin.get(page("change", mine.pk)).content.decode()
    text = admin.post(page("test", mine.pk), follow=True).content.decode()
    assert "This connection works." in text
    ods.faults = Faults(roster_page_status=403)
    text = admin.post(page("test", mine.pk), follow=True).content.decode()
    assert "not allowed to read students" in text
    assert "claim set" in text
    mine.refresh_from_db()
    assert mine.check_ok is False


def test_testing_takes_a_post_and_the_own_partner(admin, mine):
    assert admin.get(page("test", mine.pk)).status_code == 405
    far = factories.make_tenant("far", partner=factories.make_partner("tx"))
    foreign = factories.make_ods_connection(tenant=far)
    assert admin.post(page("test", foreign.pk)).status_code == 404
    user = people.logged_in(people.make_user())
    assert user.post(page("test", mine.pk)).status_code in (403, 404)
    foreign.refresh_from_db()
    mine.refresh_from_db()
    assert mine.checked_at is foreign.checked_at is None


def test_selected_connections_are_tested_together(admin, mine, ods):
    broken = factories.make_ods_connection(
        tenant=factories.make_tenant("second"), url=ods.url, client_id="wrong"
    )
    retired = factories.make_ods_connection(tenant=factories.make_tenant("third"), url=ods.url)
    OdsConnection.objects.filter(pk=retired.pk).update(retired_at="2026-01-01T00:00Z")
    chosen = [mine.pk, broken.pk, retired.pk]
    action = {"action": "test_selected", "_selected_action": chosen}
    text = admin.post(page(), action, follow=True).content.decode()
    assert "1 of 2 connections tested work" in text
    assert "does not accept this client ID" in text
    found = dict(OdsConnection.objects.values_list("pk", "check_ok"))
    assert found == {mine.pk: True, broken.pk: False, retired.pk: None}


def test_too_many_connections_are_not_tested_at_once(admin, mine, monkeypatch):
    monkeypatch.setattr(ods_admin, "MAX_TESTED", 0)
    action = {"action": "test_selected", "_selected_action": [mine.pk]}
    assert "Select up to 0" in admin.post(page(), action, follow=True).content.decode()
    mine.refresh_from_db()
    assert mine.checked_at is None


def test_connections_of_another_partner_are_neither_tested_nor_retired(admin, mine):
    far = factories.make_tenant("far", partner=factories.make_partner("tx"))
    foreign = factories.make_ods_connection(tenant=far)
    for action in ("test_selected", "retire"):
        admin.post(page(), {"action": action, "_selected_action": [mine.pk, foreign.pk]})
    foreign.refresh_from_db()
    mine.refresh_from_db()
    assert (foreign.is_active, foreign.checked_at) == (True, None)
    assert not mine.is_active
    assert mine.check_ok
